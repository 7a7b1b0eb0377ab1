#include "bronze/writer.h"

namespace headpond::bronze {
namespace {

std::string delta_type(columns::Type type) {
  switch (type) {
    case columns::Type::kString: return "string";
    case columns::Type::kInt32: return "integer";
    case columns::Type::kInt64: return "long";
    case columns::Type::kDouble: return "double";
    case columns::Type::kBool: return "boolean";
    case columns::Type::kTimestamp: return "timestamp";
  }
  return "string";
}

}  // namespace

std::vector<delta::Field> schema_fields(const std::vector<columns::ColumnSpec>& declared) {
  std::vector<delta::Field> fields = {{"ts", "timestamp"}, {"arrival", "timestamp"}};
  const auto add = [&](bool cold) {
    for (const auto& column : declared)
      if (column.cold == cold) fields.push_back({column.name, delta_type(column.type)});
  };
  add(false);
  for (const auto& [name, type] : {std::pair{"bytes", "integer"},
                                   {"source", "string"},
                                   {"kafka_partition", "integer"},
                                   {"kafka_offset", "long"},
                                   {"record_index", "integer"},
                                   {"pattern_id", "long"},
                                   {"kafka_timestamp", "timestamp"},
                                   {"kafka_key", "binary"},
                                   {"kafka_headers", "string"}})
    fields.push_back({name, type});
  add(true);
  for (const auto& [name, type] : {std::pair{"error", "string"}, {"raw", "binary"}, {"ingest_date", "date"}})
    fields.push_back({name, type});
  return fields;
}

}  // namespace headpond::bronze
