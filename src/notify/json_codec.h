// The same as codec.h, on JSON values. Only .cpp files of this folder include it.
#pragma once

#include <nlohmann/json.hpp>

#include "rules/transition.h"

namespace headpond::notify {

using Json = nlohmann::ordered_json;

Json encode(const rules::Transition& transition);
// Throws nlohmann's exceptions.
rules::Transition decode(const Json& json);

}  // namespace headpond::notify
