// The billing branch inside `headpond up`: follows bronze's log and closes each UTC day when its schedule says so and every partition clock
// has passed midnight; missed days in order.
//
// It owns no thread and never sleeps: call step() again and again. step() closes at most one day.
// Errors of step(): kRetry, kUnknown: again later, on this object. kInvalid, kCorrupt: stop and show a person.
//
// Threads: step and drain from one; status and interrupt from any.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>

#include "base/cron.h"
#include "base/ids.h"
#include "base/result.h"
#include "billing/billing.h"
#include "billing/close.h"
#include "bronze/cursor.h"
#include "bronze/tail.h"

namespace headpond::billing {

class Engine {
 public:
  // Borrows what is in `world`. Bronze need not exist yet. Errors: kInvalid: the schedule. kCorrupt, kRetry: the stored certificates.
  static base::Result<std::unique_ptr<Engine>> open(Settings settings, World world);
  // The same, from a topology.
  static base::Result<std::unique_ptr<Engine>> open(const spec::Topology& topology, const spec::Branch& branch, spec::PriceBook prices,
                                                    World world);

  // True: there may be more to do at once.
  base::Result<bool> step();
  // Nothing is under way between steps; publishes the status once more.
  base::Result<void> drain();
  bronze::BranchStatus status() const;
  // An engine outside this process that is at work is stopped; its day is not closed. Threads: any.
  void interrupt();
  // The newest day closed by this object or before it. Threads: any.
  std::optional<DayResult> last_closed() const;

 private:
  Engine(Settings settings, World world, base::Cron schedule);

  base::Result<bool> read_log();
  base::Result<void> look_for_bills();
  base::Result<bool> close_if_due();
  base::Result<void> publish(bool at_once);
  void note_state(const std::optional<base::Micros>& next);
  std::optional<base::Micros> next_day() const;

  const Settings settings_;
  const World world_;
  const base::Cron schedule_;
  std::unique_ptr<bronze::Tail> tail_;
  LoadedBook bronze_;
  std::optional<base::Micros> last_closed_day_;
  std::optional<base::Duration> polled_at_, published_at_, looked_at_;  // monotonic

  std::atomic<bool> interrupted_{false};
  mutable std::mutex mutex_;
  bronze::BranchStatus status_;
  std::optional<DayResult> last_result_;
};

}  // namespace headpond::billing
