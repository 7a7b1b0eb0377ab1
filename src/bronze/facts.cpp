#include "bronze/facts.h"

#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "bronze/facts_json.h"
#include "delta/json.h"

namespace headpond::bronze {
namespace {

using nlohmann::json;
using Written = nlohmann::ordered_json;  // keeps the order in which a person wants to read it

std::uint64_t fingerprint_of(const json& value) {
  const auto& text = value.get_ref<const std::string&>();
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, 16);
  if (text.size() != 16 || error != std::errc{} || end != text.data() + text.size())
    throw json::other_error::create(501, "a fingerprint is not 16 hexadecimal digits", &value);
  return out;
}

void require(const json& value, std::size_t size, const char* what) {
  if (!value.is_array() || value.size() != size) throw json::other_error::create(502, std::string(what) + " has another shape", &value);
}

}  // namespace

Written to_value(const Range& r) {
  return Written::array({r.partition.value(), r.quarter, r.first.value(), r.last.value(), r.rows, r.bytes, r.errors, r.gaps,
                         fingerprint_text(r.fingerprint), fingerprint_text(r.payload_fingerprint)});
}

Range range_of(const json& value) {
  if (!value.is_array() || value.size() < kRangeFields) throw json::other_error::create(502, "a range has another shape", &value);
  Range r;
  r.partition = base::PartitionId(value[0].get<std::int32_t>());
  r.quarter = value[1].get<std::int64_t>();
  r.first = base::Offset(value[2].get<std::int64_t>());
  r.last = base::Offset(value[3].get<std::int64_t>());
  r.rows = value[4].get<std::int64_t>();
  r.bytes = value[5].get<std::int64_t>();
  r.errors = value[6].get<std::int64_t>();
  r.gaps = value[7].get<std::int64_t>();
  r.fingerprint = fingerprint_of(value[8]);
  r.payload_fingerprint = fingerprint_of(value[9]);
  return r;
}

namespace {

Written by_source(const std::vector<base::SourcePartition>& partitions) {
  Written out = Written::object();
  for (const auto& p : partitions) out[p.source].push_back(p.partition.value());
  return out;
}

Written to_value(const WriterBatch& batch) {
  Written ranges = Written::array(), seconds = Written::array();
  for (const auto& r : batch.ranges) ranges.push_back(to_value(r));
  for (const auto& s : batch.seconds) seconds.push_back({s.second, s.rows});
  Written out = {{"txnId", batch.txn_id}, {"writer", batch.writer}, {"source", batch.source},
                 {"files", batch.files},  {"ranges", ranges},       {"seconds", seconds}};
  if (!batch.gap_kinds.empty()) out["gap_kinds"] = batch.gap_kinds;
  return out;
}

WriterBatch batch_of(const json& value) {
  WriterBatch batch;
  batch.txn_id = value.at("txnId").get<std::string>();
  batch.writer = value.at("writer").get<std::string>();
  batch.source = value.at("source").get<std::string>();
  batch.files = value.at("files").get<std::vector<std::string>>();
  for (const auto& r : value.at("ranges")) {
    require(r, kRangeFields, "a range");
    batch.ranges.push_back(range_of(r));
  }
  for (const auto& s : value.at("seconds")) {
    require(s, 2, "a second");
    batch.seconds.push_back({s[0].get<std::int64_t>(), s[1].get<std::int64_t>()});
  }
  if (const auto it = value.find("gap_kinds"); it != value.end()) batch.gap_kinds = it->get<std::vector<std::string>>();
  return batch;
}

// Calls `each(partition, rest of its entry)` for {"source": [[partition, …], …]}.
template <class Each>
void for_each_entry(const json& object, const char* key, std::size_t size, Each each) {
  const auto it = object.find(key);
  if (it == object.end()) return;
  for (const auto& [source, entries] : it->items()) {
    for (const auto& e : entries) {
      require(e, size, key);
      each(base::SourcePartition{source, base::PartitionId(e[0].template get<std::int32_t>())}, e);
    }
  }
}

CommitFacts facts_of(const json& object) {
  CommitFacts facts;
  facts.format = object.at("format").get<int>();
  if (const auto it = object.find("topic"); it != object.end())
    facts.topic = Topic{it->at("name").get<std::string>(), it->at("id").get<std::string>(), it->at("generation").get<int>(),
                        it->value("log_append_time", false)};
  if (const auto it = object.find("partitions"); it != object.end())
    for (const auto& [source, ids] : it->items())
      for (const auto& id : ids) facts.partitions.push_back({source, base::PartitionId(id.get<std::int32_t>())});
  for_each_entry(object, "clocks", 3, [&](base::SourcePartition p, const json& e) {
    facts.clocks.push_back({std::move(p), base::Micros(e[1].get<std::int64_t>()), base::Offset(e[2].get<std::int64_t>())});
  });
  for_each_entry(object, "stalled", 2, [&](base::SourcePartition p, const json& e) {
    facts.stalled.push_back({std::move(p), e[1].get<std::string>()});
  });
  for_each_entry(object, "leader_epochs", 2,
                 [&](base::SourcePartition p, const json& e) { facts.leader_epochs.emplace_back(std::move(p), e[1].get<std::int32_t>()); });
  if (const auto it = object.find("batches"); it != object.end())
    for (const auto& b : *it) facts.batches.push_back(batch_of(b));
  return facts;
}

}  // namespace

std::string fingerprint_text(std::uint64_t fingerprint) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out(16, '0');
  for (std::size_t i = 16; i-- > 0; fingerprint >>= 4) out[i] = kDigits[fingerprint & 15];
  return out;
}

std::string to_json(const CommitFacts& facts) {
  Written out = {{"format", facts.format}, {"needs", kNeeds}};
  if (facts.topic) {
    out["topic"] = {{"name", facts.topic->name}, {"id", facts.topic->id}, {"generation", facts.topic->generation}};
    if (facts.topic->log_append_time) out["topic"]["log_append_time"] = true;
  }
  if (!facts.partitions.empty()) out["partitions"] = by_source(facts.partitions);
  for (const auto& c : facts.clocks)
    out["clocks"][c.partition.source].push_back({c.partition.partition.value(), c.clock.value(), c.position.value()});
  for (const auto& s : facts.stalled) out["stalled"][s.partition.source].push_back({s.partition.partition.value(), s.reason});
  for (const auto& [p, epoch] : facts.leader_epochs) out["leader_epochs"][p.source].push_back({p.partition.value(), epoch});
  for (const auto& b : facts.batches) out["batches"].push_back(to_value(b));
  return out.dump(-1, ' ', false, Written::error_handler_t::replace);
}

base::Result<CommitFacts> parse_facts(std::string_view text, std::string_view name) {
  const auto corrupt = [&](const char* why) {
    return base::fail(base::ErrorKind::kCorrupt,
                      std::string(name) + ": commitInfo.headpond cannot be read (" + why + "); restore this log entry from a copy");
  };
  try {
    const auto object = delta::parse_json<json>(text);
    if (!object.is_object()) return corrupt("not an object");
    const int format = object.at("format").get<int>();
    if (format > kFormat) {
      const auto needs = object.value("needs", std::string("the version that wrote it"));
      return base::fail(base::ErrorKind::kInvalid, std::string(name) + ": written in bronze format " + std::to_string(format) +
                                                       ", this Headpond reads up to " + std::to_string(kFormat) + "; install Headpond " +
                                                       needs + " or later");
    }
    return facts_of(object);
  } catch (const json::exception& e) {
    return corrupt(e.what());
  }
}

std::string txn_app_id(std::string_view table, const base::SourcePartition& partition) {
  return std::string(table) + "-" + partition.source + "-" + std::to_string(partition.partition.value());
}

}  // namespace headpond::bronze
