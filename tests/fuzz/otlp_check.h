// What holds of every OTLP message, in either encoding.
#pragma once

#include <simdjson.h>

#include "fuzz.h"

namespace headpond::fuzz {

inline const std::vector<decode::Field>& otlp_fields() {
  using columns::Type;
  static const std::vector<decode::Field> fields = {{"severity_number", Type::kInt32, {"/severity_number", "/severity_text"}, {}},
                                                    {"service", Type::kString, {"service.name", "s"}, {}},
                                                    {"tenant", Type::kString, {"/resource/attributes/t", "/scope/attributes/t", "t"}, {}},
                                                    {"status", Type::kInt32, {"status", "i"}, {}},
                                                    {"duration_ms", Type::kDouble, {"d"}, {}},
                                                    {"ok", Type::kBool, {"b"}, {}},
                                                    {"seen", Type::kTimestamp, {"/observed_time_unix_nano"}, {}},
                                                    {"trace_id", Type::kString, {"/trace_id"}, {}},
                                                    {"span_id", Type::kString, {"/span_id"}, {}},
                                                    {"lib", Type::kString, {"/scope/name", "/scope/version"}, {}},
                                                    {"body", Type::kString, {"/body", "/event_name", "/flags"}, {}}};
  return fields;
}

inline std::vector<columns::ColumnSpec> otlp_specs() {
  std::vector<columns::ColumnSpec> specs;
  for (const auto& field : otlp_fields()) specs.push_back({field.name, field.type});
  for (const auto& extra : decode::extra_columns(decode::Encoding::kOtlpProto)) specs.push_back(extra);
  return specs;
}

// Returns how many rows it is, and whether one has an error.
inline std::pair<std::size_t, bool> check_otlp(decode::Encoding encoding, std::string_view payload) {
  static columns::Batch batch(otlp_specs());
  static simdjson::dom::parser parser;
  static const auto decoder =
      std::move(*decode::Decoder::open(encoding, {"ts", columns::Type::kTimestamp, {"/time_unix_nano"}, {}}, otlp_fields()));
  const auto rows = rows_of(*decoder, batch, payload, SIZE_MAX);
  const auto count = batch.rows();
  bool errors = false;
  if (rows.size() == count) {
    std::int64_t bytes = 0;
    for (std::size_t i = 0; i < count; ++i) {
      bytes += batch.bytes[i];
      errors = errors || batch.error[i].data() != nullptr;
      require(batch.bytes[i] >= 0, "no row has less than no bytes");
      require(batch.record_index[i] == static_cast<std::int32_t>(i), "record_index counts");
      for (std::size_t c = 0; c < batch.declared.size(); ++c) {
        const auto& column = batch.declared[c];
        if (column.valid[i] == 0) continue;
        require(batch.error[i].data() == nullptr, "a row with an error has no cell");
        if (column.type != columns::Type::kString) continue;
        require(simdjson::validate_utf8(column.strings[i]), "a text is UTF-8");
        if (c >= otlp_fields().size()) {
          simdjson::dom::object object;
          require(parser.parse(simdjson::padded_string(column.strings[i])).get(object) == simdjson::SUCCESS,
                  "resource, scope, attributes are JSON objects");
        }
      }
    }
    require(bytes == static_cast<std::int64_t>(payload.size()), "bytes add up to the payload");
  }
  for (const std::size_t hand_over : {1, 3})
    require(rows_of(*decoder, batch, payload, hand_over) == rows, "a batch that ends in a message changes no row");
  return {rows.size(), errors};
}

}  // namespace headpond::fuzz
