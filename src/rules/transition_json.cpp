#include "rules/transition_json.h"

#include <cmath>
#include <limits>

namespace headpond::rules {
namespace {

using Json = nlohmann::ordered_json;

// JSON has no NaN or infinity: they are written as text.
Json encode_number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}

double decode_number(const Json& json) {
  if (json.is_number()) return json.get<double>();
  const auto text = json.get<std::string>();
  if (text == "+Inf") return std::numeric_limits<double>::infinity();
  if (text == "-Inf") return -std::numeric_limits<double>::infinity();
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

std::string_view to_string(TransitionKind kind) {
  return kind == TransitionKind::kFiring ? "firing" : "resolved";
}

Json encode(const Transition& t) {
  return {{"generation", t.id.generation},
          {"rule", t.id.rule},
          {"key", t.id.key},
          {"seq", t.id.seq},
          {"kind", to_string(t.kind)},
          {"announced", t.announced},
          {"settles_announcement", t.settles_announcement},
          {"send", t.send},
          {"boundary", t.boundary.value()},
          {"began_at", t.began_at.value()},
          {"value", encode_number(t.value)},
          {"version", t.version.value()},
          {"labels", t.labels},
          {"annotations", t.annotations},
          {"incomplete", t.incomplete},
          {"window", t.window.value()},
          {"limit", t.limit},
          {"evidence_first", t.evidence_first.value()},
          {"evidence_last", t.evidence_last.value()},
          {"samples", t.samples},
          {"sql", t.sql}};
}

Transition decode(const Json& json) {
  Transition t;
  t.id = {json.at("generation"), json.at("rule"), json.at("key"), json.at("seq")};
  t.kind = json.at("kind") == "firing" ? TransitionKind::kFiring : TransitionKind::kResolved;
  t.announced = json.at("announced");
  t.settles_announcement = json.at("settles_announcement");
  t.send = json.at("send");
  t.boundary = base::Micros(json.at("boundary").get<std::int64_t>());
  t.began_at = base::Micros(json.at("began_at").get<std::int64_t>());
  t.value = decode_number(json.at("value"));
  t.version = base::Version(json.at("version").get<std::int64_t>());
  t.labels = json.at("labels").get<std::map<std::string, std::string>>();
  t.annotations = json.at("annotations").get<std::map<std::string, std::string>>();
  t.incomplete = json.at("incomplete").get<std::vector<std::string>>();
  t.window = base::Duration(json.at("window").get<std::int64_t>());
  t.limit = json.at("limit");
  t.evidence_first = base::Version(json.at("evidence_first").get<std::int64_t>());
  t.evidence_last = base::Version(json.at("evidence_last").get<std::int64_t>());
  t.samples = json.at("samples").get<std::vector<std::string>>();
  t.sql = json.at("sql");
  return t;
}

}  // namespace headpond::rules
