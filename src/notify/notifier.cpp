#include "notify/notifier.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>

#include "lease/lease.h"
#include "notify/codec.h"
#include "notify/pages_table.h"
#include "notify/target.h"

namespace headpond::notify {
namespace {

using base::Duration;
using base::ErrorKind;
using rules::Transition;
using rules::TransitionKind;

constexpr std::size_t kDueAtATime = 64;
constexpr Duration kStepMax = Duration::millis(500);
constexpr Duration kBackoffMin = Duration::millis(200);
constexpr int kBackoffDoublings = 7;
constexpr Duration kReportAfter = Duration::minutes(1);
constexpr int kDrainSteps = 50;

struct Outlet {
  std::string name;
  std::unique_ptr<Target> target;
  int failures = 0;        // in a row
  Duration failing_since;  // monotonic; while failures > 0
  Duration last_failure;   // monotonic
  Duration not_before;     // monotonic; no request earlier
  Duration resend_at;      // monotonic
  bool accepted = false;   // something, since the last failure
  // The page about it may stand, also from an earlier process: it resolves when the target has been well for a while.
  bool reported = true;
};

struct Attempts {
  int count = 0;
  Duration first;  // monotonic
};

struct Batch {
  ReceiptPlace place;
  std::vector<Receipt> receipts;
  std::string bytes;
};

class SteppedNotifier final : public Notifier {
 public:
  SteppedNotifier(NotifierOptions options, std::vector<Outlet> outlets, std::string holder, Outbox& outbox, NotifierWorld world)
      : options_(std::move(options)),
        outlets_(std::move(outlets)),
        outbox_(outbox),
        world_(std::move(world)),
        lease_(world_.lake, world_.clock, world_.random,
               {.root = options_.pages_root + "/_leases/notify",
                .holder = std::move(holder),
                .lease = options_.lease,
                .grace = options_.request_timeout}),
        table_(world_.lake, options_.pages_root, options_.local_directory, world_.clock, world_.random) {}

  base::Result<bool> step() override {
    auto result = run_step();
    const std::lock_guard lock(mutex_);
    status_.state = !result && result.error().kind == ErrorKind::kFenced ? "stopped" : lease_.held() ? "running" : "waiting for the lease";
    const bool well = !table_failing_ && std::ranges::all_of(outlets_, [](const Outlet& o) { return o.failures == 0; });
    if (!result) {
      status_.message = result.error().message;
    } else if (well) {
      status_.message.clear();
    }
    status_.holds_lease = lease_.held();
    status_.epoch = lease_.epoch();
    status_.pending = outbox_.pending();
    return result;
  }

  base::Result<void> drain() override;

  NotifierStatus status() const override {
    const std::lock_guard lock(mutex_);
    return status_;
  }

 private:
  base::Result<bool> run_step();
  base::Result<bool> hold_lease();
  bool may_send();
  bool send_due(Outlet& outlet, std::vector<Receipt>& receipts, bool& sent);
  void send_one(Outlet& outlet, const Delivery& delivery, std::vector<Receipt>& receipts);
  void note_accepted(Outlet& outlet);
  void note_failure(Outlet& outlet, bool refused, const std::string& detail);
  void report(Outlet& outlet, TransitionKind kind, const std::string& detail);
  base::Result<void> flush();
  void resend_open(Outlet& outlet);
  void write_table(bool force);
  void count(const std::vector<Receipt>& receipts);
  void say(std::string message);

  const NotifierOptions options_;
  std::vector<Outlet> outlets_;
  Outbox& outbox_;
  NotifierWorld world_;
  lease::Lease lease_;
  PagesTable table_;
  std::map<std::pair<std::string, rules::TransitionId>, Attempts> attempts_;
  std::optional<Batch> batch_;  // receipts on their way to be durable
  std::int64_t receipt_epoch_ = 0, last_number_ = 0;
  Duration step_began_;
  Duration table_at_;
  bool table_behind_ = true, table_failing_ = false;
  mutable std::mutex mutex_;
  NotifierStatus status_;
};

base::Result<bool> SteppedNotifier::hold_lease() {
  if (lease_.held()) {
    TRY_VOID(lease_.keep());
    return true;
  }
  TRY(const bool held, lease_.acquire());
  if (!held) return false;
  last_number_ = 0;
  // What an earlier sender receipted since the outbox was loaded.
  TRY(const auto written, read_receipts(world_.lake, options_.pages_root, outbox_.newest_receipt()));
  for (const auto& object : written) outbox_.apply(object.place, object.receipts);
  outbox_.took_over();
  // Always a fresh one, also where someone removed the lease's objects.
  receipt_epoch_ = std::max(lease_.epoch(), outbox_.newest_receipt().epoch + 1);
  // A page about a target may stand that has been well since, with nothing more to tell it.
  for (auto& outlet : outlets_) outlet.accepted = outlet.accepted || outbox_.took_since_report(outlet.name);
  return true;
}

base::Result<bool> SteppedNotifier::run_step() {
  step_began_ = world_.clock.monotonic();
  TRY(const bool held, hold_lease());
  if (!held) return false;
  if (batch_) TRY_VOID(flush());
  std::vector<Receipt> receipts;
  bool sent = false, more = false;
  for (auto& outlet : outlets_) more = send_due(outlet, receipts, sent) || more;
  for (const auto& delivery : outbox_.due("", kDueAtATime)) {
    receipts.push_back({delivery.transition, "", *delivery.decision, world_.clock.now(), 0, "", delivery.dedup_key});
  }
  if (sent) world_.failpoints.reach("notify.after_send");
  if (!receipts.empty()) {
    const ReceiptPlace place{receipt_epoch_, ++last_number_};
    std::string bytes = serialize(receipts);
    batch_ = Batch{place, std::move(receipts), std::move(bytes)};
    TRY_VOID(flush());
    more = true;
  }
  for (auto& outlet : outlets_) resend_open(outlet);
  write_table(false);
  return more;
}

// Whether a request begun now ends while the lease is still ours.
bool SteppedNotifier::may_send() {
  if (auto kept = lease_.keep(); !kept) {
    say(kept.error().message);
    if (!lease_.held()) return false;
  }
  return lease_.remaining() > options_.request_timeout;
}

// Returns whether more may be due at once.
bool SteppedNotifier::send_due(Outlet& outlet, std::vector<Receipt>& receipts, bool& sent) {
  auto due = outbox_.due(outlet.name, kDueAtATime);
  const bool full = due.size() == kDueAtATime;
  // What failed before goes last, so that one page a target cannot digest does not hold up the others.
  std::ranges::stable_sort(due, {}, [&](const Delivery& d) {
    const auto it = attempts_.find({outlet.name, d.transition.id});
    return it == attempts_.end() ? 0 : it->second.count;
  });
  for (const auto& delivery : due) {
    if (delivery.decision) {
      receipts.push_back({delivery.transition, outlet.name, *delivery.decision, world_.clock.now(), 0, "", delivery.dedup_key});
      continue;
    }
    const Duration now = world_.clock.monotonic();
    if (now < outlet.not_before || now - step_began_ > kStepMax) continue;
    if (!may_send()) return false;
    sent = true;
    send_one(outlet, delivery, receipts);
  }
  if (outlet.reported && outlet.accepted && world_.clock.monotonic() - outlet.last_failure > kReportAfter) {
    report(outlet, TransitionKind::kResolved, "");
  }
  return full && outlet.failures == 0;
}

void SteppedNotifier::send_one(Outlet& outlet, const Delivery& delivery, std::vector<Receipt>& receipts) {
  const auto attempts_key = std::make_pair(outlet.name, delivery.transition.id);
  auto& attempts = attempts_.try_emplace(attempts_key, Attempts{0, world_.clock.monotonic()}).first->second;
  ++attempts.count;
  const Answer answer = outlet.target->deliver(delivery, world_.clock.now(), options_.request_timeout);
  const bool accepted = answer.kind == Answer::Kind::kAccepted;
  const bool given_up = answer.kind == Answer::Kind::kAgain && world_.clock.monotonic() - attempts.first >= options_.give_up_after;
  if (accepted) {
    note_accepted(outlet);
  } else {
    note_failure(outlet, answer.kind == Answer::Kind::kRefused || given_up, answer.detail);
    if (answer.kind == Answer::Kind::kAgain && !given_up) return;
  }
  const auto status = accepted ? ReceiptStatus::kDelivered : ReceiptStatus::kDead;
  receipts.push_back({delivery.transition, outlet.name, status, world_.clock.now(), attempts.count, answer.detail, delivery.dedup_key});
  attempts_.erase(attempts_key);
}

void SteppedNotifier::note_accepted(Outlet& outlet) {
  outlet.accepted = true;
  outlet.failures = 0;
  outlet.not_before = Duration(0);
}

// `dead`: a page was lost to this target for good.
void SteppedNotifier::note_failure(Outlet& outlet, bool dead, const std::string& detail) {
  const Duration now = world_.clock.monotonic();
  outlet.last_failure = now;
  outlet.accepted = false;
  say("target '" + outlet.name + "': " + detail);
  if (dead) {
    report(outlet, TransitionKind::kFiring, detail);
    return;
  }
  if (outlet.failures++ == 0) outlet.failing_since = now;
  const std::int64_t backoff = kBackoffMin.value() << std::min(outlet.failures - 1, kBackoffDoublings);
  const auto jitter = static_cast<std::int64_t>(world_.random.next() % static_cast<std::uint64_t>(backoff / 4));
  outlet.not_before = now + Duration(backoff + jitter);
  if (now - outlet.failing_since >= kReportAfter) report(outlet, TransitionKind::kFiring, detail);
}

// The page about pages that do not get through.
void SteppedNotifier::report(Outlet& outlet, TransitionKind kind, const std::string& detail) {
  outlet.reported = kind == TransitionKind::kFiring;
  Transition page;
  page.id.rule = kUndeliverableRule;
  page.id.key = undeliverable_key(outlet.name);
  page.kind = kind;
  page.boundary = world_.clock.now();
  page.began_at = page.boundary;
  page.labels = {{"alertname", "PageUndeliverable"}, {"severity", "page"}, {"branch", options_.branch}, {"target", outlet.name}};
  page.annotations = {{"summary", "Headpond cannot deliver pages of " + options_.branch + " to " + outlet.name + ": " + detail}};
  page.sql = "headpond pages";
  outbox_.report(std::move(page));
}

base::Result<void> SteppedNotifier::flush() {
  const std::string path = receipt_path(options_.pages_root, batch_->place);
  if (auto put = world_.lake.put_if_absent(path, batch_->bytes); !put) {
    const auto kind = put.error().kind;
    if (kind != ErrorKind::kConflict && kind != ErrorKind::kUnknown) return std::unexpected(put.error());
    const auto there = world_.lake.get(path);
    if (!there) return base::fail(ErrorKind::kRetry, there.error().message);
    // An epoch is ours alone: another's bytes under it mean the lease did not hold.
    if (*there != batch_->bytes) return base::fail(ErrorKind::kFenced, path + " was written by another sender; this one stops");
  }
  outbox_.apply(batch_->place, batch_->receipts);
  count(batch_->receipts);
  batch_.reset();
  table_behind_ = true;
  return {};
}

void SteppedNotifier::resend_open(Outlet& outlet) {
  const Duration now = world_.clock.monotonic();
  if (!outlet.target->wants_resend() || now < outlet.resend_at || now < outlet.not_before) return;
  outlet.resend_at = now + options_.resend_interval;
  const auto open = outbox_.open_pages(outlet.name);
  if (open.empty() || !may_send()) return;
  const Answer answer = outlet.target->resend(open, world_.clock.now(), options_.request_timeout);
  if (answer.kind == Answer::Kind::kAccepted) return;
  say("target '" + outlet.name + "', resending: " + answer.detail);
  outlet.resend_at = now + Duration(std::min(options_.resend_interval.value(), Duration::seconds(5).value()));
}

// A table that cannot be written must not stop pages.
void SteppedNotifier::write_table(bool force) {
  const Duration now = world_.clock.monotonic();
  if (options_.table_interval.value() == 0 || !table_behind_ || (now < table_at_ && !force)) return;
  const auto more = table_.write();
  table_at_ = now + options_.table_interval;
  if (!more) {
    say("pages table: " + more.error().message);
    table_failing_ = true;
    return;
  }
  table_failing_ = false;
  table_behind_ = *more;
}

void SteppedNotifier::count(const std::vector<Receipt>& receipts) {
  const std::lock_guard lock(mutex_);
  for (const auto& receipt : receipts) {
    switch (receipt.status) {
      case ReceiptStatus::kDelivered:
        ++status_.delivered;
        if (receipt.transition.kind == TransitionKind::kFiring) status_.last_page_ms = receipt.event_to_page_ms().value_or(0);
        break;
      case ReceiptStatus::kSuperseded:
      case ReceiptStatus::kConfirmed:
      case ReceiptStatus::kSummarised: ++status_.superseded; break;
      case ReceiptStatus::kRecorded: ++status_.recorded; break;
      case ReceiptStatus::kDead: ++status_.dead; break;
      case ReceiptStatus::kSettled: break;
    }
  }
}

void SteppedNotifier::say(std::string message) {
  const std::lock_guard lock(mutex_);
  status_.message = std::move(message);
}

base::Result<void> SteppedNotifier::drain() {
  base::Result<void> outcome;
  for (int i = 0; i < kDrainSteps; ++i) {
    const auto more = step();
    if (!more) outcome = std::unexpected(more.error());
    if (!more || !*more) break;
  }
  if (!lease_.held()) return outcome;
  for (int i = 0; i < kDrainSteps && table_behind_; ++i) {
    write_table(true);
    if (table_failing_) break;
  }
  if (auto released = lease_.release(); !released && outcome) outcome = std::unexpected(released.error());
  return outcome;
}

}  // namespace

base::Result<std::unique_ptr<Notifier>> Notifier::open(NotifierOptions options, std::vector<TargetConfig> targets, Outbox& outbox,
                                                       NotifierWorld world) {
  std::error_code error;
  std::filesystem::create_directories(options.local_directory, error);
  if (error) return base::fail(ErrorKind::kInvalid, "cannot create " + options.local_directory + ": " + error.message());
  // The console first: it never waits.
  std::ranges::stable_sort(targets, {}, [](const TargetConfig& t) { return t.kind != TargetKind::kStdout; });
  std::vector<Outlet> outlets;
  std::set<std::string> names;
  for (const auto& config : targets) {
    if (config.name.empty() || !names.insert(config.name).second) {
      return base::fail(ErrorKind::kInvalid,
                        "two targets of branch " + options.branch + " are named '" + config.name + "'; give each its own name");
    }
    Outlet outlet;
    outlet.name = config.name;
    outlet.last_failure = world.clock.monotonic();
    TRY(outlet.target, make_target(config, options, world.http, world.print));
    outlets.push_back(std::move(outlet));
  }
  TRY(std::string holder, lease::holder_token(options.local_directory, world.random));
  return std::make_unique<SteppedNotifier>(std::move(options), std::move(outlets), std::move(holder), outbox, std::move(world));
}

}  // namespace headpond::notify
