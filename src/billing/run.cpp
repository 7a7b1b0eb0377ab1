#include <algorithm>

#include "base/time.h"
#include "billing/billing.h"
#include "billing/close.h"

namespace headpond::billing {

Settings settings_of(const spec::Topology& topology, const spec::Branch& branch, spec::PriceBook prices) {
  Settings settings;
  settings.topology = topology.name;
  settings.branch = branch.name;
  if (branch.schedule) settings.schedule = *branch.schedule;
  for (const auto& consumer : topology.consumers) {
    for (const auto& served : branch.serves) {
      if (consumer.name != served) continue;
      const auto seconds = consumer.freshness.to_seconds();
      settings.promise_s = settings.promise_s == 0 ? seconds : std::min(settings.promise_s, seconds);
    }
  }
  settings.prices = std::move(prices);
  return settings;
}

base::Result<DayResult> run_day(const Settings& settings, World world, base::Micros day, bool provisional) {
  TRY(const auto certified, certified_days(world, settings));
  // The first day to do: `day` itself when it is closed already, else the one behind the last closed one.
  std::optional<base::Micros> from;
  if (!certified.empty()) from = std::min(day, certified.back() + base::kDay);
  TRY(const auto bronze, load_book(world, from));
  if (provisional) {
    if (bronze.book.closed(day) && bronze.book.first_day() && day >= *bronze.book.first_day()) {
      return base::fail(base::ErrorKind::kInvalid,
                        base::format_day(day) + " is closed: every partition has passed its midnight; run it without --provisional");
    }
    return close_day(settings, world, bronze, day, true);
  }
  TRY_VOID(require_closed(bronze.book, day));
  std::vector<base::Micros> also;
  for (auto next = from.value_or(*bronze.book.first_day()); next < day; next = next + base::kDay) {
    TRY_VOID(close_day(settings, world, bronze, next, false));
    also.push_back(next);
  }
  TRY(auto result, close_day(settings, world, bronze, day, false));
  result.also = std::move(also);
  return result;
}

}  // namespace headpond::billing
