// The same as codec.h, on JSON values. Only .cpp files of this folder include it.
#pragma once

#include "rules/transition_json.h"

namespace headpond::notify {

using Json = nlohmann::ordered_json;

using rules::decode;
using rules::encode;

}  // namespace headpond::notify
