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

std::string to_string(const Holdout& holdout) {
  return holdout.partition.source + " partition " + std::to_string(holdout.partition.partition.value()) + " (" +
         (holdout.clock ? "clock " + base::format_rfc3339(*holdout.clock) : "no clock yet") +
         (holdout.stalled ? ", stalled: " + *holdout.stalled : "") + ")";
}

base::Result<void> DayBook::apply(const bronze::Step& step) {
  if (step.facts.topic) broker_stamped_[step.facts.topic->source()] = step.facts.topic->log_append_time;
  for (const auto& batch : step.facts.batches) {
    for (const auto& range : batch.ranges) {
      const base::Micros start(range.quarter * base::kQuarterHour.value());
      const auto midnight = base::floor_to(start, base::kDay);
      if (!first_day_ || midnight < *first_day_) first_day_ = midnight;
      if (midnight < kept_from_) continue;
      auto& day = days_[midnight];
      if (day.first_version < base::Version(0)) day.first_version = step.version;
      const base::SourcePartition name{batch.source, range.partition};
      auto& part = day.partitions.try_emplace(name, PartitionDay{.first = range.first, .last = range.first.prev()}).first->second;
      if (range.first != part.last.next()) {
        return base::fail(base::ErrorKind::kCorrupt, "version " + std::to_string(step.version.value()) + ": " + name.source +
                                                         " partition " + std::to_string(name.partition.value()) + " goes on at offset " +
                                                         std::to_string(range.first.value()) + " behind " +
                                                         std::to_string(part.last.value()) + "; run `headpond audit`");
      }
      part.last = range.last;
      part.gaps += range.gaps;
      part.fingerprint += range.fingerprint;
      part.payload_fingerprint += range.payload_fingerprint;
      add(part.amounts, range);
      add(day.slots[static_cast<std::size_t>((start - midnight).value() / base::kQuarterHour.value())], range);
    }
    for (const auto& [second, rows] : batch.seconds) {
      const auto midnight = base::floor_to(base::Micros(second * base::kSecond.value()), base::kDay);
      if (midnight >= kept_from_) days_[midnight].seconds[second] += rows;
    }
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

base::Version DayBook::durable_version() const {
  auto version = version_;
  for (const auto& [day, facts] : days_) {
    if (facts.first_version >= base::Version(0)) version = std::min(version, facts.first_version.prev());
  }
  return version;
}

}  // namespace headpond::billing
