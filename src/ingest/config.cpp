#include "ingest/config.h"

namespace headpond::ingest {
namespace {

columns::Type type_of(const std::string& name) {
  if (name == "int32") return columns::Type::kInt32;
  if (name == "int64") return columns::Type::kInt64;
  if (name == "double") return columns::Type::kDouble;
  if (name == "bool") return columns::Type::kBool;
  if (name == "timestamp") return columns::Type::kTimestamp;
  return columns::Type::kString;
}

decode::Field field_of(const spec::ColumnDecl& declared, columns::Type type) {
  return {declared.name, type, declared.from, declared.default_value};
}

}  // namespace

std::vector<columns::ColumnSpec> declared_columns(const spec::BronzeSpec& bronze) {
  std::vector<columns::ColumnSpec> columns;
  for (const auto& declared : bronze.columns) columns.push_back({declared.name, type_of(declared.type)});
  return columns;
}

base::Result<std::unique_ptr<decode::Decoder>> open_decoder(const spec::Topology& topology) {
  const auto encoding = topology.source.encoding;
  if (encoding != spec::Encoding::kJson && encoding != spec::Encoding::kRaw) {
    return base::fail(base::ErrorKind::kInvalid, spec::to_string(topology.source.place) + ": encoding " +
                                                     std::string(spec::to_string(encoding)) +
                                                     " is not read by this version; json and raw are");
  }
  std::vector<decode::Field> fields;
  for (const auto& declared : topology.bronze.columns) fields.push_back(field_of(declared, type_of(declared.type)));
  return decode::Decoder::open(encoding == spec::Encoding::kRaw ? decode::Encoding::kRaw : decode::Encoding::kJson,
                               field_of(topology.bronze.ts, columns::Type::kTimestamp), fields);
}

bronze::TableSpec table_spec(const spec::Topology& topology, const spec::LakePaths& paths) {
  return {paths.bronze, topology.name, declared_columns(topology.bronze)};
}

bronze::Topic topic_of(const spec::Topology& topology, const std::string& topic_id) {
  return {topology.source.topic, topic_id, topology.source.generation};
}

}  // namespace headpond::ingest
