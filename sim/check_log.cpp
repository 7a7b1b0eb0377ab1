#include "sim/check_log.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/xxh3.h"

namespace headpond::sim {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kQuarter = 900'000'000;
constexpr std::int64_t kClockError = 500'000;

template <class Integer>
void put(std::string& out, Integer value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::uint64_t hex(const Json& text) {
  return std::stoull(text.get<std::string>(), nullptr, 16);
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return a / b - (a % b < 0 ? 1 : 0);
}

}  // namespace

void LogChecker::wrong(std::string what) {
  if (!violation_) violation_ = fmt::format("version {}: {}", version_, what);
}

const PartitionLog* LogChecker::log_of(const std::string& source, int partition) const {
  const auto it = sources_.find(source);
  if (it == sources_.end()) return nullptr;
  const auto& topic = broker_.topic(it->second);
  return partition < static_cast<int>(topic.partitions.size()) ? &topic.partitions[static_cast<std::size_t>(partition)] : nullptr;
}

void LogChecker::landed(const std::string& path, const std::string& bytes, int instance, bool replaced, std::int64_t now_us) {
  const auto prefix = rules_.table + "/_delta_log/";
  if (!path.starts_with(prefix) || violation_) return;
  const auto number = std::stoll(path.substr(prefix.size()));
  now_us_ = now_us;
  instance_ = instance;
  if (replaced) return wrong(fmt::format("{} was written again by instance {}", path, instance));
  if (number != version_ + 1) return wrong(fmt::format("{} does not follow", path));
  version_ = number;
  hashes_[number] = base::xxh3(bytes);
  std::vector<Json> actions;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto end = std::min(bytes.find('\n', at), bytes.size());
    actions.push_back(Json::parse(bytes.substr(at, end - at)));
    at = end + 1;
  }
  for (const auto& action : actions)
    if (action.contains("commitInfo") && action["commitInfo"].contains("headpond"))
      return version_of(action["commitInfo"]["headpond"], actions);
  wrong("it states no facts");
}

void LogChecker::name(const Json& facts) {
  if (facts.contains("topic")) {
    const auto& topic = facts["topic"];
    source_ = fmt::format("{}@{}", topic["name"].get<std::string>(), topic["generation"].get<int>());
    if (sources_.contains(source_)) return wrong(source_ + " is named twice");
    const auto id = topic["id"].get<std::string>();
    for (int i = 0; i <= broker_.incarnation(); ++i)
      if (broker_.topic(i).id == id) sources_[source_] = i;
    if (!sources_.contains(source_)) return wrong(source_ + " is said to be topic " + id + ", which never was");
  }
  if (!facts.contains("partitions")) return;
  std::optional<std::int64_t> start;
  bool known = true;
  for (const auto& [key, state] : partitions_) {
    if (!state.in_force || state.stalled) continue;
    if (!state.clock) known = false;
    if (state.clock) start = std::min(start.value_or(*state.clock), *state.clock);
  }
  for (const auto& [source, ids] : facts["partitions"].items()) {
    if (source != source_) wrong(source + " is named, in force is " + source_);
    const bool first = std::none_of(partitions_.begin(), partitions_.end(), [&](const auto& p) { return p.first.first == source; });
    if (first)
      for (auto& [key, state] : partitions_) state.in_force = false;
    for (const auto& id : ids) {
      auto [it, fresh] = partitions_.try_emplace({source, id.get<int>()});
      if (!fresh) wrong(fmt::format("{} partition {} is named twice", source, id.get<int>()));
      if (known) it->second.clock = start;
      // Between two incarnations the partitions of the next may be heard of first.
      if (log_of(source, id.get<int>()) == nullptr && sources_.at(source) == broker_.incarnation())
        wrong(fmt::format("{} has no partition {}", source, id.get<int>()));
    }
  }
}

void LogChecker::version_of(const Json& facts, const std::vector<Json>& actions) {
  name(facts);
  if (violation_) return;
  if (facts.contains("stalled")) {
    for (const auto& [source, list] : facts["stalled"].items()) {
      for (const auto& each : list) {
        const auto reason = each[1].get<std::string>();
        const auto it = partitions_.find({source, each[0].get<int>()});
        if (it == partitions_.end()) return wrong(source + ": a partition without a name is stalled");
        if (reason.starts_with("stopped")) wrong(fmt::format("{} partition {} is {}", source, each[0].get<int>(), reason));
        it->second.stalled = reason;
      }
    }
  }
  std::int64_t rows = 0;
  std::map<std::string, std::int64_t> last;
  if (facts.contains("batches")) {
    for (const auto& each : facts["batches"]) {
      rows += batch(each);
      for (const auto& range : each["ranges"])
        last[fmt::format("{}-{}-{}", rules_.name, each["source"].get<std::string>(), range[0].get<int>())] = range[3].get<std::int64_t>();
    }
  }
  if (violation_) return;
  rows_ += rows;
  files(actions, rows);
  for (const auto& action : actions) {
    if (!action.contains("txn")) continue;
    const auto it = last.find(action["txn"]["appId"].get<std::string>());
    if (it == last.end() || it->second != action["txn"]["version"].get<std::int64_t>())
      return wrong("txn " + action["txn"].dump() + " is not what its ranges say");
    last.erase(it);
  }
  if (!last.empty()) return wrong("no txn for " + last.begin()->first);
  if (!facts.contains("clocks")) return;
  for (const auto& [source, list] : facts["clocks"].items())
    for (const auto& each : list) clock(source, each[0].get<int>(), each[1].get<std::int64_t>(), each[2].get<std::int64_t>());
}

std::int64_t LogChecker::batch(const Json& batch) {
  const auto source = batch["source"].get<std::string>();
  std::set<std::string> kinds;
  if (batch.contains("gap_kinds")) kinds = batch["gap_kinds"].get<std::set<std::string>>();
  for (const auto& kind : kinds) {
    const bool transactional = kind == "control" || kind == "aborted" || kind == "compacted or aborted";
    const bool compacted = kind == "compacted" || kind == "compacted or aborted";
    if (transactional && !broker_.transactions) wrong("gap kind '" + kind + "' on a topic without transactions");
    if (compacted && !broker_.ever_compacted) wrong("gap kind '" + kind + "' on a topic that was never compacted");
    if (kind == "compacted" && broker_.transactions) wrong("gap kind 'compacted' on a topic with transactions");
    if (!transactional && !compacted && kind != "before start" && kind != "retention (accepted)") wrong("unknown gap kind '" + kind + "'");
  }
  std::int64_t rows = 0, gaps = 0, seconds = 0;
  for (const auto& each : batch["ranges"]) {
    rows += range(source, each, kinds);
    gaps += each[7].get<std::int64_t>();
  }
  if ((gaps > 0) != !kinds.empty()) wrong(fmt::format("{} gaps with {} kinds", gaps, kinds.size()));
  for (const auto& each : batch["seconds"]) seconds += each[1].get<std::int64_t>();
  if (seconds != rows) wrong(fmt::format("seconds count {} rows, ranges {}", seconds, rows));
  gaps_ += gaps;
  return rows;
}

void LogChecker::take(Sums& sums, const std::string& source, const Record& record) const {
  std::string identity;
  put(identity, static_cast<std::uint32_t>(source.size()));
  identity += source;
  put(identity, static_cast<std::int32_t>(record.partition));
  put(identity, record.offset);
  put(identity, std::int32_t{0});
  put(identity, record.tenant ? static_cast<std::int32_t>(record.tenant->size()) : std::int32_t{-1});
  identity += record.tenant.value_or("");
  const auto bytes = record.tombstone ? 0 : static_cast<std::int32_t>(record.payload.size());
  put(identity, bytes);
  sums.fingerprint += base::xxh3(identity);
  if (!record.tombstone) {
    std::string bound;
    put(bound, record.offset);
    put(bound, base::xxh3(record.payload));
    sums.payload_fingerprint += base::xxh3(bound);
  }
  sums.rows += 1;
  sums.bytes += bytes;
  sums.errors += record.error ? 1 : 0;
}

// The rows that this instance was handed in a range, and what they add up to.
LogChecker::Sums LogChecker::sums_of(const std::string& source, int partition, std::int64_t first, std::int64_t last,
                                     std::map<std::int64_t, RecordId>& rows) const {
  Sums sums;
  const auto& handed = served_[static_cast<std::size_t>(instance_)];
  for (auto it = handed.lower_bound({partition, first}); it != handed.end() && it->first <= std::pair(partition, last); ++it) {
    take(sums, source, broker_.record(it->second));
    rows[it->first.second] = it->second;
  }
  sums.gaps = last - first + 1 - sums.rows;
  return sums;
}

std::int64_t LogChecker::range(const std::string& source, const Json& range, const std::set<std::string>& kinds) {
  const int partition = range[0].get<int>();
  const auto first = range[2].get<std::int64_t>(), last = range[3].get<std::int64_t>();
  const auto where = fmt::format("{} partition {} offsets {}-{}", source, partition, first, last);
  const auto it = partitions_.find({source, partition});
  if (it == partitions_.end() || log_of(source, partition) == nullptr) return wrong(where + ": no such partition"), 0;
  auto& state = it->second;
  if (!state.in_force) return wrong(where + ": not in force"), 0;
  if (first != state.position + 1 || last < first) return wrong(fmt::format("{} do not follow {}", where, state.position)), 0;
  const Sums told{range[4].get<std::int64_t>(),
                  range[5].get<std::int64_t>(),
                  range[6].get<std::int64_t>(),
                  range[7].get<std::int64_t>(),
                  hex(range[8]),
                  hex(range[9])};
  const auto quarter = range[1].get<std::int64_t>();
  if (quarter < state.quarter) return wrong(where + ": its quarter hour is before an earlier one's"), 0;
  if (told.rows > 0 && state.clock && quarter < floor_div(*state.clock, kQuarter)) return wrong(where + ": below the published clock"), 0;
  std::map<std::int64_t, RecordId> rows;
  const auto sums = sums_of(source, partition, first, last, rows);
  if (sums != told)
    return wrong(fmt::format("{}: {} rows, {} bytes, {} gaps; instance {} was handed {} rows, {} bytes, {} gaps{}", where, told.rows,
                             told.bytes, told.gaps, instance_, sums.rows, sums.bytes, sums.gaps,
                             sums.rows == told.rows ? ", or the fingerprints differ" : "")),
           0;
  for (auto offset = first; offset <= last; ++offset) {
    const auto row = rows.find(offset);
    if (row == rows.end()) {
      gap(source, partition, offset, kinds);
      continue;
    }
    const auto& record = broker_.record(row->second);
    if (record.incarnation != sources_.at(source))
      wrong(fmt::format("{}: offset {} is a record of another topic, re-created under this name", where, offset));
    if (record.control || record.txn == TxnState::kAborted || record.txn == TxnState::kOpen)
      wrong(fmt::format("{}: offset {} is no committed record", where, offset));
    const auto latest = now_us_ + kClockError - record.accepted_us;
    const auto ahead = record.timestamp_us < 0 ? latest : std::min(latest, record.timestamp_us - record.accepted_us);
    state.ahead_us = std::max(state.ahead_us, ahead);
  }
  state.rows.merge(rows);
  state.gappy[last] = told.gaps > 0;
  state.floors[last] = state.clock.value_or(INT64_MIN);
  state.position = last;
  state.quarter = quarter;
  state.stalled.reset();
  return told.rows;
}

void LogChecker::gap(const std::string& source, int partition, std::int64_t offset, const std::set<std::string>& kinds) {
  const auto& log = *log_of(source, partition);
  const auto legal = [&](RecordId id) {
    const auto& record = broker_.record(id);
    return record.control || record.compacted || record.txn == TxnState::kAborted;
  };
  if (offset < log.end() && legal(log.log[static_cast<std::size_t>(offset)])) return;
  if (const auto cut = log.cut.find(offset); cut != log.cut.end() && std::ranges::any_of(cut->second, legal)) return;
  const auto& state = partitions_.at({source, partition});
  const bool nothing_yet = state.rows.empty();
  if (kinds.contains("before start") && nothing_yet && (offset < log.start || rules_.start_latest)) return;
  if (kinds.contains("retention (accepted)") && offset < log.start) return;
  if (offset < log.start)
    return wrong(fmt::format("{} partition {} offset {} was lost to retention, and is not recorded as lost", source, partition, offset));
  wrong(fmt::format("{} partition {} offset {}: the broker has a record there, the table calls it a gap", source, partition, offset));
}

void LogChecker::files(const std::vector<Json>& actions, std::int64_t rows) {
  std::int64_t counted = 0;
  for (const auto& action : actions) {
    if (!action.contains("add")) continue;
    const auto& add = action["add"];
    const auto path = add["path"].get<std::string>();
    counted += Json::parse(add["stats"].get<std::string>())["numRecords"].get<std::int64_t>();
    std::string decoded;  // '=' may stand as %3D
    for (std::size_t i = 0; i < path.size(); ++i) {
      if (path[i] == '%' && i + 2 < path.size())
        decoded += static_cast<char>(std::stoi(path.substr(i + 1, 2), nullptr, 16)), i += 2;
      else
        decoded += path[i];
    }
    const auto there = lake_.store().head(rules_.table + "/" + decoded);
    if (!there) return wrong("file " + path + " is not there");
    files_.push_back(decoded);
    if (there->size != add["size"].get<std::int64_t>())
      return wrong(fmt::format("file {} has {} bytes, the log says {}", path, there->size, add["size"].get<std::int64_t>()));
    if (add["tags"]["headpond.versions"].get<std::string>() != fmt::format("{}-{}", version_, version_))
      wrong("file " + path + " is tagged for other versions");
  }
  if (counted != rows) wrong(fmt::format("files have {} rows, ranges {}", counted, rows));
}

void LogChecker::clock(const std::string& source, int partition, std::int64_t clock, std::int64_t position) {
  const auto where = fmt::format("{} partition {}", source, partition);
  const auto it = partitions_.find({source, partition});
  if (it == partitions_.end()) return wrong(where + " has a clock and no name");
  auto& state = it->second;
  if (position != state.position)
    return wrong(fmt::format("{}: its clock was proven at {}, the table is at {}", where, position, state.position));
  if (state.clock && clock < *state.clock) return wrong(fmt::format("{}: its clock goes back by {} us", where, *state.clock - clock));
  if (rules_.clocks_hold && clock > now_us_ + kClockError)
    return wrong(fmt::format("{}: its clock is {} us in the future", where, clock - now_us_));
  if (state.clock != clock) state.stalled.reset();
  if (rules_.clocks_hold) sound(source, partition, clock, state);
  state.clock = clock;
}

// All that the broker had accepted by `clock` is here, but for what producers' own times may run ahead.
void LogChecker::sound(const std::string& source, int partition, std::int64_t clock, const Partition& state) {
  if (sources_.at(source) != broker_.incarnation()) return;
  const auto& log = *log_of(source, partition);
  for (auto offset = state.position + 1; offset < log.end(); ++offset) {
    const auto& record = broker_.record(log.log[static_cast<std::size_t>(offset)]);
    if (record.accepted_us >= clock - state.ahead_us) return;
    if (!record.data() || record.compacted || offset < log.start) continue;
    const auto what = fmt::format("{} partition {}: clock {} at offset {}, but offset {} was accepted {} us before it", source, partition,
                                  clock, state.position, offset, clock - state.ahead_us - record.accepted_us);
    if (record.txn != TxnState::kOpen) return wrong(what);
    doubts_.push_back({record.id, fmt::format("version {}: {}", version_, what)});
  }
}

void LogChecker::finish() {
  for (const auto& doubt : doubts_)
    if (broker_.record(doubt.record).txn == TxnState::kCommitted && !violation_) violation_ = doubt.what;
  for (const auto& [number, hash] : hashes_) {
    const auto bytes = lake_.store().get(fmt::format("{}/_delta_log/{:020}.json", rules_.table, number));
    if (!bytes || base::xxh3(*bytes) != hash) wrong(fmt::format("version {} is not what it was", number));
  }
  for (const auto& [key, state] : partitions_) {
    const auto& [source, partition] = key;
    if (!state.in_force || sources_.at(source) != broker_.incarnation()) continue;
    const auto& log = *log_of(source, partition);
    for (auto offset = log.start; offset <= std::min(state.position, log.end() - 1); ++offset) {
      const auto& record = broker_.record(log.log[static_cast<std::size_t>(offset)]);
      if (!record.readable()) continue;
      const auto row = state.rows.find(offset);
      // Where there are gaps, a position is not known to be a record's, so no epoch tells a new session that its log was cut.
      const bool may_have_gaps = broker_.transactions || broker_.ever_compacted || state.gappy.lower_bound(offset)->second;
      if (row != state.rows.end() && row->second != record.id && !may_have_gaps)
        return wrong(fmt::format("{} partition {} offset {}: the broker has another record there since its log was cut, and nobody stopped",
                                 source, partition, offset));
      if (row == state.rows.end() && !rules_.start_latest && !(may_have_gaps && log.cut.contains(offset)))
        return wrong(fmt::format("{} partition {} offset {} is in the log and not in the table", source, partition, offset));
    }
  }
}

}  // namespace headpond::sim
