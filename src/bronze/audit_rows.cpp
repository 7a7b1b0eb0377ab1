#include "bronze/audit_rows.h"

#include <algorithm>

#include "base/time.h"

namespace headpond::bronze {

std::string place_text(base::Version version, const base::SourcePartition& partition, base::Offset first, base::Offset last) {
  return "version " + std::to_string(version.value()) + ", " + partition.source + " partition " +
         std::to_string(partition.partition.value()) + ", offsets " + std::to_string(first.value()) + "-" + std::to_string(last.value());
}

VersionRows::VersionRows(base::Version version, const CommitFacts& facts, const std::map<base::SourcePartition, base::Micros>& clocks,
                         RowTraces& traces, std::vector<Finding>& findings)
    : version_(version), clocks_(clocks), traces_(traces), findings_(findings) {
  for (const auto& batch : facts.batches)
    for (const auto& range : batch.ranges) {
      const base::SourcePartition partition{batch.source, range.partition};
      sums_[partition].push_back({partition, &range});
    }
  for (auto& [partition, sums] : sums_) std::ranges::stable_sort(sums, {}, [](const Sum& s) { return s.range->first; });
}

void VersionRows::found_once(const std::string& what, const RowFact& row, const std::string& more) {
  if (told_.emplace(what, row.partition).second)
    findings_.push_back({what, place_text(version_, row.partition, row.offset, row.offset) + (more.empty() ? "" : ": " + more)});
}

VersionRows::Sum* VersionRows::sum_of(const RowFact& row) {
  const auto it = sums_.find(row.partition);
  if (it == sums_.end()) return nullptr;
  const auto behind = std::ranges::upper_bound(it->second, row.offset, {}, [](const Sum& s) { return s.range->first; });
  if (behind == it->second.begin() || std::prev(behind)->range->last < row.offset) return nullptr;
  return &*std::prev(behind);
}

void VersionRows::check_order(const DataFile& file, const RowFact& row) {
  auto& trace = traces_[row.partition];
  if (std::pair(row.offset, row.record_index) <= std::pair(trace.offset, trace.record_index)) {
    const bool same = row.offset == trace.offset && row.record_index == trace.record_index;
    found_once(same ? "doubled row" : "row out of order", row,
               "it follows offset " + std::to_string(trace.offset.value()) + " in " + file.path);
  }
  if (trace.arrival && row.arrival < *trace.arrival)
    found_once("arrival falls", row, base::format_rfc3339(row.arrival) + " follows " + base::format_rfc3339(*trace.arrival));
  if (const auto clock = clocks_.find(row.partition); clock != clocks_.end() && row.arrival < clock->second)
    found_once("row below a published clock", row,
               "arrival " + base::format_rfc3339(row.arrival) + ", clock " + base::format_rfc3339(clock->second));
  if (base::format_day(row.arrival) != file.ingest_date)
    found_once("row in the wrong day", row, "arrival " + base::format_rfc3339(row.arrival) + " in " + file.path);
  trace = {row.offset, row.record_index, row.arrival};
}

void VersionRows::add(const DataFile& file, const RowFact& row) {
  check_order(file, row);
  auto* const sum = sum_of(row);
  if (sum == nullptr) return found_once("stray row", row, "no range of this version covers it, in " + file.path);
  const auto quarter = base::floor_to(row.arrival, base::kQuarterHour).value() / base::kQuarterHour.value();
  if (quarter != sum->range->quarter) found_once("row in the wrong quarter hour", row, "arrival " + base::format_rfc3339(row.arrival));
  const auto tenant = row.tenant ? std::string_view(*row.tenant) : std::string_view();
  sum->rows += 1;
  sum->bytes += row.bytes;
  sum->errors += row.error ? 1 : 0;
  sum->fingerprint +=
      row_fingerprint(row.partition.source, row.partition.partition.value(), row.offset.value(), row.record_index, tenant, row.bytes);
  if (row.raw) sum->payload_fingerprint += payload_fingerprint(row.offset.value(), *row.raw);
}

void VersionRows::finish(bool complete) {
  if (!complete) return;  // the missing file is named; what follows from it is not news
  for (const auto& [partition, sums] : sums_) {
    for (const auto& sum : sums) {
      const auto& range = *sum.range;
      const auto where = place_text(version_, partition, range.first, range.last);
      const auto differs = [&](std::int64_t found, std::int64_t said) {
        return where + ": " + std::to_string(found) + " found, " + std::to_string(said) + " in the log";
      };
      if (sum.rows != range.rows) {
        findings_.push_back({sum.rows < range.rows ? "lost rows" : "more rows than committed", differs(sum.rows, range.rows)});
        continue;  // sums over other rows cannot agree
      }
      if (sum.bytes != range.bytes) findings_.push_back({"bytes differ", differs(sum.bytes, range.bytes)});
      if (sum.errors != range.errors) findings_.push_back({"error rows differ", differs(sum.errors, range.errors)});
      if (sum.fingerprint != range.fingerprint)
        findings_.push_back({"fingerprint differs", where + ": rows give " + fingerprint_text(sum.fingerprint) + ", the log says " +
                                                        fingerprint_text(range.fingerprint)});
      if (sum.payload_fingerprint != range.payload_fingerprint)
        findings_.push_back({"payload differs", where + ": payloads give " + fingerprint_text(sum.payload_fingerprint) + ", the log says " +
                                                    fingerprint_text(range.payload_fingerprint)});
    }
  }
}

}  // namespace headpond::bronze
