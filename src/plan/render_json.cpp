#include <nlohmann/json.hpp>

#include "base/time.h"
#include "plan/plan.h"

namespace headpond::plan {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Capacity& c) {
  return {{"events_per_s", c.events_per_s},
          {"cores_busy", c.cores},
          {"cores", c.provisioned_cores},
          {"memory_gb", c.memory_gb},
          {"read_bytes_per_day", c.read_bytes_per_day},
          {"written_bytes_per_day", c.written_bytes_per_day},
          {"requests_per_month", c.requests_per_month},
          {"usd_per_month", c.usd_per_month},
          {"catch_up_s", c.catch_up_s < 0 ? Json(nullptr) : Json(c.catch_up_s)}};
}

Json json_of(const Verdict& v) {
  Json j{{"rule", to_string(v.rule)}, {"refused", v.refused},     {"file", v.place.file},
         {"line", v.place.line},      {"column", v.place.column}, {"why", v.why}};
  if (v.refused) j["mend"] = v.mend;
  return j;
}

Json json_of(const BranchPlan& b) {
  Json j{{"name", b.branch.name},
         {"kind", to_string(b.branch.kind)},
         {"proposed", b.proposed},
         {"serves", b.branch.serves},
         {"tier", b.tier},
         {"freshness_s", b.freshness.to_seconds()},
         {"tag", b.tag},
         {"axis", to_string(b.axis)},
         {"latency_need", b.latency_need},
         {"throughput_need", b.throughput_need},
         {"rhythm", to_string(*b.branch.rhythm)},
         {"cheapest_rhythm", to_string(b.cheapest)},
         {"trigger_s", b.branch.trigger ? Json(b.branch.trigger->to_seconds()) : Json(nullptr)},
         {"schedule", b.branch.schedule ? Json(*b.branch.schedule) : Json(nullptr)},
         {"engine", b.branch.engine},
         {"state",
          b.branch.state ? Json{{"store", b.branch.state->store}, {"checkpoints", b.branch.state->checkpoints_as_written}} : Json(nullptr)},
         {"staleness_s", b.staleness_s},
         {"run_s", b.run_s}};
  for (const auto& c : b.candidates)
    j["rhythms"].push_back({{"rhythm", to_string(c.rhythm)},
                            {"staleness_s", c.staleness_s},
                            {"usd_per_month", c.usd_per_month},
                            {"keeps_freshness", c.keeps_freshness}});
  for (const auto& e : b.engines)
    j["engines"].push_back(
        {{"engine", e.engine}, {"run_s", e.run_s}, {"core_seconds", e.core_seconds}, {"fits", e.fits}, {"capacity", json_of(e.capacity)}});
  for (const auto& v : b.verdicts) j["verdicts"].push_back(json_of(v));
  j["capacity"] = json_of(b.capacity);
  return j;
}

}  // namespace

std::string to_json(const Plan& plan) {
  Json j{{"format", 1},
         {"name", plan.name},
         {"file", plan.path},
         {"refused", plan.refused()},
         {"source", plan.source},
         {"bronze", {{"location", plan.location}, {"bytes_at_rest", plan.bronze_bytes}, {"usd_per_month", plan.storage_usd_per_month}}},
         {"expect",
          {{"events_per_day", plan.events_per_day},
           {"mean_events_per_s", plan.mean_events_per_s},
           {"peak_events_per_s", plan.peak_events_per_s},
           {"bytes_per_event", plan.bytes_per_event},
           {"partitions", plan.partitions},
           {"cores", plan.cores}}},
         {"ingest", json_of(plan.ingest)},
         {"branches", Json::array()},
         {"usd_per_month", plan.usd_per_month},
         {"counted_with", Json::array()},
         {"notes", plan.notes}};
  for (const auto& branch : plan.branches) j["branches"].push_back(json_of(branch));
  for (const auto& a : plan.assumptions)
    j["counted_with"].push_back({{"name", a.name}, {"value", a.value}, {"unit", a.unit}, {"from", a.origin}});
  return j.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace headpond::plan
