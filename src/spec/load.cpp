#include <algorithm>
#include <filesystem>
#include <set>

#include "spec/sections.h"

namespace headpond::spec {
namespace {

constexpr int kFormat = 1;

void load_version(Context& context, const Node& root, Topology& out) {
  Fields fields(context, &root, root.place, "the topology",
                {"version", "name", "source", "consumers", "bronze", "branches", "expect", "prices", "serve"});
  if (fields.require("version", "version: 1") != nullptr) fields.integer("version", out.version, 1, 1'000'000);
  if (out.version > kFormat)
    context.report(*fields.key_place("version"), "this file has format " + std::to_string(out.version) +
                                                     "; this binary reads up to format " + std::to_string(kFormat) +
                                                     ": install a newer headpond");
  fields.require("name", "name: a name for the whole, such as acme-logs");
  fields.name("name", out.name);
}

void load_expect(Context& context, const Node& root, Topology& out) {
  const Node* node = root.find("expect");
  if (node == nullptr || node->kind == Node::Kind::kNull) return;
  Fields fields(context, node, node->place, "expect", {"events_per_day", "peak_to_mean", "bytes_per_event", "partitions", "cores"});
  Expect expect;
  expect.place = node->place;
  fields.require("events_per_day", "events_per_day: a number such as 50e9");
  fields.number("events_per_day", expect.events_per_day, 1, 1e15);
  fields.number("peak_to_mean", expect.peak_to_mean, 1, 1000);
  fields.number("bytes_per_event", expect.bytes_per_event, 1, 1e9);
  fields.integer("partitions", expect.partitions, 1, 1'000'000);
  fields.integer("cores", expect.cores, 1, 1'000'000);
  out.expect = expect;
}

void load_prices(Context& context, const Node& root, Topology& out) {
  const Node* node = root.find("prices");
  if (node == nullptr || node->kind == Node::Kind::kNull) return;
  Fields fields(context, node, node->place, "prices", {"core_hour", "memory_gb_hour", "storage_gb_month", "million_puts", "million_gets"});
  fields.number("core_hour", out.prices.core_hour, 0, 1e6);
  fields.number("memory_gb_hour", out.prices.memory_gb_hour, 0, 1e6);
  fields.number("storage_gb_month", out.prices.storage_gb_month, 0, 1e6);
  fields.number("million_puts", out.prices.million_puts, 0, 1e6);
  fields.number("million_gets", out.prices.million_gets, 0, 1e6);
}

void load_serve(Context& context, const Node& root, Topology& out) {
  const Node* node = root.find("serve");
  if (node == nullptr || node->kind == Node::Kind::kNull) return;
  Fields fields(context, node, node->place, "serve", {"listen"});
  fields.text("listen", out.serve_listen);
  const Node* listen = fields.find("listen");
  if (listen == nullptr || listen->kind != Node::Kind::kScalar) return;
  const auto colon = out.serve_listen.rfind(':');
  const std::string host = out.serve_listen.substr(0, colon);
  const std::string port = colon == std::string::npos ? "" : out.serve_listen.substr(colon + 1);
  const bool number =
      !port.empty() && port.size() <= 5 && std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!number || std::stoi(port) > 65535)
    context.report(listen->place,
                   "serve.listen: found " + describe(*listen) + "; expected host:port such as 127.0.0.1:8080 (port 0: any free one)");
  else if (host != "127.0.0.1" && host != "localhost" && host != "[::1]")
    context.report(listen->place, "serve.listen: found host `" + host +
                                      "`; expected 127.0.0.1, localhost or [::1]: the page has no login, put a proxy before it");
}

// Names are folders in the lake and keys in messages: each once.
void check_names(Context& context, const Topology& out) {
  std::map<std::string, Place> seen;
  for (const auto& consumer : out.consumers)
    if (const auto [first, fresh] = seen.emplace(consumer.name, consumer.place); !fresh && !consumer.name.empty())
      context.report(consumer.place,
                     "consumer `" + consumer.name + "` is named twice (first at " + to_string(first->second) + "); give it another name");
  seen.clear();
  for (const auto& branch : out.branches) {
    if (branch.name.empty()) continue;
    if (const auto [first, fresh] = seen.emplace(branch.name, branch.place); !fresh)
      context.report(branch.place,
                     "branch `" + branch.name + "` is named twice (first at " + to_string(first->second) + "); give it another name");
    if (branch.name == "ingest" || branch.name == "serve" || branch.name.starts_with("ingest-"))
      context.report(branch.place, "branch `" + branch.name + "`: that is the name of a role of Headpond; give it another");
  }
}

}  // namespace

bool load_location(Context& context, Fields& fields, std::string_view key, const Topology& topology, std::string& out,
                   std::string& as_written) {
  const Node* node = fields.find(key);
  if (node == nullptr) return false;
  const auto text = read_text(context, *node, fields.path_of(key), Expand::kYes);
  if (!text) return false;
  static const std::vector<std::string> kSchemes{"file", "s3", "gs", "abfss"};
  const auto scheme_end = text->find("://");
  if (scheme_end != std::string::npos) {
    const std::string scheme = text->substr(0, scheme_end);
    if (std::find(kSchemes.begin(), kSchemes.end(), scheme) == kSchemes.end()) {
      context.report(node->place, fields.path_of(key) + ": found " + describe(*node) +
                                      ", of an unknown scheme; expected a directory, file://, s3://, gs:// or abfss://");
      return false;
    }
    if (scheme != "file" && text->find_first_not_of('/', text->find('/', scheme_end + 3)) == std::string::npos) {
      context.report(node->place, fields.path_of(key) + ": a bucket without a folder; expected " + scheme + "://bucket/folder");
      return false;
    }
  }
  if (text->empty()) {
    context.report(node->place, fields.path_of(key) + ": found an empty text; expected a directory, or s3://bucket/folder");
    return false;
  }
  out = topology.resolve(*text);
  as_written = node->text;
  return true;
}

LoadResult load(const std::string& text, const std::string& path, const Secrets& secrets) {
  LoadResult result;
  const auto root = parse_yaml(text, path, result.issues);
  if (root == nullptr) return result;
  Context context{path, secrets, result.issues, {}};
  Topology topology;
  topology.path = path;
  topology.directory = std::filesystem::path(path).parent_path().string();
  load_version(context, *root, topology);
  if (root->kind == Node::Kind::kMap) {
    load_source(context, *root, topology);
    load_consumers(context, *root, topology);
    load_bronze(context, *root, topology);
    load_branches(context, *root, topology);
    load_expect(context, *root, topology);
    load_prices(context, *root, topology);
    load_serve(context, *root, topology);
    check_names(context, topology);
  }
  topology.expanded = std::move(context.expanded);
  std::stable_sort(result.issues.begin(), result.issues.end(), [](const Issue& a, const Issue& b) {
    return std::pair(a.place.line, a.place.column) < std::pair(b.place.line, b.place.column);
  });
  if (result.issues.empty()) result.topology = std::move(topology);
  return result;
}

}  // namespace headpond::spec
