// What bronze's ledger and log say about each UTC day of arrival: offset ranges, events, bytes, fingerprints, by partition and by quarter
// hour.
//
//   DayBook book;
//   TRY(const auto to, bronze::read_ledger(table, [&](const auto& block) { return book.apply(block); }));
//   TRY(auto tail, bronze::Tail::open(store, root, to));
//   while (auto step = tail.next()…) TRY_VOID(book.apply(*step));
//   if (book.holdouts(day).empty()) …every clock in force has passed the midnight that ends `day`…
//
// Values; threads: one at a time.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "bronze/ledger.h"
#include "bronze/tail.h"

namespace headpond::billing {

inline constexpr std::size_t kSlots = 96;  // quarter hours of a day

struct Amounts {
  std::int64_t events = 0, bytes = 0, errors = 0;
  auto operator<=>(const Amounts&) const = default;
};

// One partition's share of a day. Without rows: last = first − 1.
struct PartitionDay {
  base::Offset first{0}, last{-1};
  Amounts amounts{};
  std::int64_t gaps = 0;
  std::uint64_t fingerprint = 0, payload_fingerprint = 0;
  auto operator<=>(const PartitionDay&) const = default;
};

struct DayFacts {
  std::map<base::SourcePartition, PartitionDay> partitions;
  std::array<Amounts, kSlots> slots;
  std::map<std::int64_t, std::int64_t> seconds;  // events by second of arrival since the epoch, but of quarter hours closed in the ledger
  std::vector<bronze::Peak> peaks;               // of those

  Amounts totals() const;
  // The first second, or minute, since the epoch with the most events, and those. {0, 0}: there is none.
  std::pair<std::int64_t, std::int64_t> peak_second() const;
  std::pair<std::int64_t, std::int64_t> peak_minute() const;
};

// A partition whose clock keeps a day open.
struct Holdout {
  base::SourcePartition partition;
  std::optional<base::Micros> clock;   // none: it never had one
  std::optional<std::string> stalled;  // why, if it is
};
std::string to_string(const Holdout& holdout);  // "logs@0 partition 3 (clock 2026-11-24T23:10:00Z, stalled: no leader)"

class DayBook {
 public:
  // The ledger's blocks first. Errors: kCorrupt: ranges that do not follow each other.
  base::Result<void> apply(const bronze::LedgerBlock& block);
  // Errors: as above; kRetry: the log was cleaned between ledger and tail: begin again.
  base::Result<void> apply(const bronze::Step& step);
  // Days before `day` are closed for good: what is known of them goes, and what comes of them is passed over.
  void forget_before(base::Micros day);
  base::Micros kept_from() const { return kept_from_; }

  const DayFacts* find(base::Micros day) const;
  std::optional<base::Micros> first_day() const { return first_day_; }  // with a row, ever
  base::Version version() const { return version_; }
  const bronze::TableClock& clock() const { return clock_; }
  // True when the broker stamps every source among these partitions.
  bool broker_clock(const std::map<base::SourcePartition, PartitionDay>& partitions) const;

  // The partitions in force whose clock has not passed the midnight that ends `day`. With no partition in force, nothing is closed.
  std::vector<Holdout> holdouts(base::Micros day) const;
  bool closed(base::Micros day) const;

 private:
  base::Result<void> add_range(base::Version version, const std::string& source, const bronze::Range& range);
  void add_rows(std::int64_t second, std::int64_t rows);

  std::map<base::Micros, DayFacts> days_;
  std::map<std::string, bool> broker_stamped_;  // by source
  std::optional<base::Micros> first_day_;
  base::Micros kept_from_{INT64_MIN};
  base::Version version_{-1};
  std::map<std::int64_t, std::int64_t> open_seconds_;  // of the newest block
  bronze::TableClock clock_;
};

}  // namespace headpond::billing
