// The fold of all facts as JSON: what checkpoints of the log and the ledger hold of it. Format: docs/formats/bronze.md, "Checkpoint".
#include <nlohmann/json.hpp>

#include "bronze/facts.h"
#include "delta/json.h"

namespace headpond::bronze {
namespace {

using nlohmann::json;
using Written = nlohmann::ordered_json;

Written to_value(const Topic& topic) {
  Written out = {{"name", topic.name}, {"id", topic.id}, {"generation", topic.generation}};
  if (topic.log_append_time) out["log_append_time"] = true;
  return out;
}

Written to_value(base::PartitionId partition, const PartitionState& state) {
  Written out = {{"partition", partition.value()}};
  if (!state.in_force) out["in_force"] = false;
  out["position"] = state.position.value();
  if (state.clock) out["clock"] = state.clock->value();
  if (state.proven_at) out["proven_at"] = state.proven_at->value();
  if (state.stalled) out["stalled"] = *state.stalled;
  if (state.leader_epoch >= 0) out["leader_epoch"] = state.leader_epoch;
  if (state.ends_in_row) out["ends_in_row"] = true;
  return out;
}

PartitionState state_of(const json& value) {
  PartitionState state;
  state.in_force = value.value("in_force", true);
  state.position = base::Offset(value.at("position").get<std::int64_t>());
  if (const auto it = value.find("clock"); it != value.end()) state.clock = base::Micros(it->get<std::int64_t>());
  if (const auto it = value.find("proven_at"); it != value.end()) state.proven_at = base::Offset(it->get<std::int64_t>());
  if (const auto it = value.find("stalled"); it != value.end()) state.stalled = it->get<std::string>();
  state.leader_epoch = value.value("leader_epoch", -1);
  state.ends_in_row = value.value("ends_in_row", false);
  return state;
}

}  // namespace

std::string TableClock::to_json() const {
  Written topics = Written::array(), partitions = Written::object();
  for (const auto& topic : topics_) topics.push_back(to_value(topic));
  for (const auto& [p, state] : partitions_) partitions[p.source].push_back(to_value(p.partition, state));
  return Written{{"topics", std::move(topics)}, {"partitions", std::move(partitions)}}.dump(-1, ' ', false,
                                                                                            Written::error_handler_t::replace);
}

base::Result<TableClock> TableClock::parse(std::string_view text, std::string_view name) {
  try {
    const auto object = delta::parse_json<json>(text);
    TableClock clock;
    for (const auto& t : object.at("topics"))
      clock.topics_.push_back({t.at("name").get<std::string>(), t.at("id").get<std::string>(), t.at("generation").get<int>(),
                               t.value("log_append_time", false)});
    for (const auto& [source, states] : object.at("partitions").items())
      for (const auto& s : states)
        clock.partitions_.emplace(base::SourcePartition{source, base::PartitionId(s.at("partition").get<std::int32_t>())}, state_of(s));
    return clock;
  } catch (const json::exception& e) {
    return base::fail(base::ErrorKind::kCorrupt,
                      std::string(name) + ": positions and clocks cannot be read (" + e.what() + "); restore this object from a copy");
  }
}

}  // namespace headpond::bronze
