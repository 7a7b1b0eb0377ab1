// JSON of single facts, for what holds the same ones outside a commit. Private to bronze. Threads: any.
#pragma once

#include <nlohmann/json.hpp>

#include "bronze/facts.h"

namespace headpond::bronze {

inline constexpr std::size_t kRangeFields = 10;

nlohmann::ordered_json to_value(const Range& range);
// Of the first kRangeFields elements. Throws nlohmann's exceptions.
Range range_of(const nlohmann::json& value);

}  // namespace headpond::bronze
