#include "rules/template.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "rules/expression.h"

namespace headpond::rules {
namespace {

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

constexpr std::string_view kLabels = "$labels.";

// Calls `plain(text)` and `hole(offset, inner)` in turn. Returns where a {{ has no }}, if anywhere.
template <class Plain, class Hole>
std::optional<std::size_t> walk(std::string_view text, const Plain& plain, const Hole& hole) {
  std::size_t at = 0;
  while (true) {
    const std::size_t open = text.find("{{", at);
    plain(text.substr(at, open == std::string_view::npos ? open : open - at));
    if (open == std::string_view::npos) return std::nullopt;
    const std::size_t close = text.find("}}", open);
    if (close == std::string_view::npos) return open;
    hole(open, trim(text.substr(open + 2, close - open - 2)));
    at = close + 2;
  }
}

}  // namespace

std::vector<TemplateProblem> check_template(std::string_view text, const std::vector<std::string>& label_names, TemplateUse use) {
  std::vector<TemplateProblem> problems;
  const auto unclosed = walk(
      text, [](std::string_view) {},
      [&](std::size_t offset, std::string_view inner) {
        if (inner == "$value") {
          if (use == TemplateUse::kLabel)
            problems.push_back({offset, "$value inside a label would make a new alert of every value; move it to annotations"});
        } else if (inner.starts_with(kLabels)) {
          const std::string name(inner.substr(kLabels.size()));
          if (std::find(label_names.begin(), label_names.end(), name) != label_names.end()) return;
          const auto near = nearest_word(name, label_names);
          problems.push_back({offset, "there is no label `" + name + "`" +
                                          (near ? "; did you mean " + *near + "?" : "; labels are `by`, `labels` and alertname")});
        } else {
          problems.push_back({offset, "found {{ " + std::string(inner) + " }}; expected {{ $labels.name }} or {{ $value }}"});
        }
      });
  if (unclosed) problems.push_back({*unclosed, "{{ without }}"});
  return problems;
}

std::string render_template(std::string_view text, const std::map<std::string, std::string>& labels, double value) {
  std::string out;
  const auto unclosed = walk(
      text, [&](std::string_view plain) { out += plain; },
      [&](std::size_t, std::string_view inner) {
        if (inner == "$value") {
          out += format_value(value);
        } else if (inner.starts_with(kLabels)) {
          const auto it = labels.find(std::string(inner.substr(kLabels.size())));
          if (it != labels.end()) out += it->second;
        } else {
          out += "{{ " + std::string(inner) + " }}";
        }
      });
  if (unclosed) out += text.substr(*unclosed);
  return out;
}

std::string format_value(double value) {
  std::array<char, 64> buffer{};
  const auto shortest = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), shortest.ptr};
}

}  // namespace headpond::rules
