#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/time.h"
#include "env/scan_path.h"
#include "serve/documents.h"

namespace headpond::serve {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json parsed(const std::string& text) {
  auto json = Json::parse(text, nullptr, false);
  return json.is_discarded() ? Json(text) : json;
}

Json milliseconds(const sql::Value& value) {
  return value.is_null() ? Json(nullptr) : Json(value.as_int() / 1000);
}

// One transition with what became of it at each target. Columns as in kTransitions.
Json page_json(const std::vector<sql::Value>& row) {
  Json page{{"generation", row[0].as_int()},
            {"rule", row[1].as_text()},
            {"key", parsed(row[2].as_text())},
            {"seq", row[3].as_int()},
            {"kind", row[4].as_text()},
            {"announced", row[5].as_int() != 0},
            {"boundary_ms", milliseconds(row[6])},
            {"began_at_ms", milliseconds(row[7])}};
  page["value"] = row[8].is_null() ? Json(nullptr) : Json(row[8].as_double());
  page["labels"] = parsed(row[9].as_text());
  page["annotations"] = parsed(row[10].as_text());
  page["incomplete"] = parsed(row[11].as_text());
  page["evidence"] = parsed(row[12].as_text());
  page["event_to_page_ms"] = row[13].is_null() ? Json(nullptr) : Json(row[13].as_int());
  page["targets"] = row[14].is_null() ? Json::array() : parsed(row[14].as_text());
  return page;
}

// `settled` rows carry the settled fields of an announced page and are none of their own.
constexpr const char* kTransitions =
    "SELECT generation, rule, key, seq, any_value(kind) AS kind, bool_or(announced) AS announced, max(boundary) AS boundary, min(began_at) "
    "AS began_at,"
    " arg_max(value, sent_at) AS value, any_value(labels) AS labels, any_value(annotations) AS annotations, any_value(incomplete) AS "
    "incomplete,"
    " any_value(evidence) AS evidence, min(event_to_page_ms)::BIGINT AS event_to_page_ms,"
    " to_json(list({target: target, status: status, detail: detail, sent_at_ms: epoch_ms(sent_at)} ORDER BY sent_at) FILTER (WHERE target "
    "<> ''))::VARCHAR"
    " AS targets FROM ";

}  // namespace

base::Result<std::string> pages_json(const delta::Table& table, const delta::Snapshot& snapshot, sql::Engine& sql, int limit) {
  Json json{{"version", snapshot.version.value()}, {"firing", Json::array()}, {"recent", Json::array()}};
  std::vector<std::string> files;
  for (const auto& [path, add] : snapshot.files) files.push_back(env::scan_path(table.store(), table.path(path)));
  if (files.empty()) return dump(json);
  const auto transitions = "(" + std::string(kTransitions) + "read_parquet(" + sql::list_literal(files) +
                           ", union_by_name = true, hive_partitioning = false) GROUP BY generation, rule, key, seq)";
  // A key's newest transition says whether it fires.
  TRY(const auto firing,
      sql.query("SELECT * FROM (SELECT * FROM " + transitions +
                " QUALIFY row_number() OVER (PARTITION BY rule, key ORDER BY generation DESC, seq DESC) = 1) WHERE kind = 'firing'"
                " ORDER BY began_at DESC LIMIT 500"));
  for (const auto& row : firing.rows) json["firing"].push_back(page_json(row));
  TRY(const auto recent,
      sql.query("SELECT * FROM " + transitions + " ORDER BY boundary DESC, generation DESC, seq DESC LIMIT " + std::to_string(limit)));
  for (const auto& row : recent.rows) json["recent"].push_back(page_json(row));
  return dump(json);
}

base::Result<std::string> bill_json(env::ObjectStore& lake, const std::string& billing_root) {
  const auto prefix = billing_root + "/certificates/";
  TRY(const auto objects, lake.list(prefix));
  Json days = Json::array();
  for (const auto& object : objects) {
    const auto name = object.path.substr(prefix.size());
    if (name.ends_with(".json") && base::parse_day(name.substr(0, name.size() - 5))) days.push_back(name.substr(0, name.size() - 5));
  }
  if (days.empty()) return std::string("null");
  const auto day = days.back().get<std::string>();
  TRY(const auto text, lake.get(prefix + day + ".json"));
  const auto certificate = Json::parse(text, nullptr, false);
  if (!certificate.is_object() || !certificate.contains("bill") || !certificate.contains("totals"))
    return base::fail(base::ErrorKind::kCorrupt, "the certificate of " + day + " is damaged; run `headpond bill verify --day " + day + "`");
  Json json{{"day", day}, {"clock", certificate.value("clock", "")}, {"bill", certificate["bill"]}, {"totals", certificate["totals"]}};
  json["partitions"] = certificate.contains("partitions") ? certificate["partitions"].size() : 0;
  json["report"] = "/bill/" + day;
  json["certificate"] = "/bill/" + day + ".json";
  json["csv"] = "/bill/" + day + ".csv";
  json["days"] = std::move(days);
  return dump(json);
}

}  // namespace headpond::serve
