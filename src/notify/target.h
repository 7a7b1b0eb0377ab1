// Where pages go: how one page is put into a request, and what the answer means.
//
// Threads: one at a time per object.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "env/http.h"
#include "notify/notifier.h"
#include "notify/outbox.h"

namespace headpond::notify {

struct Answer {
  enum class Kind { kAccepted, kAgain, kRefused };
  Kind kind = Kind::kAccepted;
  std::string detail;  // "HTTP 200"
};

class Target {
 public:
  virtual ~Target() = default;
  // One page; requests end within `timeout` in all. kAgain covers an unknown outcome: a second delivery carries the same key.
  virtual Answer deliver(const Delivery& delivery, base::Micros now, base::Duration timeout) = 0;
  // Whether it must keep hearing of firing pages, and so learns of them again by resend().
  virtual bool wants_resend() const { return false; }
  virtual Answer resend(const std::vector<rules::Transition>& open, base::Micros now, base::Duration timeout);
};

// Borrows `http`. Errors: kInvalid: a target without a URL where one is needed.
base::Result<std::unique_ptr<Target>> make_target(const TargetConfig& config, const NotifierOptions& options, env::HttpClient& http,
                                                  std::function<void(const std::string&)> print);

// A page for people: two or three lines.
std::string describe(const Delivery& delivery, base::Micros now);
// The body of the generic webhook.
std::string webhook_body(const Delivery& delivery, base::Micros now);

}  // namespace headpond::notify
