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

decode::Encoding encoding_of(spec::Encoding encoding) {
  switch (encoding) {
    case spec::Encoding::kJson: return decode::Encoding::kJson;
    case spec::Encoding::kRaw: return decode::Encoding::kRaw;
    case spec::Encoding::kOtlpProto: return decode::Encoding::kOtlpProto;
    case spec::Encoding::kOtlpJson: return decode::Encoding::kOtlpJson;
  }
  return decode::Encoding::kRaw;
}

decode::Field field_of(const spec::ColumnDecl& declared, columns::Type type) {
  return {declared.name, type, declared.from, declared.default_value};
}

decode::Options options_of(const spec::BronzeSpec& bronze) {
  return {.patterns_of_all = bronze.pattern_id == spec::PatternsOf::kAll, .rest = bronze.raw == spec::RawOf::kErrors};
}

}  // namespace

std::vector<columns::ColumnSpec> declared_columns(const spec::Topology& topology) {
  std::vector<columns::ColumnSpec> columns;
  for (const auto& declared : topology.bronze.columns) columns.push_back({declared.name, type_of(declared.type)});
  for (auto& extra : decode::extra_columns(encoding_of(topology.source.encoding), options_of(topology.bronze)))
    columns.push_back(std::move(extra));
  return columns;
}

base::Result<std::unique_ptr<decode::Decoder>> open_decoder(const spec::Topology& topology) {
  std::vector<decode::Field> fields;
  for (const auto& declared : topology.bronze.columns) fields.push_back(field_of(declared, type_of(declared.type)));
  auto decoder = decode::Decoder::open(encoding_of(topology.source.encoding), field_of(topology.bronze.ts, columns::Type::kTimestamp),
                                       fields, options_of(topology.bronze));
  if (!decoder) return std::unexpected(std::move(decoder).error().within(spec::to_string(topology.bronze.place)));
  return decoder;
}

bronze::TableSpec table_spec(const spec::Topology& topology, const spec::LakePaths& paths) {
  return {paths.bronze, topology.name, declared_columns(topology)};
}

bronze::Topic topic_of(const spec::Topology& topology, const std::string& topic_id) {
  return {topology.source.topic, topic_id, topology.source.generation};
}

}  // namespace headpond::ingest
