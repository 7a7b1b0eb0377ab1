#include "spec/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

namespace headpond::spec {
namespace {

constexpr std::size_t kTextBytesMax = 4u << 20;

using NodePtr = std::shared_ptr<Node>;

// Builds the tree from the parser's events; these, unlike yaml-cpp's own nodes, carry a position for everything.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const std::string& path, std::vector<Issue>& issues) : path_(path), issues_(issues) {}

  NodePtr root() const { return root_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { leaf(make(Node::Kind::kNull, mark, anchor)); }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value) override {
    const NodePtr node = make(Node::Kind::kScalar, mark, anchor);
    node->text = value;
    node->quoted = tag == "!";
    leaf(node);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const NodePtr target = anchors_[anchor];
    const bool open = std::any_of(stack_.begin(), stack_.end(), [&](const Frame& f) { return f.node == target; });
    if (target == nullptr || open) {
      issues_.push_back({place(mark), "an alias (*name) stands inside the very thing it names; write that part out"});
      leaf(make(Node::Kind::kNull, mark, 0));
      return;
    }
    leaf(target, place(mark));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    stack_.push_back({make(Node::Kind::kList, mark, anchor), {}, {}, false});
  }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    stack_.push_back({make(Node::Kind::kMap, mark, anchor), {}, {}, false});
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override {
    merge(*stack_.back().node);
    close();
  }

 private:
  struct Frame {
    NodePtr node;
    std::string key;
    Place key_place;
    bool has_key;
  };

  Place place(const YAML::Mark& mark) const { return {path_, std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1}; }

  NodePtr make(Node::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    const auto node = std::make_shared<Node>();
    node->kind = kind;
    node->place = place(mark);
    if (anchor != 0) anchors_[anchor] = node;
    return node;
  }

  void close() {
    const NodePtr node = stack_.back().node;
    stack_.pop_back();
    leaf(node);
  }

  void leaf(const NodePtr& node) { leaf(node, node->place); }

  void leaf(const NodePtr& node, const Place& at) {
    if (stack_.empty()) {
      root_ = node;
      return;
    }
    Frame& frame = stack_.back();
    if (frame.node->kind == Node::Kind::kList) {
      frame.node->items.push_back(node);
    } else if (!frame.has_key) {
      take_key(frame, *node, at);
    } else {
      frame.has_key = false;
      const bool twice = frame.key != "<<" && frame.node->find(frame.key) != nullptr;
      if (twice) issues_.push_back({frame.key_place, "`" + frame.key + "` is written twice here; keep one"});
      if (!twice) frame.node->entries.push_back({frame.key, frame.key_place, node});
    }
  }

  void take_key(Frame& frame, const Node& node, const Place& at) {
    if (node.kind != Node::Kind::kScalar) issues_.push_back({at, "found " + describe(node) + " as a key; expected a word"});
    frame.key = node.text;
    frame.key_place = at;
    frame.has_key = true;
  }

  // `<<: *defaults` (or a list of maps): what the map does not say itself comes from there.
  void merge(Node& map) {
    std::vector<Node::Entry> own;
    std::vector<std::shared_ptr<const Node>> sources;
    for (auto& entry : map.entries) {
      if (entry.key != "<<") {
        own.push_back(entry);
      } else if (entry.value->kind == Node::Kind::kList) {
        sources.insert(sources.end(), entry.value->items.begin(), entry.value->items.end());
      } else {
        sources.push_back(entry.value);
      }
    }
    map.entries = std::move(own);
    for (const auto& source : sources) {
      if (source->kind != Node::Kind::kMap)
        issues_.push_back({source->place, "found " + describe(*source) + " after `<<`; expected a map"});
      for (const auto& entry : source->entries)
        if (map.find(entry.key) == nullptr) map.entries.push_back(entry);
    }
  }

  const std::string& path_;
  std::vector<Issue>& issues_;
  std::vector<Frame> stack_;
  std::map<YAML::anchor_t, NodePtr> anchors_;
  NodePtr root_;
};

// Where the first byte stands that is not valid UTF-8 (or is a NUL), if any.
std::optional<Place> first_bad_byte(const std::string& text, const std::string& path) {
  int line = 1, column = 1;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const std::size_t length = byte < 0x80                   ? 1
                               : byte >= 0xC2 && byte < 0xE0 ? 2
                               : byte >= 0xE0 && byte < 0xF0 ? 3
                               : byte >= 0xF0 && byte < 0xF5 ? 4
                                                             : 0;
    bool good = length != 0 && byte != 0 && i + length <= text.size();
    for (std::size_t k = 1; good && k < length; ++k) good = (static_cast<unsigned char>(text[i + k]) & 0xC0) == 0x80;
    if (!good) return Place{path, line, column};
    column = byte == '\n' ? 1 : column + 1;
    line += byte == '\n' ? 1 : 0;
    i += length;
  }
  return std::nullopt;
}

// yaml-cpp's words, with the mend where the cause is a usual one.
std::string syntax_message(const std::string& text, const Place& at, const std::string& found) {
  std::istringstream lines(text);
  std::string line;
  for (int i = 0; i < at.line && std::getline(lines, line);) ++i;
  const auto first = line.find_first_not_of(' ');
  if (first != std::string::npos && line[first] == '\t') return "a tab stands in the indentation; YAML wants spaces there";
  std::string message = "not valid YAML: " + found;
  if (found.find("flow") != std::string::npos) message += "; a bracket or brace is missing or one too many, here or just above";
  if (found.find("end of map not found") != std::string::npos)
    message += "; look for a line above that is indented unlike its neighbours, or a missing `:`, `}` or quote";
  return message;
}

}  // namespace

const Node* Node::find(std::string_view key) const {
  for (const auto& entry : entries)
    if (entry.key == key) return entry.value.get();
  return nullptr;
}

std::string describe(const Node& node, bool secret) {
  switch (node.kind) {
    case Node::Kind::kNull: return "nothing";
    case Node::Kind::kList: return "a list";
    case Node::Kind::kMap: return "a map";
    case Node::Kind::kScalar: break;
  }
  if (secret) return "a text";
  return "`" + (node.text.size() > 60 ? node.text.substr(0, 57) + "..." : node.text) + "`";
}

std::shared_ptr<const Node> parse_yaml(const std::string& text, const std::string& path, std::vector<Issue>& issues) {
  const Place top{path, 1, 1};
  if (text.size() > kTextBytesMax) {
    issues.push_back({top, "the file has " + std::to_string(text.size()) + " bytes; a topology has at most 4 MiB"});
    return nullptr;
  }
  if (const auto bad = first_bad_byte(text, path)) {
    issues.push_back({*bad, "a byte that is not UTF-8 text; save the file as UTF-8"});
    return nullptr;
  }
  TreeBuilder builder(path, issues);
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder) || builder.root() == nullptr || builder.root()->kind == Node::Kind::kNull) {
      issues.push_back({top, "the file is empty; start from `headpond init` or examples/canvas.yaml"});
      return nullptr;
    }
    std::vector<Issue> ignored;
    TreeBuilder second(path, ignored);
    if (parser.HandleNextDocument(second) && second.root() != nullptr) {
      issues.push_back({second.root()->place, "a second YAML document; one file holds one topology"});
      return nullptr;
    }
  } catch (const YAML::Exception& e) {
    const Place at{path, std::max(e.mark.line, 0) + 1, std::max(e.mark.column, 0) + 1};
    issues.push_back({at, syntax_message(text, at, e.msg)});
    return nullptr;
  } catch (const std::exception& e) {
    issues.push_back({top, std::string("not valid YAML: ") + e.what()});
    return nullptr;
  }
  return builder.root();
}

}  // namespace headpond::spec
