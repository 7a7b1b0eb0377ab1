// Decodes one JSON object a record. simdjson judges what plain_json.h does not take. Threads: one at a time.
#pragma once

#include <memory>

#include "decode/decoder.h"

namespace headpond::decode {

base::Result<std::unique_ptr<Decoder>> open_json(const Field& ts, const std::vector<Field>& fields, Options options);

}  // namespace headpond::decode
