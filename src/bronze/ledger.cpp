#include "bronze/ledger.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/time.h"
#include "bronze/facts_json.h"
#include "delta/json.h"

namespace headpond::bronze {
namespace {

using nlohmann::json;
using Written = nlohmann::ordered_json;

constexpr int kLedgerFormat = 1;
constexpr std::string_view kFolder = "_headpond/ledger/";
constexpr std::int64_t kQuarterSeconds = 15 * 60;

std::string file_name(base::Version version) {
  const auto entry = delta::log_path(version);
  return entry.substr(entry.rfind('/') + 1);
}

// Every clock in force has passed what lies before it. None: one has no clock, or none is in force.
std::optional<base::Micros> passed_by_all(const TableClock& clock) {
  std::optional<base::Micros> smallest;
  for (const auto& [partition, state] : clock.partitions()) {
    if (!state.in_force) continue;
    if (!state.clock) return std::nullopt;
    smallest = smallest ? std::min(*smallest, *state.clock) : *state.clock;
  }
  return smallest;
}

LedgerBlock block_of(const json& object) {
  LedgerBlock block;
  block.first = base::Version(object.at("first_version").get<std::int64_t>());
  block.last = base::Version(object.at("last_version").get<std::int64_t>());
  block.files = object.at("files").get<std::int64_t>();
  for (const auto& [source, ranges] : object.at("ranges").items())
    for (const auto& value : ranges) {
      LedgerRange entry{.source = source, .range = range_of(value), .gap_kinds = {}};
      if (value.size() > kRangeFields) entry.gap_kinds = value[kRangeFields].get<std::vector<std::string>>();
      block.ranges.push_back(std::move(entry));
    }
  for (const auto& p : object.at("peaks"))
    block.peaks.push_back({p.at(0).get<std::int64_t>(), p.at(1).get<std::int64_t>(), p.at(2).get<std::int64_t>(),
                           p.at(3).get<std::int64_t>(), p.at(4).get<std::int64_t>()});
  for (const auto& s : object.at("seconds")) block.seconds[s.at(0).get<std::int64_t>()] = s.at(1).get<std::int64_t>();
  return block;
}

}  // namespace

LedgerFold::LedgerFold(const LedgerBlock* before) {
  if (before == nullptr) return;
  block_.first = before->last.next();
  block_.last = before->last;
  block_.clock = before->clock;
  block_.seconds = before->seconds;
}

base::Result<void> LedgerFold::add(base::Version version, base::Micros committed_at, const CommitFacts& facts, std::int64_t files) {
  HP_ASSERT(version == next());
  TRY_VOID(block_.clock.apply(facts));
  if (empty()) block_.begun_at = committed_at;
  block_.last = version;
  block_.files += files;
  for (const auto& batch : facts.batches) {
    for (const auto& r : batch.ranges) {
      const auto [it, fresh] = ranges_.try_emplace({batch.source, r.partition, r.quarter}, LedgerRange{batch.source, r, {}});
      auto& [source, sum, kinds] = it->second;
      if (!fresh) {
        sum.last = r.last;  // the fold above has seen that offsets follow each other; `arrival` never falls, so no quarter is left and
                            // entered again
        sum.rows += r.rows;
        sum.bytes += r.bytes;
        sum.errors += r.errors;
        sum.gaps += r.gaps;
        sum.fingerprint += r.fingerprint;
        sum.payload_fingerprint += r.payload_fingerprint;
      }
      if (r.gaps == 0) continue;
      for (const auto& kind : batch.gap_kinds)
        if (std::ranges::find(kinds, kind) == kinds.end()) kinds.push_back(kind);
    }
    for (const auto& [second, rows] : batch.seconds) block_.seconds[second] += rows;
  }
  return {};
}

void LedgerFold::close_quarters() {
  const auto passed = passed_by_all(block_.clock);
  if (!passed) return;
  const std::int64_t open_from = base::floor_to(*passed, base::kQuarterHour).value() / base::kQuarterHour.value();
  auto& seconds = block_.seconds;
  std::map<std::int64_t, std::int64_t> minutes;
  while (!seconds.empty() && seconds.begin()->first / kQuarterSeconds < open_from) {
    const auto [second, rows] = *seconds.begin();
    const auto quarter = second / kQuarterSeconds;
    if (block_.peaks.empty() || block_.peaks.back().quarter != quarter) block_.peaks.push_back({.quarter = quarter});
    auto& peak = block_.peaks.back();
    if (rows > peak.rows) peak.second = second, peak.rows = rows;
    const auto in_minute = minutes[second / 60] += rows;
    if (in_minute > peak.minute_rows) peak.minute = second / 60, peak.minute_rows = in_minute;
    seconds.erase(seconds.begin());
  }
}

LedgerBlock LedgerFold::finish() && {
  close_quarters();
  for (auto& [key, range] : ranges_) block_.ranges.push_back(std::move(range));
  return std::move(block_);
}

std::string ledger_path(const LedgerBlock& block) {
  return std::string(kFolder) + base::format_day(block.begun_at) + "/" + file_name(block.first);
}

std::string to_json(const LedgerBlock& block) {
  Written ranges = Written::object(), peaks = Written::array(), seconds = Written::array();
  for (const auto& entry : block.ranges) {
    auto value = to_value(entry.range);
    if (!entry.gap_kinds.empty()) value.push_back(entry.gap_kinds);
    ranges[entry.source].push_back(std::move(value));
  }
  for (const auto& p : block.peaks) peaks.push_back({p.quarter, p.second, p.rows, p.minute, p.minute_rows});
  for (const auto& [second, rows] : block.seconds) seconds.push_back({second, rows});
  const Written out = {{"format", kLedgerFormat},
                       {"needs", kNeeds},
                       {"first_version", block.first.value()},
                       {"last_version", block.last.value()},
                       {"files", block.files},
                       {"ranges", std::move(ranges)},
                       {"peaks", std::move(peaks)},
                       {"seconds", std::move(seconds)}};
  auto text = out.dump(-1, ' ', false, Written::error_handler_t::replace);
  text.pop_back();
  return text + ",\"table\":" + block.clock.to_json() + "}";
}

base::Result<LedgerBlock> parse_ledger_block(std::string_view text, std::string_view name) {
  try {
    const auto object = delta::parse_json<json>(text);
    if (const int format = object.at("format").get<int>(); format > kLedgerFormat)
      return base::fail(base::ErrorKind::kInvalid, std::string(name) + ": ledger format " + std::to_string(format) +
                                                       " is newer than this Headpond reads (" + std::to_string(kLedgerFormat) +
                                                       "); install Headpond " +
                                                       object.value("needs", std::string("the version that wrote it")) + " or later");
    auto block = block_of(object);
    TRY(block.clock, TableClock::parse(object.at("table").dump(), name));
    return block;
  } catch (const json::exception& e) {
    return base::fail(base::ErrorKind::kCorrupt,
                      std::string(name) + ": not a block of the ledger (" + e.what() + "); restore this object from a copy");
  }
}

base::Result<std::vector<LedgerEntry>> list_ledger(const delta::Table& table) {
  TRY(const auto objects, table.store().list(table.path(kFolder)));
  std::vector<LedgerEntry> out;
  for (const auto& object : objects)
    if (const auto version = delta::log_version(object.path)) out.push_back({*version, object.path});
  std::ranges::sort(out, {}, &LedgerEntry::first);
  return out;
}

base::Result<LedgerBlock> read_ledger_block(const delta::Table& table, const LedgerEntry& entry) {
  TRY(const auto text, table.store().get(entry.path));
  TRY(auto block, parse_ledger_block(text, entry.path));
  if (block.first == entry.first && block.last >= block.first) return block;
  return base::fail(base::ErrorKind::kCorrupt, entry.path + ": holds versions " + std::to_string(block.first.value()) + "-" +
                                                   std::to_string(block.last.value()) + "; restore this object from a copy");
}

base::Result<std::optional<LedgerBlock>> last_ledger_block(const delta::Table& table) {
  TRY(const auto entries, list_ledger(table));
  if (entries.empty()) return std::nullopt;
  TRY(auto block, read_ledger_block(table, entries.back()));
  return block;
}

base::Result<base::Version> read_ledger(const delta::Table& table, const std::function<base::Result<void>(const LedgerBlock&)>& visit) {
  TRY(const auto entries, list_ledger(table));
  auto last = base::Version(-1);
  for (const auto& entry : entries) {
    if (entry.first != last.next())
      return base::fail(base::ErrorKind::kCorrupt, "the ledger of " + table.store().describe() + table.root() + " ends at version " +
                                                       std::to_string(last.value()) + " and goes on at " +
                                                       std::to_string(entry.first.value()) + " (" + entry.path +
                                                       "); run `headpond audit` and restore what is missing from a copy");
    TRY(const auto block, read_ledger_block(table, entry));
    TRY_VOID(visit(block));
    last = block.last;
  }
  return last;
}

base::Result<LedgerBlock> put_ledger_block(const delta::Table& table, const LedgerBlock& block) {
  const auto path = table.path(ledger_path(block));
  const auto put = table.store().put_if_absent(path, to_json(block));
  if (put) return block;
  if (put.error().kind != base::ErrorKind::kConflict && put.error().kind != base::ErrorKind::kUnknown) return std::unexpected(put.error());
  auto there = read_ledger_block(table, {block.first, path});
  if (!there && there.error().kind == base::ErrorKind::kNotFound) return base::fail(base::ErrorKind::kRetry, put.error().message);
  return there;
}

}  // namespace headpond::bronze
