// Decodes an ExportLogsServiceRequest a record, as protobuf or in OTLP's JSON mapping; one row a log record. Threads: one at a time.
#pragma once

#include <memory>
#include <vector>

#include "decode/decoder.h"

namespace headpond::decode {

// Batch::declared ends in extra_columns(). Errors: kInvalid: a source that otlp_columns.h does not know, a default.
base::Result<std::unique_ptr<Decoder>> open_otlp_proto(const Field& ts, const std::vector<Field>& fields, Options options);
base::Result<std::unique_ptr<Decoder>> open_otlp_json(const Field& ts, const std::vector<Field>& fields, Options options);

}  // namespace headpond::decode
