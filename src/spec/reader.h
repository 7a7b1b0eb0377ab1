// Reads typed fields out of a YAML tree and notes every mistake on the way, so that one run shows them all.
//
//   Fields kafka(context, node, "source.kafka", {"brokers", "topic", "encoding"});   // reports any other key, with the nearest word
//   kafka.require("brokers", source.brokers, kExpand);
//   kafka.optional("generation", source.generation, 0, 1'000'000);
//
// A field that is wrong is reported and keeps its default. Threads: one.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "spec/topology.h"
#include "spec/yaml.h"

namespace headpond::spec {

struct Context {
  const std::string& path;
  const Secrets& secrets;
  std::vector<Issue>& issues;
  std::map<std::string, std::string> expanded;

  void report(const Place& place, std::string message) { issues.push_back({place, std::move(message)}); }
};

// The nearest of `words` to a mistyped one, if any is near enough to be meant.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& words);
// "a, b or c"
std::string one_of(const std::vector<std::string>& words);
// " (did you mean `x`?)", or empty.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& words);

enum class Expand { kNo, kYes, kSecret };  // kYes: ${NAME} and ${file:…} are replaced; kSecret: also never quoted in a message

// The scalar as text, `${…}` expanded where asked for; nullopt and an issue when it is no scalar or a name is not known.
std::optional<std::string> read_text(Context& context, const Node& node, const std::string& what, Expand expand);

class Fields {
 public:
  // `what` names the map in messages: "source.kafka", "branch `live-ops`".
  Fields(Context& context, const Node* node, const Place& place, std::string what, std::vector<std::string> keys);

  const Place& place() const { return place_; }
  const std::string& what() const { return what_; }
  // Null when the key is absent or has no value.
  const Node* find(std::string_view key) const;
  std::optional<Place> key_place(std::string_view key) const;
  std::map<std::string, Place> places() const;
  // As find(), and reports its absence, saying what belongs there.
  const Node* require(std::string_view key, std::string_view example);

  void text(std::string_view key, std::string& out, Expand expand = Expand::kNo);
  void number(std::string_view key, double& out, double least, double most);
  void integer(std::string_view key, int& out, int least, int most);
  // Bytes: "512MiB", "1GiB".
  void size(std::string_view key, std::int64_t& out, std::int64_t least);
  void duration(std::string_view key, base::Duration& out, base::Duration least);
  // One text or a list of texts.
  void texts(std::string_view key, std::vector<std::string>& out, Expand expand = Expand::kNo);
  // Index of the word in `words`.
  std::optional<std::size_t> word(std::string_view key, const std::vector<std::string>& words);
  // A name that can be a folder: letters, digits, `-`, `_`, `.`, at most 63.
  void name(std::string_view key, std::string& out);

  // "source.kafka.topic", "rhythm of branch live-ops-dashboard"
  std::string path_of(std::string_view key) const;

 private:
  Context& context_;
  const Node* node_;
  Place place_;
  std::string what_;
  std::vector<std::string> meant_;  // keys that an unknown one seems to stand for: not reported as absent too
};

}  // namespace headpond::spec
