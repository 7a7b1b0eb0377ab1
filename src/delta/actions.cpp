// The JSON of single actions, both ways.
#include <nlohmann/json.hpp>

#include "delta/json.h"
#include "delta/log.h"

namespace headpond::delta {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kEngine = "headpond/0.1.0";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::string url_decode(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
    if (!escape) {
      result += text[i];
      continue;
    }
    result += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
    i += 2;
  }
  return result;
}

std::string schema_string(const std::vector<Field>& schema) {
  Json fields = Json::array();
  for (const auto& field : schema) {
    fields.push_back({{"name", field.name}, {"type", field.type}, {"nullable", field.nullable}, {"metadata", Json::object()}});
  }
  return Json{{"type", "struct"}, {"fields", std::move(fields)}}.dump();
}

std::vector<Field> parse_schema(const std::string& text) {
  std::vector<Field> result;
  const Json schema = Json::parse(text);
  for (const auto& field : schema.at("fields")) {
    // Nested types, which Headpond never writes, are kept as their JSON text.
    const Json& type = field.at("type");
    result.push_back({field.at("name"), type.is_string() ? type.get<std::string>() : type.dump(), field.value("nullable", true)});
  }
  return result;
}

Json to_json(const Protocol& protocol) {
  Json json{{"minReaderVersion", protocol.min_reader_version}, {"minWriterVersion", protocol.min_writer_version}};
  if (protocol.min_reader_version >= 3) json["readerFeatures"] = protocol.reader_features;
  if (protocol.min_writer_version >= 7) json["writerFeatures"] = protocol.writer_features;
  return json;
}

Json to_json(const Metadata& metadata) {
  Json configuration = Json::object();
  for (const auto& [key, value] : metadata.configuration) configuration[key] = value;
  Json json{{"id", metadata.id}};
  if (!metadata.name.empty()) json["name"] = metadata.name;
  json["format"] = {{"provider", "parquet"}, {"options", Json::object()}};
  json["schemaString"] = schema_string(metadata.schema);
  json["partitionColumns"] = metadata.partition_columns;
  json["configuration"] = std::move(configuration);
  json["createdTime"] = metadata.created_ms;
  return json;
}

Json to_json(const AddFile& add) {
  Json partition_values = Json::object();
  for (const auto& [column, value] : add.partition_values) partition_values[column] = value ? Json(*value) : Json(nullptr);
  Json json{{"path", url_encode(add.path)},
            {"partitionValues", std::move(partition_values)},
            {"size", add.size},
            {"modificationTime", add.modification_ms},
            {"dataChange", add.data_change}};
  if (!add.stats.empty()) json["stats"] = add.stats;
  if (!add.tags.empty()) json["tags"] = add.tags;
  return json;
}

Json to_json(const RemoveFile& remove) {
  return {{"path", url_encode(remove.path)}, {"deletionTimestamp", remove.deletion_ms}, {"dataChange", remove.data_change}};
}

void append_line(std::string& out, const char* action, const Json& body) {
  out += Json{{action, body}}.dump() + "\n";
}

std::string commit_info_line(const Commit& commit) {
  const Json info{{"timestamp", commit.timestamp_ms},
                  {"operation", commit.operation},
                  {"operationParameters", Json::object()},
                  {"isBlindAppend", commit.blind_append},
                  {"engineInfo", kEngine}};
  std::string line = Json{{"commitInfo", info}}.dump();
  if (!commit.headpond.empty()) line.insert(line.size() - 2, ",\"headpond\":" + commit.headpond);
  return line + "\n";
}

template <class T>
T value_or(const Json& json, const char* key, T otherwise) {
  const auto it = json.find(key);
  return it == json.end() || it->is_null() ? otherwise : it->template get<T>();
}

Protocol parse_protocol(const Json& json) {
  Protocol protocol;
  protocol.min_reader_version = json.at("minReaderVersion");
  protocol.min_writer_version = json.at("minWriterVersion");
  protocol.reader_features = value_or(json, "readerFeatures", std::vector<std::string>{});
  protocol.writer_features = value_or(json, "writerFeatures", std::vector<std::string>{});
  return protocol;
}

Metadata parse_metadata(const Json& json) {
  Metadata metadata;
  metadata.id = json.at("id");
  metadata.name = value_or(json, "name", std::string());
  metadata.schema = parse_schema(json.at("schemaString"));
  metadata.partition_columns = json.at("partitionColumns").get<std::vector<std::string>>();
  metadata.configuration = value_or(json, "configuration", std::map<std::string, std::string>{});
  metadata.created_ms = value_or<std::int64_t>(json, "createdTime", 0);
  return metadata;
}

AddFile parse_add(const Json& json) {
  AddFile add;
  add.path = url_decode(json.at("path").get<std::string>());
  for (const auto& [column, value] : json.at("partitionValues").items()) {
    add.partition_values[column] = value.is_null() ? std::nullopt : std::optional(value.get<std::string>());
  }
  add.size = json.at("size");
  add.modification_ms = json.at("modificationTime");
  add.data_change = json.at("dataChange");
  add.stats = value_or(json, "stats", std::string());
  add.tags = value_or(json, "tags", std::map<std::string, std::string>{});
  return add;
}

void parse_action(const Json& action, Commit& commit) {
  if (const auto info = action.find("commitInfo"); info != action.end()) {
    commit.timestamp_ms = value_or<std::int64_t>(*info, "timestamp", 0);
    commit.operation = value_or(*info, "operation", std::string());
    commit.blind_append = value_or(*info, "isBlindAppend", false);
    if (const auto own = info->find("headpond"); own != info->end()) commit.headpond = own->dump();
  } else if (const auto protocol = action.find("protocol"); protocol != action.end()) {
    commit.protocol = parse_protocol(*protocol);
  } else if (const auto metadata = action.find("metaData"); metadata != action.end()) {
    commit.metadata = parse_metadata(*metadata);
  } else if (const auto txn = action.find("txn"); txn != action.end()) {
    commit.txns.push_back({txn->at("appId"), txn->at("version")});
  } else if (const auto add = action.find("add"); add != action.end()) {
    commit.adds.push_back(parse_add(*add));
  } else if (const auto remove = action.find("remove"); remove != action.end()) {
    commit.removes.push_back({url_decode(remove->at("path").get<std::string>()), value_or<std::int64_t>(*remove, "deletionTimestamp", 0),
                              value_or(*remove, "dataChange", true)});
  }
  // Actions a reader of version 1 does not know (cdc, domainMetadata, …) change nothing it reads.
}

}  // namespace

// The protocol wants paths as relative URIs.
std::string url_encode(std::string_view path) {
  static constexpr std::string_view kPlain = "-._~/=@!$&'()*+,;";
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string result;
  for (const char c : path) {
    const bool letter = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (letter || kPlain.find(c) != std::string_view::npos) {
      result += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      result += '%';
      result += kHex[byte >> 4];
      result += kHex[byte & 15];
    }
  }
  return result;
}

std::string action_json(const Protocol& protocol) {
  return to_json(protocol).dump();
}

std::string action_json(const Metadata& metadata) {
  return to_json(metadata).dump();
}

std::string serialize(const Commit& commit) {
  std::string out = commit_info_line(commit);
  if (commit.protocol) append_line(out, "protocol", to_json(*commit.protocol));
  if (commit.metadata) append_line(out, "metaData", to_json(*commit.metadata));
  for (const auto& txn : commit.txns) append_line(out, "txn", {{"appId", txn.app_id}, {"version", txn.version}});
  for (const auto& add : commit.adds) append_line(out, "add", to_json(add));
  for (const auto& remove : commit.removes) append_line(out, "remove", to_json(remove));
  return out;
}

base::Result<Commit> parse(std::string_view text, std::string_view name) {
  Commit commit;
  int line_number = 0;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++line_number;
    if (line.find_first_not_of(" \r\t") == std::string_view::npos) continue;
    try {
      parse_action(parse_json<Json>(line), commit);
    } catch (const std::exception& e) {
      return base::fail(base::ErrorKind::kCorrupt, std::string(name) + ":" + std::to_string(line_number) + ": not a Delta log action (" +
                                                       e.what() + "); restore the file from a backup");
    }
  }
  return commit;
}

}  // namespace headpond::delta
