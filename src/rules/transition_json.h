// Transitions as JSON values: docs/formats/pages.md. Only .cpp files include it. Threads: any.
#pragma once

#include <nlohmann/json.hpp>

#include "rules/transition.h"

namespace headpond::rules {

nlohmann::ordered_json encode(const Transition& transition);
// Throws nlohmann's exceptions.
Transition decode(const nlohmann::ordered_json& json);

}  // namespace headpond::rules
