#include "decode/otlp_json_frame.h"

namespace headpond::decode {
namespace {

namespace od = simdjson::ondemand;

constexpr std::size_t kKept = 64 << 10;  // records whose memory is used again

// Calls `take(key, value)` for each member.
template <class Take>
simdjson::error_code each_member(od::object& object, Take take) {
  for (auto result : object) {
    od::field field;
    if (const auto error = std::move(result).get(field); error != simdjson::SUCCESS) return error;
    std::string_view key;
    if (const auto error = field.unescaped_key().get(key); error != simdjson::SUCCESS) return error;
    if (const auto error = take(key, field.value()); error != simdjson::SUCCESS) return error;
  }
  return simdjson::SUCCESS;
}
// Of a value that begins like null: whether it is. (is_null()'s own result throws where the text is neither.)
simdjson::error_code null(od::value value) {
  bool is_null = false;
  if (const auto error = value.is_null().get(is_null); error != simdjson::SUCCESS) return error;
  return is_null ? simdjson::SUCCESS : simdjson::N_ATOM_ERROR;
}
// Calls `take(object)` for each object of a list; null is an empty one.
template <class Take>
simdjson::error_code each_object(od::value value, Take take) {
  od::json_type type;
  if (const auto error = value.type().get(type); error != simdjson::SUCCESS) return error;
  if (type == od::json_type::null) return null(value);
  od::array array;
  if (const auto error = value.get_array().get(array); error != simdjson::SUCCESS) return error;
  for (auto result : array) {
    od::object object;
    if (const auto error = std::move(result).get_object().get(object); error != simdjson::SUCCESS) return error;
    if (const auto error = take(object); error != simdjson::SUCCESS) return error;
  }
  return simdjson::SUCCESS;
}
simdjson::error_code raw(od::value value, std::string_view& json) {
  od::json_type type;
  if (const auto error = value.type().get(type); error != simdjson::SUCCESS) return error;
  if (type == od::json_type::null) return null(value);
  od::object object;
  if (const auto error = value.get_object().get(object); error != simdjson::SUCCESS) return error;
  return object.raw_json().get(json);
}

}  // namespace

const char* OtlpJsonFrame::read(std::string_view message) {
  clear();
  if (message.empty()) return "empty payload";
  od::document document;
  if (const auto error = parser_.iterate(message.data(), message.size(), message.size() + columns::Batch::kPadding).get(document);
      error != simdjson::SUCCESS)
    return simdjson::error_message(error);
  od::object object;
  if (document.get_object().get(object) != simdjson::SUCCESS) return "not a JSON object";
  if (const auto error = request(object); error != simdjson::SUCCESS)
    return error == simdjson::INCORRECT_TYPE ? "not an OTLP message: resourceLogs, scopeLogs and logRecords are lists of objects"
                                             : simdjson::error_message(error);
  if (document.current_location().error() == simdjson::SUCCESS) return "content behind the JSON object";
  return nullptr;
}

void OtlpJsonFrame::rebase(const char* from, const char* to) {
  const auto move = [&](std::string_view& view) {
    if (view.data() != nullptr) view = {to + (view.data() - from), view.size()};
  };
  for (auto& record : records_) move(record.json);
  for (auto& scope : scopes_) move(scope.json);
  for (auto& resource : resources_) move(resource);
}

void OtlpJsonFrame::clear() {
  resources_.clear();
  scopes_.clear();
  records_.clear();
  if (records_.capacity() > kKept) records_.shrink_to_fit();
}

simdjson::error_code OtlpJsonFrame::request(od::object& object) {
  return each_member(object, [&](std::string_view key, od::value value) {
    return key == "resourceLogs" ? each_object(value, [&](od::object& logs) { return resource_logs(logs); }) : simdjson::SUCCESS;
  });
}
simdjson::error_code OtlpJsonFrame::resource_logs(od::object& object) {
  resources_.emplace_back();
  return each_member(object, [&](std::string_view key, od::value value) {
    if (key == "resource") return raw(value, resources_.back());
    return key == "scopeLogs" ? each_object(value, [&](od::object& logs) { return scope_logs(logs); }) : simdjson::SUCCESS;
  });
}
simdjson::error_code OtlpJsonFrame::scope_logs(od::object& object) {
  scopes_.push_back({resources_.size() - 1, {}});
  return each_member(object, [&](std::string_view key, od::value value) {
    if (key == "scope") return raw(value, scopes_.back().json);
    if (key != "logRecords") return simdjson::SUCCESS;
    return each_object(value, [&](od::object& record) {
      std::string_view json;
      if (const auto error = record.raw_json().get(json); error != simdjson::SUCCESS) return error;
      while (!json.empty() && json.back() != '}') json.remove_suffix(1);
      records_.push_back({scopes_.size() - 1, json});
      return simdjson::SUCCESS;
    });
  });
}

}  // namespace headpond::decode
