#include <fmt/format.h>

#include <vector>

#include "base/time.h"
#include "plan/judge.h"
#include "spec/yaml.h"

namespace headpond::plan {
namespace {

struct Line {
  std::string text;  // without its line end
  std::size_t indent = 0;
  bool content = false;  // neither blank nor a comment
};

std::vector<Line> split(const std::string& text) {
  std::vector<Line> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    Line line{text.substr(begin, end - begin), 0, false};
    const auto first = line.text.find_first_not_of(" \t\r");
    line.indent = first == std::string::npos ? 0 : first;
    line.content = first != std::string::npos && line.text[first] != '#';
    lines.push_back(std::move(line));
    begin = end + 1;
  }
  return lines;
}

// A text as YAML reads it back: quoted where plain it could mean something else.
std::string scalar(const std::string& text) {
  const bool plain = !text.empty() &&
                     text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") == std::string::npos &&
                     (std::isalpha(static_cast<unsigned char>(text.front())) || text.front() == '.' || text.front() == '/');
  if (plain && text != "null" && text != "true" && text != "false") return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
  return quoted + "\"";
}

std::string list(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const auto& text : texts) out += (out.size() > 1 ? ", " : "") + scalar(text);
  return out + "]";
}

std::vector<std::string> branch_lines(const BranchPlan& plan, std::size_t indent) {
  const spec::Branch& b = plan.branch;
  const std::string pad(indent + 2, ' ');
  std::vector<std::string> lines{std::string(indent, ' ') + "- name: " + scalar(b.name)};
  const auto add = [&](std::string_view key, const std::string& value) { lines.push_back(fmt::format("{}{}: {}", pad, key, value)); };
  add("kind", std::string(to_string(b.kind)));
  add("serves", list(b.serves));
  add("reads", "bronze");
  add("axis", fmt::format("{}   # latency_need {}", to_string(plan.axis), need_text(plan.latency_need)));
  add("rhythm", fmt::format("{}   # {} stale at most", to_string(*b.rhythm), time_text(plan.staleness_s)));
  if (b.rhythm == spec::Rhythm::kMicroBatch) add("trigger", base::format_duration(*b.trigger));
  if (b.rhythm == spec::Rhythm::kBatch) add("schedule", scalar(*b.schedule));
  if (b.window) add("window", base::format_duration(*b.window));
  if (!b.rules.empty()) add("rules", "rules/*.yaml");
  if (!b.price_book.empty()) add("price_book", scalar(b.price_book));
  if (b.state) add("state", fmt::format("{{store: {}, checkpoints: {}}}", b.state->store, scalar(b.state->checkpoints_as_written)));
  add("engine", b.engine);
  return lines;
}

// The same branch on one line, for a list written as [ … ].
std::string branch_flow(const BranchPlan& plan) {
  std::string out = "{";
  const auto lines = branch_lines(plan, 0);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string part = lines[i].substr(2);
    part = part.substr(0, part.find("   # "));
    out += (i == 0 ? "" : ", ") + part;
  }
  return out + "}";
}

struct FlowEnd {
  std::size_t close = std::string::npos;  // of the `]`
  char before = 0;                        // the last character in front of it that is neither space nor comment
};

// The end of the first list written as [ … ] at or after `from`; texts and comments are passed over.
FlowEnd find_flow_end(const std::string& text, std::size_t from) {
  FlowEnd end;
  int depth = 0;
  char quote = 0;
  for (std::size_t i = text.find('[', from); i < text.size(); ++i) {
    const char c = text[i];
    const bool space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (quote != 0) {
      if (c == '\\' && quote == '"')
        ++i;
      else if (c == quote)
        quote = 0;
    } else if (c == '#' && i > 0 && (text[i - 1] == ' ' || text[i - 1] == '\n')) {
      i = std::min(text.find('\n', i), text.size());
      continue;
    } else if ((c == '"' || c == '\'') && end.before != 0 && std::string_view("[{,: ").find(text[i - 1]) != std::string_view::npos) {
      quote = c;
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if ((c == ']' || c == '}') && --depth == 0) {
      end.close = i;
      return end;
    }
    if (!space) end.before = c;
  }
  return {};
}

std::string join(const std::vector<Line>& lines, std::size_t at, const std::vector<std::string>& inserted) {
  std::string out;
  const std::string end = !lines.empty() && lines.front().text.ends_with('\r') ? "\r\n" : "\n";
  for (std::size_t i = 0; i <= lines.size(); ++i) {
    if (i == at)
      for (const auto& text : inserted) out += text + end;
    if (i < lines.size()) out += lines[i].text + "\n";
  }
  return out;
}

std::string insert(const std::string& text, const std::vector<const BranchPlan*>& proposals) {
  std::vector<Line> lines = split(text);
  std::size_t key = lines.size(), offset = 0, key_offset = std::string::npos;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].indent == 0 && lines[i].text.starts_with("branches:")) {
      key = i;
      key_offset = offset + std::string_view("branches:").size();
      break;
    }
    offset += lines[i].text.size() + 1;
  }
  const auto block = [&](std::size_t indent) {
    std::vector<std::string> all;
    for (const auto* proposal : proposals)
      for (auto& line : branch_lines(*proposal, indent)) all.push_back(std::move(line));
    return all;
  };
  if (key == lines.size()) {  // no such key: at the end
    std::vector<std::string> added = block(2);
    added.insert(added.begin(), "branches:");
    return join(lines, lines.size(), added);
  }
  const std::string head = lines[key].text;
  const auto value = head.find_first_not_of(" \t\r", std::string_view("branches:").size());
  if (value != std::string::npos && head[value] == '[') {
    const FlowEnd end = find_flow_end(text, key_offset);
    if (end.close == std::string::npos) return text;
    const bool needs_comma = end.before != '[' && end.before != ',';
    std::string flow;
    for (const auto* proposal : proposals) flow += (flow.empty() && !needs_comma ? "" : ",\n  ") + branch_flow(*proposal);
    return text.substr(0, end.close) + flow + text.substr(end.close);
  }
  if (value != std::string::npos && (head[value] == '~' || head.compare(value, 4, "null") == 0)) lines[key].text = "branches:";
  // A block list, or nothing yet: behind the last line that belongs to it.
  std::size_t last = key, indent = 2;
  bool first = true;
  for (std::size_t i = key + 1; i < lines.size(); ++i) {
    if (!lines[i].content) continue;
    const bool item = lines[i].text[lines[i].indent] == '-';
    if (lines[i].indent == 0 && !item) break;
    if (first && item) indent = lines[i].indent;
    first = false;
    last = i;
  }
  return join(lines, last + 1, block(indent));
}

}  // namespace

std::string write_branches(const std::string& text, const Plan& plan) {
  std::vector<const BranchPlan*> proposals;
  for (const auto& branch : plan.branches)
    if (branch.proposed) proposals.push_back(&branch);
  if (proposals.empty()) return text;
  const std::string written = insert(text, proposals);
  // Text is edited as text, to keep the user's own; a form this does not understand is found out here and left alone.
  std::vector<spec::Issue> issues;
  const auto root = spec::parse_yaml(written, plan.path, issues);
  const spec::Node* branches = root == nullptr ? nullptr : root->find("branches");
  const bool whole =
      issues.empty() && branches != nullptr && branches->kind == spec::Node::Kind::kList && branches->items.size() == plan.branches.size();
  return whole ? written : text;
}

}  // namespace headpond::plan
