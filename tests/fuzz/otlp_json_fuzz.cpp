// OTLP JSON: what otlp_check.h says; and where nlohmann's reader takes the text and finds lists where they should be, as many rows.
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "otlp_check.h"

namespace {

using Json = nlohmann::json;

// Members in the text may come twice; nlohmann keeps the last. Such texts are not compared.
bool has_doubled_member(const std::string& text) {
  std::vector<std::set<std::string>> open;
  bool doubled = false;
  const auto note = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end) open.pop_back();
    if (event == Json::parse_event_t::key) doubled = doubled || !open.back().insert(parsed.get<std::string>()).second;
    return true;
  };
  return Json::parse(text, note, false).is_discarded() || doubled;
}

// None: not a frame of lists of objects.
std::optional<std::size_t> log_records(const Json& request) {
  std::size_t count = 0;
  const auto list = [](const Json& owner, const char* name) -> std::optional<Json> {
    const auto it = owner.find(name);
    if (it == owner.end() || it->is_null()) return Json::array();
    if (!it->is_array()) return std::nullopt;
    for (const auto& item : *it)
      if (!item.is_object()) return std::nullopt;
    return *it;
  };
  const auto resources = list(request, "resourceLogs");
  if (!resources) return std::nullopt;
  for (const auto& resource : *resources) {
    const auto scopes = list(resource, "scopeLogs");
    if (!scopes) return std::nullopt;
    for (const auto& scope : *scopes) {
      const auto records = list(scope, "logRecords");
      if (!records) return std::nullopt;
      count += records->size();
    }
  }
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace headpond;
  const std::string payload(reinterpret_cast<const char*>(data), size);
  const auto [rows, errors] = fuzz::check_otlp(decode::Encoding::kOtlpJson, payload);
  const auto json = Json::parse(payload, nullptr, false);
  if (errors || !json.is_object() || has_doubled_member(payload)) return 0;
  const auto expected = log_records(json);
  fuzz::require(expected.has_value(), "what is read is a frame of lists");
  fuzz::require(rows == std::max<std::size_t>(1, *expected), "a row for each log record");
  return 0;
}
