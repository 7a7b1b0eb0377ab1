#include "env/worker.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace headpond::env {
namespace {

class InlineWorker final : public Worker {
 public:
  void post(std::function<void()> task) override { task(); }
};

class ThreadWorker final : public Worker {
 public:
  explicit ThreadWorker(const std::string& name)
      : thread_([this, name] {
          pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
          run();
        }) {}
  ~ThreadWorker() override {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    posted_.notify_one();
    thread_.join();
  }

  void post(std::function<void()> task) override {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    posted_.notify_one();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      posted_.wait(lock, [this] { return !tasks_.empty() || ending_; });
      if (tasks_.empty()) return;
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      task = nullptr;  // what it holds is freed here, not under the lock
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<std::function<void()>> tasks_;
  bool ending_ = false;
  std::thread thread_;  // last: it runs once the rest is there
};

}  // namespace

std::unique_ptr<Worker> inline_worker() {
  return std::make_unique<InlineWorker>();
}
std::unique_ptr<Worker> thread_worker(const std::string& name) {
  return std::make_unique<ThreadWorker>(name);
}

}  // namespace headpond::env
