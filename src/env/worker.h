// A thread that does one task after another, as a seam: engines own no thread, they are given workers.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace headpond::env {

class Worker {
 public:
  // Everything posted is done before it returns.
  virtual ~Worker() = default;
  // Does `task` after all earlier ones. Threads: any, also from a task of another worker.
  virtual void post(std::function<void()> task) = 0;
};

// Makes a worker; `name` is for people (thread lists), at most 15 characters.
using Workers = std::function<std::unique_ptr<Worker>(const std::string& name)>;

// A worker without a thread: a task is done before post() returns. For tests and simulation.
std::unique_ptr<Worker> inline_worker();

// A worker with a thread of its own.
std::unique_ptr<Worker> thread_worker(const std::string& name);

}  // namespace headpond::env
