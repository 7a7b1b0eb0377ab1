#include "billing/engine.h"

#include "base/time.h"
#include "billing/calculator.h"
#include "billing/close.h"

namespace headpond::billing {
namespace {

constexpr int kVersionsPerStep = 256;
// A nightly branch has no hurry to learn of a version, nor to tell how far it is.
constexpr auto kPollInterval = base::Duration::seconds(1);
// `bill run` may close a day beside this engine.
constexpr auto kLookInterval = base::Duration::seconds(10);

}  // namespace

Engine::Engine(Settings settings, World world, base::Cron schedule)
    : settings_(std::move(settings)), world_(std::move(world)), schedule_(schedule) {
  status_.branch = settings_.branch;
  status_.kind = "billing";
  status_.engine = world_.calculator != nullptr ? world_.calculator->word() : "embedded";
  status_.state = "starting";
  status_.promise_s = settings_.promise_s;
}

base::Result<std::unique_ptr<Engine>> Engine::open(Settings settings, World world) {
  TRY(const auto schedule, base::Cron::parse(settings.schedule));
  std::unique_ptr<Engine> engine(new Engine(std::move(settings), std::move(world), schedule));
  TRY_VOID(engine->look_for_bills());
  return engine;
}

base::Result<void> Engine::look_for_bills() {
  const auto now = world_.clock.monotonic();
  if (looked_at_ && now - *looked_at_ < kLookInterval) return {};
  TRY(const auto certified, certified_days(world_, settings_));
  looked_at_ = now;
  if (certified.empty() || (last_closed_day_ && certified.back() <= *last_closed_day_)) return {};
  last_closed_day_ = certified.back();
  bronze_.book.forget_before(certified.back() + base::kDay);
  return {};
}

base::Result<std::unique_ptr<Engine>> Engine::open(const spec::Topology& topology, const spec::Branch& branch, spec::PriceBook prices,
                                                   World world) {
  return open(settings_of(topology, branch, std::move(prices)), std::move(world));
}

base::Result<bool> Engine::step() {
  TRY(const bool read, read_log());
  if (read) return true;
  TRY_VOID(look_for_bills());
  TRY(const bool closed, close_if_due());
  TRY_VOID(publish(closed));
  return closed;
}

base::Result<bool> Engine::read_log() {
  const auto now = world_.clock.monotonic();
  if (polled_at_ && now - *polled_at_ < kPollInterval) return false;
  if (!tail_) {
    auto tail = open_book(world_, bronze_.book);
    if (!tail && tail.error().kind == base::ErrorKind::kNotFound) {
      polled_at_ = now;
      return false;
    }
    if (!tail) return std::unexpected(std::move(tail).error());
    tail_ = std::make_unique<bronze::Tail>(std::move(*tail));
  }
  for (int i = 0; i < kVersionsPerStep; ++i) {
    TRY(const auto step, tail_->next());
    if (!step) {
      polled_at_ = now;
      return false;
    }
    if (auto applied = bronze_.book.apply(*step); !applied) {
      tail_.reset();  // begin again at the ledger
      return std::unexpected(std::move(applied).error());
    }
    bronze_.table_id = tail_->metadata().id;
  }
  return true;
}

std::optional<base::Micros> Engine::next_day() const {
  return last_closed_day_ ? std::optional(*last_closed_day_ + base::kDay) : bronze_.book.first_day();
}

base::Result<bool> Engine::close_if_due() {
  const auto day = next_day();
  note_state(day);
  if (!day || !bronze_.book.closed(*day)) return false;
  const auto due = schedule_.next_at_or_after(*day + base::kDay);
  if (!due || world_.clock.now() < *due) return false;
  auto closed = close_day(settings_, world_, bronze_, *day, false);
  if (!closed && interrupted_ && closed.error().kind == base::ErrorKind::kRetry) return false;  // the day is done at the next start
  TRY(auto result, std::move(closed));
  last_closed_day_ = *day;
  bronze_.book.forget_before(*day + base::kDay);
  const std::lock_guard lock(mutex_);
  last_result_ = std::move(result);
  return true;
}

void Engine::note_state(const std::optional<base::Micros>& next) {
  const std::lock_guard lock(mutex_);
  status_.state = "running";
  status_.message.clear();
  status_.version = bronze_.book.version();
  status_.durable_version = bronze_.book.version();  // after a restart the ledger says what lies before
  if (last_closed_day_) status_.complete_until = *last_closed_day_ + base::kDay;
  status_.updated_at = world_.clock.now();
  if (!tail_) status_.message = "waiting for bronze";
  if (!next) return;
  // A day whose midnight is well past and that is still open is worth a word: which partition holds it.
  const auto due = schedule_.next_at_or_after(*next + base::kDay);
  if (due && world_.clock.now() >= *due && !bronze_.book.closed(*next)) {
    const auto holdouts = bronze_.book.holdouts(*next);
    status_.message =
        base::format_day(*next) + " is kept open by " + (holdouts.empty() ? std::string("an empty topic") : to_string(holdouts.front()));
  }
  const auto last_ended = base::floor_to(world_.clock.now(), base::kDay);
  status_.figures["days_open"] = static_cast<double>(std::max<std::int64_t>(0, (last_ended - *next).value() / base::kDay.value()));
}

base::Result<void> Engine::publish(bool at_once) {
  const auto now = world_.clock.monotonic();
  const auto interval = bronze::publish_every(world_.lake, world_.paths.bronze);
  if (!tail_ || (!at_once && published_at_ && now - *published_at_ < interval)) return {};
  note_state(next_day());
  published_at_ = now;
  return bronze::publish_status(world_.lake, world_.paths.bronze, status());
}

void Engine::interrupt() {
  interrupted_ = true;
  if (world_.calculator != nullptr) world_.calculator->interrupt();
}

base::Result<void> Engine::drain() {
  if (!tail_) return {};
  note_state(next_day());
  {
    const std::lock_guard lock(mutex_);
    status_.state = "stopped";
  }
  return bronze::publish_status(world_.lake, world_.paths.bronze, status());
}

bronze::BranchStatus Engine::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

std::optional<DayResult> Engine::last_closed() const {
  const std::lock_guard lock(mutex_);
  return last_result_;
}

}  // namespace headpond::billing
