// Labels and annotations: text with {{ $labels.name }} and {{ $value }}. Pure; values.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace headpond::rules {

enum class TemplateUse { kLabel, kAnnotation };

struct TemplateProblem {
  std::size_t offset = 0;
  std::string message;
};
// Everything wrong with `text`. A label must not contain {{ $value }}: it would make a new alert of every value.
std::vector<TemplateProblem> check_template(std::string_view text, const std::vector<std::string>& label_names, TemplateUse use);

// Requires a text without problems; what is not understood stays as written.
std::string render_template(std::string_view text, const std::map<std::string, std::string>& labels, double value);

// Shortest decimal form: 501, 0.25.
std::string format_value(double value);

}  // namespace headpond::rules
