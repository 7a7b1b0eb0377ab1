#include "bronze/cursor.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/time.h"

namespace headpond::bronze {
namespace {

constexpr int kCursorFormat = 1;
constexpr std::string_view kSuffix = ".json";

std::string folder(const std::string& table_root) {
  return (table_root.empty() ? "" : table_root + "/") + "_headpond/cursors/";
}

// "ingest" before "ingest-2" before "ingest-10".
std::pair<std::string, std::size_t> in_order(const std::string& branch) {
  const auto digits = branch.find_last_not_of("0123456789") + 1;
  if (digits == 0 || digits == branch.size() || branch[digits - 1] != '-') return {branch, 0};
  return {branch.substr(0, digits - 1), branch.size() - digits < 10 ? std::stoul(branch.substr(digits)) : 0};
}

base::Result<BranchStatus> parse_status(std::string_view text, const std::string& path) {
  const auto corrupt = [&](const std::string& why) {
    return base::fail(base::ErrorKind::kCorrupt, path + ": not a cursor (" + why + "); delete it, its branch writes it anew");
  };
  try {
    const auto object = nlohmann::json::parse(text);
    if (const int format = object.at("format").get<int>(); format > kCursorFormat)
      return base::fail(base::ErrorKind::kInvalid, path + ": cursor format " + std::to_string(format) +
                                                       " is newer than this Headpond reads (" + std::to_string(kCursorFormat) +
                                                       "); install Headpond " +
                                                       object.value("needs", std::string("the version that wrote it")) + " or later");
    BranchStatus status;
    status.branch = object.at("branch").get<std::string>();
    status.kind = object.at("kind").get<std::string>();
    status.engine = object.at("engine").get<std::string>();
    status.state = object.at("state").get<std::string>();
    status.message = object.value("message", std::string());
    status.version = base::Version(object.at("version").get<std::int64_t>());
    status.durable_version = base::Version(object.at("durable_version").get<std::int64_t>());
    status.updated_at = base::parse_rfc3339(object.at("updated_at").get<std::string>()).value_or(base::Micros(0));
    if (const auto it = object.find("complete_until"); it != object.end())
      status.complete_until = base::parse_rfc3339(it->get<std::string>());
    status.promise_s = object.value("promise_s", 0.0);
    status.figures = object.value("figures", std::map<std::string, double>());
    return status;
  } catch (const nlohmann::json::exception& e) {
    return corrupt(e.what());
  }
}

}  // namespace

std::string to_json(const BranchStatus& status) {
  nlohmann::ordered_json out = {{"format", kCursorFormat},
                                {"needs", "0.1.0"},
                                {"branch", status.branch},
                                {"kind", status.kind},
                                {"engine", status.engine},
                                {"state", status.state},
                                {"message", status.message},
                                {"version", status.version.value()},
                                {"durable_version", status.durable_version.value()},
                                {"updated_at", base::format_rfc3339(status.updated_at)}};
  if (status.complete_until) out["complete_until"] = base::format_rfc3339(*status.complete_until);
  out["promise_s"] = status.promise_s;
  auto figures = nlohmann::ordered_json::object();
  for (const auto& [name, value] : status.figures)
    if (std::isfinite(value)) figures[name] = value;
  out["figures"] = figures;
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

base::Duration publish_every(const env::ObjectStore& store, const std::string& table_root) {
  return base::Duration::seconds(store.local_path(table_root) ? 1 : 10);
}

base::Result<void> publish_status(env::ObjectStore& store, const std::string& table_root, const BranchStatus& status) {
  if (status.branch.empty() || status.branch.find('/') != std::string::npos)
    return base::fail(base::ErrorKind::kInvalid, "'" + status.branch + "' cannot name a branch: it is empty or holds '/'");
  return store.put(folder(table_root) + status.branch + std::string(kSuffix), to_json(status));
}

base::Result<void> remove_statuses(env::ObjectStore& store, const std::string& table_root,
                                   const std::function<bool(const std::string& branch)>& gone) {
  const auto root = folder(table_root);
  TRY(const auto objects, store.list(root));
  for (const auto& object : objects) {
    const std::string_view name = std::string_view(object.path).substr(root.size());
    if (name.ends_with(kSuffix) && gone(std::string(name.substr(0, name.size() - kSuffix.size())))) TRY_VOID(store.remove(object.path));
  }
  return {};
}

base::Result<std::vector<BranchStatus>> read_statuses(env::ObjectStore& store, const std::string& table_root) {
  TRY(auto objects, store.list(folder(table_root)));
  std::vector<BranchStatus> out;
  for (const auto& object : objects) {
    if (!object.path.ends_with(kSuffix)) continue;
    auto text = store.get(object.path);
    if (!text && text.error().kind == base::ErrorKind::kNotFound) continue;
    if (!text) return std::unexpected(std::move(text).error());
    TRY(auto status, parse_status(*text, object.path));
    out.push_back(std::move(status));
  }
  std::ranges::stable_sort(out, {}, [](const auto& status) { return in_order(status.branch); });
  return out;
}

}  // namespace headpond::bronze
