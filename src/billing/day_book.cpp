#include "billing/day_book.h"

#include <algorithm>

#include "base/time.h"

namespace headpond::billing {
namespace {

void add(Amounts& to, const bronze::Range& range) {
  to.events += range.rows;
  to.bytes += range.bytes;
  to.errors += range.errors;
}

}  // namespace

Amounts DayFacts::totals() const {
  Amounts sum;
  for (const auto& slot : slots) {
    sum.events += slot.events;
    sum.bytes += slot.bytes;
    sum.errors += slot.errors;
  }
  return sum;
}

namespace {

using At = std::pair<std::int64_t, std::int64_t>;  // when, how many

void take_greater(At& best, std::int64_t when, std::int64_t events) {
  if (events > best.second || (events == best.second && when < best.first)) best = {when, events};
}

}  // namespace

At DayFacts::peak_second() const {
  At best{};
  for (const auto& [second, events] : seconds) take_greater(best, second, events);
  for (const auto& peak : peaks) take_greater(best, peak.second, peak.rows);
  return best;
}

At DayFacts::peak_minute() const {
  At best{};
  std::map<std::int64_t, std::int64_t> minutes;
  for (const auto& [second, events] : seconds) minutes[second / 60] += events;
  for (const auto& [minute, events] : minutes) take_greater(best, minute, events);
  for (const auto& peak : peaks) take_greater(best, peak.minute, peak.minute_rows);
  return best;
}

std::string to_string(const Holdout& holdout) {
  return holdout.partition.source + " partition " + std::to_string(holdout.partition.partition.value()) + " (" +
         (holdout.clock ? "clock " + base::format_rfc3339(*holdout.clock) : "no clock yet") +
         (holdout.stalled ? ", stalled: " + *holdout.stalled : "") + ")";
}

base::Result<void> DayBook::add_range(base::Version version, const std::string& source, const bronze::Range& range) {
  const base::Micros start(range.quarter * base::kQuarterHour.value());
  const auto midnight = base::floor_to(start, base::kDay);
  if (!first_day_ || midnight < *first_day_) first_day_ = midnight;
  if (midnight < kept_from_) return {};
  auto& day = days_[midnight];
  const base::SourcePartition name{source, range.partition};
  auto& part = day.partitions.try_emplace(name, PartitionDay{.first = range.first, .last = range.first.prev()}).first->second;
  if (range.first != part.last.next()) {
    return base::fail(base::ErrorKind::kCorrupt, "version " + std::to_string(version.value()) + ": " + name.source + " partition " +
                                                     std::to_string(name.partition.value()) + " goes on at offset " +
                                                     std::to_string(range.first.value()) + " behind " + std::to_string(part.last.value()) +
                                                     "; run `headpond audit`");
  }
  part.last = range.last;
  part.gaps += range.gaps;
  part.fingerprint += range.fingerprint;
  part.payload_fingerprint += range.payload_fingerprint;
  add(part.amounts, range);
  add(day.slots[static_cast<std::size_t>((start - midnight).value() / base::kQuarterHour.value())], range);
  return {};
}

void DayBook::add_rows(std::int64_t second, std::int64_t rows) {
  const auto midnight = base::floor_to(base::Micros(second * base::kSecond.value()), base::kDay);
  if (midnight >= kept_from_) days_[midnight].seconds[second] += rows;
}

base::Result<void> DayBook::apply(const bronze::LedgerBlock& block) {
  for (const auto& topic : block.clock.topics()) broker_stamped_[topic.source()] = topic.log_append_time;
  for (const auto& entry : block.ranges) TRY_VOID(add_range(block.last, entry.source, entry.range));
  // A block counts the seconds that are still open anew.
  for (const auto& [second, rows] : open_seconds_)
    if (const auto day = days_.find(base::floor_to(base::Micros(second * base::kSecond.value()), base::kDay)); day != days_.end())
      day->second.seconds.erase(second);
  open_seconds_ = block.seconds;
  for (const auto& [second, rows] : open_seconds_) add_rows(second, rows);
  for (const auto& peak : block.peaks) {
    const auto midnight = base::floor_to(base::Micros(peak.second * base::kSecond.value()), base::kDay);
    if (midnight >= kept_from_) days_[midnight].peaks.push_back(peak);
  }
  version_ = block.last;
  clock_ = block.clock;
  return {};
}

base::Result<void> DayBook::apply(const bronze::Step& step) {
  if (step.gap)
    return base::fail(base::ErrorKind::kRetry, "bronze's log was cleaned up to version " + std::to_string(step.version.value()) +
                                                   " while it was read; reading ledger and log again");
  if (step.facts.topic) broker_stamped_[step.facts.topic->source()] = step.facts.topic->log_append_time;
  for (const auto& batch : step.facts.batches) {
    for (const auto& range : batch.ranges) TRY_VOID(add_range(step.version, batch.source, range));
    for (const auto& [second, rows] : batch.seconds) add_rows(second, rows);
  }
  version_ = step.version;
  clock_ = step.clock;
  return {};
}

void DayBook::forget_before(base::Micros day) {
  kept_from_ = std::max(kept_from_, day);
  days_.erase(days_.begin(), days_.lower_bound(day));
}

const DayFacts* DayBook::find(base::Micros day) const {
  const auto it = days_.find(day);
  return it == days_.end() ? nullptr : &it->second;
}

bool DayBook::broker_clock(const std::map<base::SourcePartition, PartitionDay>& partitions) const {
  return !partitions.empty() && std::ranges::all_of(partitions, [this](const auto& entry) {
    const auto it = broker_stamped_.find(entry.first.source);
    return it != broker_stamped_.end() && it->second;
  });
}

std::vector<Holdout> DayBook::holdouts(base::Micros day) const {
  std::vector<Holdout> found;
  for (const auto& [partition, state] : clock_.partitions()) {
    if (state.in_force && (!state.clock || *state.clock < day + base::kDay)) found.push_back({partition, state.clock, state.stalled});
  }
  return found;
}

bool DayBook::closed(base::Micros day) const {
  const bool any = std::ranges::any_of(clock_.partitions(), [](const auto& entry) { return entry.second.in_force; });
  return any && holdouts(day).empty();
}

}  // namespace headpond::billing
