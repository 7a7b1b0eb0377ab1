// The page and its API over a running System, or over the cursors of roles that run elsewhere.
//
// Threads: open/stop from one; it serves on threads of its own.
#pragma once

#include <memory>
#include <string>

#include "app/session.h"
#include "app/system.h"

namespace headpond::app {

class PageServer {
 public:
  // Serves at `listen` ("127.0.0.1:8080", port 0 = a free one). `system` may be null: then statuses come from the cursors in the lake.
  // Errors: kInvalid: not a loopback address, or it is taken.
  static base::Result<std::unique_ptr<PageServer>> open(Session& session, const System* system, const std::string& listen);
  virtual ~PageServer() = default;
  virtual std::string address() const = 0;  // "http://127.0.0.1:8080"
  virtual void stop() = 0;
};

}  // namespace headpond::app
