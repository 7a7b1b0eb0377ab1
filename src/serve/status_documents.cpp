#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/time.h"
#include "serve/documents.h"

namespace headpond::serve {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kSilentSeconds = 30;

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<double> freshness_of(const bronze::BranchStatus& status, base::Micros now) {
  if (!status.complete_until) return std::nullopt;
  // A bill is as old as the first closed day that has none; with all there, it is as fresh as can be.
  const auto from = status.kind == "billing" ? *status.complete_until + base::kDay : *status.complete_until;
  return std::max(0.0, (now - from).to_seconds());
}

Json standing_json(const Standing& standing) {
  auto json = Json::parse(bronze::to_json(standing.status), nullptr, false);
  json["verdict"] = standing.verdict;
  json["age_s"] = standing.age_s;
  json["freshness_s"] = standing.freshness_s ? Json(*standing.freshness_s) : Json(nullptr);
  json["versions_behind"] = standing.behind;
  return json;
}

Json figure(const bronze::BranchStatus& status, const char* name) {
  const auto found = status.figures.find(name);
  return found == status.figures.end() || !std::isfinite(found->second) ? Json(nullptr) : Json(found->second);
}

bool runs(const Standing& standing) {
  return standing.verdict != "not running" && standing.verdict != "failed" && standing.verdict != "stopped";
}

// Of several ingesters the rates add up; lag and clock are the whole topic's, so the latest word counts. One that runs is enough: of
// partitions that nobody reads, those that run say so.
std::optional<Standing> ingest_of(const std::vector<Standing>& all) {
  std::optional<Standing> whole;
  double rows = 0, bytes = 0;
  const auto add = [](double& sum, const Standing& standing, const char* name) {
    const auto found = standing.status.figures.find(name);
    if (found != standing.status.figures.end()) sum += found->second;
  };
  for (const auto& standing : all) {
    if (standing.status.kind != "ingest") continue;
    if (runs(standing)) {
      add(rows, standing, "rows_per_s");
      add(bytes, standing, "bytes_per_s");
    }
    if (!whole || std::pair(runs(standing), -standing.age_s) > std::pair(runs(*whole), -whole->age_s)) whole = standing;
  }
  if (whole) whole->status.figures["rows_per_s"] = rows, whole->status.figures["bytes_per_s"] = bytes;
  return whole;
}

Json edge_json(const std::string& from, const std::string& to, const Standing* standing) {
  Json edge{{"from", from},          {"to", to},
            {"running", false},      {"verdict", "not running"},
            {"rows_per_s", nullptr}, {"bytes_per_s", nullptr},
            {"lag", nullptr},        {"lag_unit", from == "kafka" ? "records" : "versions"},
            {"freshness_s", nullptr}};
  if (!standing) return edge;
  edge["running"] = runs(*standing);
  edge["verdict"] = standing->verdict;
  if (edge["running"].get<bool>()) {  // what was last measured says nothing about now
    edge["rows_per_s"] = figure(standing->status, "rows_per_s");
    edge["bytes_per_s"] = figure(standing->status, "bytes_per_s");
  }
  edge["lag"] = from == "kafka" ? figure(standing->status, "kafka_lag") : Json(standing->behind);
  edge["freshness_s"] = standing->freshness_s ? Json(*standing->freshness_s) : Json(nullptr);
  return edge;
}

std::string encoding_name(spec::Encoding encoding) {
  switch (encoding) {
    case spec::Encoding::kJson: return "json";
    case spec::Encoding::kRaw: return "raw";
    case spec::Encoding::kOtlpProto: return "otlp_proto";
    case spec::Encoding::kOtlpJson: return "otlp_json";
  }
  return "";
}

Json branch_json(const spec::Topology& topology, const spec::Branch& branch) {
  const auto promise = promise_of(topology, branch);
  Json json{{"name", branch.name}, {"kind", spec::to_string(branch.kind)}, {"engine", branch.engine}, {"serves", branch.serves}};
  json["tier"] = nullptr;
  for (const auto& consumer : topology.consumers)
    if (std::ranges::find(branch.serves, consumer.name) != branch.serves.end()) json["tier"] = consumer.tier;
  json["tag"] = promise ? Json(freshness_tag(*promise)) : Json(nullptr);
  json["promise_s"] = promise ? Json(promise->to_seconds()) : Json(nullptr);
  json["rhythm"] = branch.rhythm ? Json(spec::to_string(*branch.rhythm)) : Json(nullptr);
  json["axis"] = branch.axis ? Json(spec::to_string(*branch.axis)) : Json(nullptr);
  json["trigger_s"] = branch.trigger ? Json(branch.trigger->to_seconds()) : Json(nullptr);
  json["schedule"] = branch.schedule ? Json(*branch.schedule) : Json(nullptr);
  return json;
}

}  // namespace

std::string freshness_tag(base::Duration freshness) {
  if (freshness <= base::kMinute) return "real-time";
  if (freshness <= base::kQuarterHour) return "< 15min";
  if (freshness <= base::Duration::hours(1)) return "< 1h";
  if (freshness <= base::kDay) return "< 24h";
  return "≥ 24h";
}

std::optional<base::Duration> promise_of(const spec::Topology& topology, const spec::Branch& branch) {
  std::optional<base::Duration> promise;
  for (const auto& consumer : topology.consumers)
    if (std::ranges::find(branch.serves, consumer.name) != branch.serves.end())
      promise = promise ? std::min(*promise, consumer.freshness) : consumer.freshness;
  return promise;
}

std::vector<Standing> standings(const std::vector<bronze::BranchStatus>& statuses, base::Micros now) {
  base::Version head{-1};
  for (const auto& status : statuses) head = std::max(head, status.version);
  std::vector<Standing> all;
  for (const auto& status : statuses) {
    Standing standing{.status = status,
                      .age_s = (now - status.updated_at).to_seconds(),
                      .freshness_s = freshness_of(status, now),
                      .behind = head.value() - status.version.value(),
                      .verdict = status.state};
    if (status.promise_s > 0 && standing.freshness_s.value_or(0) > status.promise_s && status.state == "running") standing.verdict = "late";
    if (standing.age_s > kSilentSeconds && status.state != "stopped" && status.state != "failed") standing.verdict = "not running";
    all.push_back(std::move(standing));
  }
  return all;
}

std::string topology_json(const spec::Topology& topology) {
  Json json{
      {"name", topology.name},
      {"source", {{"kind", "kafka"}, {"topic", topology.source.topic}, {"encoding", encoding_name(topology.source.encoding)}}},
      {"bronze",
       {{"commit_interval_s", topology.bronze.commit_interval.to_seconds()}, {"retention_s", topology.bronze.retention.to_seconds()}}},
      {"consumers", Json::array()},
      {"branches", Json::array()}};
  for (const auto& consumer : topology.consumers)
    json["consumers"].push_back({{"name", consumer.name},
                                 {"tier", consumer.tier},
                                 {"freshness_s", consumer.freshness.to_seconds()},
                                 {"tag", freshness_tag(consumer.freshness)}});
  for (const auto& branch : topology.branches) json["branches"].push_back(branch_json(topology, branch));
  return dump(json);
}

std::string status_json(const spec::Topology& topology, const std::vector<Standing>& all, base::Micros now,
                        const std::vector<std::pair<std::string, std::int64_t>>& versions) {
  const auto find = [&](const std::string& branch) -> const Standing* {
    const auto found = std::ranges::find_if(all, [&](const Standing& standing) { return standing.status.branch == branch; });
    return found == all.end() ? nullptr : &*found;
  };
  Json json{{"now_ms", now.value() / 1000},
            {"bronze_version", -1},
            {"edges", Json::array()},
            {"branches", Json::array()},
            {"versions", Json::object()}};
  const auto ingest = ingest_of(all);
  json["edges"].push_back(edge_json("kafka", "bronze", ingest ? &*ingest : nullptr));
  for (const auto& branch : topology.branches) json["edges"].push_back(edge_json("bronze", branch.name, find(branch.name)));
  for (const auto& standing : all) {
    json["bronze_version"] = std::max(json["bronze_version"].get<std::int64_t>(), standing.status.version.value());
    json["branches"].push_back(standing_json(standing));
  }
  for (const auto& [name, version] : versions) json["versions"][name] = version;
  return dump(json);
}

}  // namespace headpond::serve
