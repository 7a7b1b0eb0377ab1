#include <algorithm>
#include <charconv>

#include "base/time.h"
#include "spec/sections.h"

namespace headpond::spec {
namespace {

const std::vector<std::string> kTypes{"string", "int32", "int64", "double", "bool", "timestamp"};
// Written by Headpond itself in every bronze table.
const std::vector<std::string> kBuiltIn{"arrival",     "bytes",           "source",    "kafka_partition", "kafka_offset", "record_index",
                                        "pattern_id",  "kafka_timestamp", "kafka_key", "kafka_headers",   "error",        "raw",
                                        "ingest_date", "resource",        "scope",     "attributes",      "rest"};

ColumnDecl column(std::string name, std::string type, std::vector<std::string> from, bool raw) {
  ColumnDecl decl;
  decl.name = std::move(name);
  decl.type = std::move(type);
  if (!raw) decl.from = std::move(from);
  return decl;
}

bool is_otlp(Encoding encoding) {
  return encoding == Encoding::kOtlpProto || encoding == Encoding::kOtlpJson;
}

template <class T>
bool parses(const std::string& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool is_value_of(const std::string& text, const std::string& type) {
  if (type == "int32") return parses<std::int32_t>(text);
  if (type == "int64") return parses<std::int64_t>(text);
  if (type == "double") return parses<double>(text);
  if (type == "bool") return text == "true" || text == "false";
  if (type == "timestamp") return base::parse_rfc3339(text).has_value();
  return true;
}

bool is_column_name(const std::string& name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  return !name.empty() && name.size() <= 128 && letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

void load_default(Context& context, Fields& fields, ColumnDecl& decl) {
  const Node* node = fields.find("default");
  if (node == nullptr) return;
  const auto value = read_text(context, *node, fields.path_of("default"), Expand::kNo);
  if (!value) return;
  if (!is_value_of(*value, decl.type))
    context.report(node->place, fields.path_of("default") + ": found " + describe(*node) + "; expected a value of type " + decl.type);
  else
    decl.default_value = *value;
}

void load_pointers(Context& context, Fields& fields, Encoding encoding, ColumnDecl& decl) {
  const Node* node = fields.find("from");
  if (node == nullptr) {
    if (encoding != Encoding::kRaw) decl.from = {is_otlp(encoding) ? decl.name : "/" + decl.name};
    return;
  }
  if (encoding == Encoding::kRaw) {
    context.report(node->place,
                   fields.path_of("from") + ": a record of encoding raw has no fields to point at; write `default:`, or another encoding");
    return;
  }
  fields.texts("from", decl.from);
  for (const auto& pointer : decl.from)
    if (!pointer.starts_with('/') && !is_otlp(encoding))
      context.report(node->place, fields.path_of("from") + ": found `" + pointer +
                                      "`; expected a JSON pointer that starts with `/`, such as /http/status");
}

std::optional<ColumnDecl> load_column(Context& context, const Node& node, Encoding encoding) {
  Fields fields(context, &node, node.place, "bronze.columns", {"name", "from", "type", "default"});
  ColumnDecl decl;
  decl.place = node.place;
  fields.require("name", "name: a column name such as status");
  fields.text("name", decl.name);
  if (decl.name.empty()) return std::nullopt;
  const Place at = fields.find("name")->place;
  if (!is_column_name(decl.name)) {
    context.report(at, "bronze.columns: found name `" + decl.name + "`; expected lower-case letters, digits and `_`, a letter first");
    return std::nullopt;
  }
  if (std::find(kBuiltIn.begin(), kBuiltIn.end(), decl.name) != kBuiltIn.end()) {
    context.report(at, "bronze.columns: `" + decl.name + "` is a column Headpond writes itself; choose another name");
    return std::nullopt;
  }
  decl.type = decl.name == "ts" ? "timestamp" : "string";
  if (decl.name != "ts") fields.require("type", "type: " + one_of(kTypes));
  if (const auto type = fields.word("type", kTypes)) decl.type = kTypes[*type];
  if (decl.name == "ts" && decl.type != "timestamp")
    context.report(fields.find("type")->place, "bronze.columns: `ts` is the event time; expected type timestamp");
  load_pointers(context, fields, encoding, decl);
  load_default(context, fields, decl);
  return decl;
}

// Body and ids as well: the payload of a log record is inside a message that only the first of its rows has.
std::vector<ColumnDecl> otlp_columns() {
  return {
      column("severity_number", "int32", {"/severity_number", "/severity_text"}, false),
      column("service", "string", {"service.name"}, false),
      column("tenant", "string", {"tenant", "tenant_id", "tenant.id"}, false),
      column("host", "string", {"host.name", "host"}, false),
      column("event", "string", {"/event_name", "event.name", "event"}, false),
      column("status", "int32", {"http.response.status_code", "http.status_code", "status"}, false),
      column("duration_ms", "double", {"duration_ms"}, false),
      column("user_id", "string", {"user.id", "enduser.id", "user_id"}, false),
      column("trace_id", "string", {"/trace_id"}, false),
      column("span_id", "string", {"/span_id"}, false),
      column("body", "string", {"/body"}, false),
  };
}

}  // namespace

std::vector<ColumnDecl> default_columns(Encoding encoding) {
  if (is_otlp(encoding)) return otlp_columns();
  const bool raw = encoding == Encoding::kRaw;
  return {
      column("severity_number", "int32", {"/severity_number", "/severityNumber", "/severity", "/level"}, raw),
      column("service", "string", {"/service", "/service_name", "/service.name"}, raw),
      column("tenant", "string", {"/tenant", "/tenant_id"}, raw),
      column("host", "string", {"/host", "/hostname", "/host.name"}, raw),
      column("event", "string", {"/event", "/event_name", "/event.name"}, raw),
      column("status", "int32", {"/status", "/status_code"}, raw),
      column("duration_ms", "double", {"/duration_ms"}, raw),
      column("user_id", "string", {"/user_id"}, raw),
  };
}

ColumnDecl default_ts(Encoding encoding) {
  if (is_otlp(encoding)) return column("ts", "timestamp", {"/time_unix_nano", "/observed_time_unix_nano"}, false);
  return column("ts", "timestamp", {"/ts", "/timestamp", "/@timestamp", "/time"}, encoding == Encoding::kRaw);
}

void load_columns(Context& context, const Node* list, Encoding encoding, BronzeSpec& bronze) {
  bronze.columns = default_columns(encoding);
  bronze.ts = default_ts(encoding);
  if (list == nullptr) return;
  if (list->kind != Node::Kind::kList) {
    context.report(list->place, "bronze.columns: found " + describe(*list) +
                                    "; expected a list such as [{name: status, from: /http/status, type: int32}]");
    return;
  }
  std::map<std::string, Place> seen;
  for (const auto& item : list->items) {
    auto decl = load_column(context, *item, encoding);
    if (!decl) continue;
    if (const auto [first, fresh] = seen.emplace(decl->name, decl->place); !fresh) {
      context.report(decl->place,
                     "bronze.columns: `" + decl->name + "` is declared twice (first at " + to_string(first->second) + "); keep one");
      continue;
    }
    const auto same = std::find_if(bronze.columns.begin(), bronze.columns.end(), [&](const ColumnDecl& c) { return c.name == decl->name; });
    if (decl->name == "ts")
      bronze.ts = std::move(*decl);
    else if (same != bronze.columns.end())
      *same = std::move(*decl);
    else
      bronze.columns.push_back(std::move(*decl));
  }
}

}  // namespace headpond::spec
