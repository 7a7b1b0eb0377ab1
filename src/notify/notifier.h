// Delivers an outbox to its targets: at least once, each with one idempotency key, in order per key, every transition ending with a
// receipt.
//
// step() holds the lease, sends what is due, makes the receipts durable, resends what Alertmanager must keep hearing, and every few
// seconds writes the receipts into the `pages` Delta table. Formats: docs/formats/pages.md.
//
// Threads: step() and drain() from one; status() from any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "env/clock.h"
#include "env/failpoints.h"
#include "env/http.h"
#include "env/object_store.h"
#include "notify/outbox.h"

namespace headpond::notify {

enum class TargetKind { kStdout, kWebhook, kAlertmanager };

struct TargetConfig {
  std::string name;  // unique in its branch
  TargetKind kind = TargetKind::kStdout;
  std::vector<std::string> urls;  // webhook: the first; Alertmanager: base URL of each peer
  std::string secret;             // HMAC key of a webhook; empty: unsigned
};
// "stdout", "webhook", "alertmanager". Errors: kInvalid: another word, or a missing URL.
base::Result<TargetKind> parse_target_kind(const std::string& text);

struct NotifierOptions {
  std::string branch;
  std::string pages_root;       // "pages/<branch>"
  std::string local_directory;  // scratch; held by this process alone (the state store's lock on the same parent guarantees it)
  base::Duration lease = base::Duration::seconds(6);
  base::Duration request_timeout = base::Duration::seconds(2);
  base::Duration resend_interval = base::Duration::minutes(1);  // of firing alerts to Alertmanager
  base::Duration table_interval = base::Duration::seconds(2);   // between writes of the pages table; 0 = it is not written
  base::Duration give_up_after = base::Duration::hours(24);     // then the transition is a dead letter
};

// All borrowed; must outlive the Notifier.
struct NotifierWorld {
  env::ObjectStore& lake;
  env::Clock& clock;
  env::Random& random;
  env::HttpClient& http;
  env::Failpoints& failpoints;
  // Shows one page to a person (target kind stdout): a few lines, without a newline at the end.
  std::function<void(const std::string& text)> print;
};

struct NotifierStatus {
  std::string state;    // "waiting for the lease", "running", "stopped"
  std::string message;  // the last failure, or empty
  bool holds_lease = false;
  std::int64_t epoch = 0;
  std::size_t pending = 0;
  std::int64_t delivered = 0, superseded = 0, recorded = 0, dead = 0;  // receipts since open
  std::int64_t last_page_ms = 0;                                       // boundary → answer of the newest delivered firing
};

class Notifier {
 public:
  // Does no network I/O to targets. Borrows `outbox`. Errors: kInvalid: a target. kRetry: store or directory.
  static base::Result<std::unique_ptr<Notifier>> open(NotifierOptions options, std::vector<TargetConfig> targets, Outbox& outbox,
                                                      NotifierWorld world);
  virtual ~Notifier() = default;

  // One bounded piece of work. Blocks up to request_timeout × (targets with something due). True: more may be due at once.
  // Errors: kFenced: another sender has taken over; discard, reopen. kRetry: store unreachable; call again.
  virtual base::Result<bool> step() = 0;
  // Sends what is due once more, makes receipts durable, writes the pages table and releases the lease.
  virtual base::Result<void> drain() = 0;
  virtual NotifierStatus status() const = 0;
};

}  // namespace headpond::notify
