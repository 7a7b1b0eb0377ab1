// JSON of the log, as its readers take it: whole numbers. Threads: any.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

namespace headpond::delta {

// Throws nlohmann's other_error where a number is beyond 64 bits: nothing in a log is, and making an integer of it is undefined.
template <class Json>
void require_numbers_fit(const Json& json) {
  constexpr double kBeyond = 9223372036854775808.0;  // 2^63
  if (json.is_number_float() && !(std::abs(json.template get<double>()) < kBeyond))
    throw nlohmann::json::other_error::create(501, "a number is out of range", &json);
  if (json.is_structured())
    for (const auto& value : json) require_numbers_fit(value);
}

// Throws nlohmann's exceptions.
template <class Json>
Json parse_json(std::string_view text) {
  auto json = Json::parse(text);
  require_numbers_fit(json);
  return json;
}

}  // namespace headpond::delta
