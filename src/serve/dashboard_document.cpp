#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/time.h"
#include "serve/documents.h"

namespace headpond::serve {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kWindow = 5;  // minutes

Json optional_number(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json tally_json(const Tally& tally) {
  return {{"n", tally.n},
          {"bytes", tally.bytes},
          {"errors", tally.errors},
          {"p50", optional_number(tally.percentile(50))},
          {"p95", optional_number(tally.percentile(95))},
          {"p99", optional_number(tally.percentile(99))}};
}

// A group's minutes and, behind each, the window of five that ends with it. `minutes` begins four minutes before the first one shown.
Json series_json(const std::vector<Tally>& minutes, std::size_t first) {
  Json n = Json::array(), errors = Json::array(), rolling_n = Json::array(), rolling_errors = Json::array();
  Json p50 = Json::array(), p95 = Json::array(), p99 = Json::array();
  for (std::size_t i = first; i < minutes.size(); ++i) {
    n.push_back(minutes[i].n);
    errors.push_back(minutes[i].errors);
    Tally window;
    for (std::size_t k = i + 1 - kWindow; k <= i; ++k) window.add(minutes[k]);
    rolling_n.push_back(window.n);
    rolling_errors.push_back(window.errors);
    p50.push_back(optional_number(window.percentile(50)));
    p95.push_back(optional_number(window.percentile(95)));
    p99.push_back(optional_number(window.percentile(99)));
  }
  return {{"n", std::move(n)},
          {"errors", std::move(errors)},
          {"rolling",
           {{"n", std::move(rolling_n)},
            {"errors", std::move(rolling_errors)},
            {"p50", std::move(p50)},
            {"p95", std::move(p95)},
            {"p99", std::move(p99)}}}};
}

base::Result<DashboardQuestion> complete(const Minutes& minutes, DashboardQuestion question) {
  const auto unknown = [](const std::string& what, const std::string& name, const std::vector<std::string>& known) {
    std::string list;
    for (const auto& one : known) list += (list.empty() ? "" : ", ") + one;
    return base::fail(base::ErrorKind::kInvalid, "no " + what + " '" + name + "'; there is " + list);
  };
  std::vector<std::string> names;
  for (const auto& rollup : minutes.rollups()) names.push_back(rollup.name);
  if (names.empty()) return base::fail(base::ErrorKind::kNotFound, "the gold table has no rollup");
  if (question.rollup.empty()) question.rollup = std::ranges::find(names, "default") != names.end() ? "default" : names[0];
  const auto shape = std::ranges::find(minutes.rollups(), question.rollup, &RollupShape::name);
  if (shape == minutes.rollups().end()) return unknown("rollup", question.rollup, names);
  if (question.by.empty() && !shape->by.empty()) question.by = shape->by[0];
  if (!question.by.empty() && std::ranges::find(shape->by, question.by) == shape->by.end())
    return unknown("dimension", question.by, shape->by);
  if (question.measure.empty() && !shape->measures.empty()) question.measure = shape->measures[0];
  if (!question.measure.empty() && std::ranges::find(shape->measures, question.measure) == shape->measures.end())
    return unknown("measure", question.measure, shape->measures);
  return question;
}

Json head_json(const Minutes& minutes, const std::string& branch, const std::optional<Standing>& standing,
               const DashboardQuestion& question) {
  Json json{
      {"branch", branch}, {"rollup", question.rollup}, {"by", question.by}, {"measure", question.measure}, {"rollups", Json::array()}};
  for (const auto& rollup : minutes.rollups())
    json["rollups"].push_back({{"name", rollup.name}, {"by", rollup.by}, {"measures", rollup.measures}});
  json["gold_version"] = minutes.version().value();
  json["verdict"] = standing ? standing->verdict : "not running";
  json["incomplete"] = standing ? standing->status.message : "";
  json["last_batch"] = nullptr;
  if (const auto& batch = minutes.last_batch())
    json["last_batch"] = {
        {"id", batch->id}, {"rows", batch->rows}, {"late", batch->late}, {"committed_at_ms", batch->committed_at.value() / 1000}};
  json["late_rows_24h"] = minutes.late_rows();
  return json;
}

}  // namespace

base::Result<std::string> dashboard_json(Minutes& minutes, const std::string& branch, const std::optional<Standing>& standing,
                                         const DashboardQuestion& asked, base::Micros now) {
  TRY(const auto question, complete(minutes, asked));
  const auto end = base::floor_to(now, base::kMinute) + base::kMinute;
  const auto shown = end - base::kMinute * question.minutes;
  // The last five complete minutes may lie before what is shown.
  const auto complete_until = standing ? standing->status.complete_until : std::nullopt;
  auto first = shown - base::kMinute * (kWindow - 1);
  if (complete_until) first = std::max(end - base::kDay, std::min(first, *complete_until - base::kMinute * kWindow));
  const auto count = static_cast<int>((end - first).value() / base::kMinute.value());
  const auto offset = static_cast<std::size_t>((shown - first).value() / base::kMinute.value());
  TRY(auto groups, minutes.groups(question.rollup, question.by, question.measure, first, count));

  auto json = head_json(minutes, branch, standing, question);
  json["now_ms"] = now.value() / 1000;
  json["complete_until_ms"] = complete_until ? Json(complete_until->value() / 1000) : Json(nullptr);
  json["window_minutes"] = kWindow;
  json["minutes"] = Json::array();
  std::int64_t complete_count = 0;
  for (auto minute = shown; minute < end; minute = minute + base::kMinute) {
    json["minutes"].push_back(minute.value() / base::kSecond.value());
    if (complete_until && minute + base::kMinute <= *complete_until) ++complete_count;
  }
  json["complete"] = complete_count;

  const auto group_json = [&](const Group& group) {
    Json one{{"name", group.name}, {"window", nullptr}};
    const auto until = complete_until ? (*complete_until - first).value() / base::kMinute.value() : 0;
    if (until >= kWindow && until <= count) {
      Tally window;
      for (auto k = until - kWindow; k < until; ++k) window.add(group.minutes[static_cast<std::size_t>(k)]);
      one["window"] = tally_json(window);
    }
    one.update(series_json(group.minutes, offset));
    return one;
  };
  Group all{.name = "all", .minutes = std::vector<Tally>(static_cast<std::size_t>(count))};
  for (const auto& group : groups)
    for (std::size_t i = 0; i < group.minutes.size(); ++i) all.minutes[i].add(group.minutes[i]);
  json["all"] = group_json(all);
  json["groups_total"] = groups.size();
  json["groups"] = Json::array();
  for (std::size_t i = 0; i < groups.size() && static_cast<int>(i) < question.groups_max; ++i)
    json["groups"].push_back(group_json(groups[i]));
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace headpond::serve
