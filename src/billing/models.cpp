#include "billing/models.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

namespace headpond::billing {
namespace {

std::string where(const std::string& file, std::string_view text, std::size_t at) {
  return file + ":" + std::to_string(1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
}

std::unexpected<base::Error> refuse(const std::string& file, std::string_view text, std::size_t at, const std::string& what) {
  return base::fail(base::ErrorKind::kInvalid,
                    where(file, text, at) + ": " + what + "; the built-in runner knows ref, source, var('day'), hp_ macros and comments");
}

std::string_view trim(std::string_view text) {
  const auto space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

// name ( argument , … ); an argument is 'text', "text" or again a call.
struct Call {
  struct Argument;
  std::string name;
  std::vector<Argument> arguments;
};
struct Call::Argument {
  std::string text;
  std::vector<Call> call;  // at most one; empty: it is text
};

class CallParser {
 public:
  explicit CallParser(std::string_view text) : rest_(trim(text)) {}

  std::optional<Call> parse() {
    auto call = parse_call(0);
    if (!trim(rest_).empty()) return std::nullopt;
    return call;
  }

 private:
  static constexpr int kDepthMax = 4;

  bool eat(char c) {
    rest_ = trim(rest_);
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  std::optional<Call> parse_call(int depth) {
    if (depth > kDepthMax) return std::nullopt;
    rest_ = trim(rest_);
    std::size_t n = 0;
    while (n < rest_.size() && (std::isalnum(static_cast<unsigned char>(rest_[n])) != 0 || rest_[n] == '_')) ++n;
    Call call{std::string(rest_.substr(0, n)), {}};
    rest_.remove_prefix(n);
    if (call.name.empty() || !eat('(')) return std::nullopt;
    if (eat(')')) return call;
    do {
      auto argument = parse_argument(depth);
      if (!argument) return std::nullopt;
      call.arguments.push_back(std::move(*argument));
    } while (eat(','));
    if (!eat(')')) return std::nullopt;
    return call;
  }

  std::optional<Call::Argument> parse_argument(int depth) {
    for (const char quote : {'\'', '"'}) {
      if (!eat(quote)) continue;
      const auto end = rest_.find(quote);
      if (end == std::string_view::npos) return std::nullopt;
      Call::Argument argument{std::string(rest_.substr(0, end)), {}};
      rest_.remove_prefix(end + 1);
      return argument;
    }
    auto call = parse_call(depth + 1);
    if (!call) return std::nullopt;
    Call::Argument argument;
    argument.call.push_back(std::move(*call));
    return argument;
  }

  std::string_view rest_;
};

}  // namespace

class Renderer {
 public:
  Renderer(const Models& models, const ModelVariables& variables) : models_(models), variables_(variables) {}

  base::Result<std::string> render(const std::string& file, std::string_view text) const {
    std::string out;
    std::size_t at = 0;
    while (true) {
      const auto open = text.find('{', at);
      out += text.substr(at, open == std::string_view::npos ? open : open - at);
      if (open == std::string_view::npos) return out;
      const auto kind = text.substr(open, 2);
      const auto close = kind == "{{" ? text.find("}}", open) : kind == "{#" ? text.find("#}", open) : std::string_view::npos;
      if (close == std::string_view::npos)
        return refuse(file, text, open, "unknown template \"" + std::string(text.substr(open, 12)) + "\"");
      if (kind == "{{") {
        const auto inside = trim(text.substr(open + 2, close - open - 2));
        const auto call = CallParser(inside).parse();
        const auto value = call ? evaluate(*call) : std::nullopt;
        if (!value) return refuse(file, text, open, "unknown template {{ " + std::string(inside) + " }}");
        out += *value;
      }
      at = close + 2;
    }
  }

 private:
  std::optional<std::string> evaluate(const Call& call) const {
    std::vector<std::string> arguments;
    for (const auto& argument : call.arguments) {
      const auto value = argument.call.empty() ? argument.text : evaluate(argument.call.front());
      if (!value) return std::nullopt;
      arguments.push_back(*value);
    }
    if (call.name == "ref" && arguments.size() == 1 && models_.models_.contains(arguments[0])) return arguments[0];
    if (call.name == "source" && arguments.size() == 2) return arguments[0] + "_" + arguments[1];
    if (call.name == "var" && arguments.size() == 1 && arguments[0] == "day") return variables_.day;
    const auto macro = models_.macros_.find(call.name);
    if (macro == models_.macros_.end() || macro->second.parameters.size() != arguments.size()) return std::nullopt;
    return expand(macro->second, arguments);
  }

  static std::optional<std::string> expand(const Models::Macro& macro, const std::vector<std::string>& arguments) {
    std::string out;
    std::string_view body = macro.body;
    while (true) {
      const auto open = body.find("{{");
      out += body.substr(0, open);
      if (open == std::string_view::npos) return out;
      const auto close = body.find("}}", open);
      if (close == std::string_view::npos) return std::nullopt;
      const auto name = trim(body.substr(open + 2, close - open - 2));
      const auto parameter = std::ranges::find(macro.parameters, name);
      if (parameter == macro.parameters.end()) return std::nullopt;
      out += arguments[static_cast<std::size_t>(parameter - macro.parameters.begin())];
      body.remove_prefix(close + 2);
    }
  }

  const Models& models_;
  const ModelVariables& variables_;
};

base::Result<void> Models::load_macros(const std::string& file, std::string_view text) {
  constexpr std::string_view kBegin = "{% macro ", kEnd = "{% endmacro %}";
  std::map<std::string, bool> specific;  // whether the duckdb__ body was taken
  for (std::size_t at = 0; (at = text.find("{%", at)) != std::string_view::npos;) {
    const auto head_end = text.find("%}", at), end = text.find(kEnd, at);
    if (text.substr(at, kBegin.size()) != kBegin || head_end == std::string_view::npos || end == std::string_view::npos || end < head_end) {
      return refuse(file, text, at, "expected {% macro name(parameters) %}…{% endmacro %}");
    }
    const auto head = trim(text.substr(at + kBegin.size(), head_end - at - kBegin.size()));
    const auto paren = head.find('(');
    if (paren == std::string_view::npos || head.back() != ')') return refuse(file, text, at, "a macro without parameters");
    Macro macro;
    auto list = head.substr(paren + 1, head.size() - paren - 2);
    while (!list.empty()) {
      const auto comma = list.find(',');
      macro.parameters.emplace_back(trim(list.substr(0, comma)));
      list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
    }
    macro.body = std::string(trim(text.substr(head_end + 2, end - head_end - 2)));
    const auto name = std::string(trim(head.substr(0, paren)));
    const auto split = name.find("__");
    const auto dialect = split == std::string::npos ? std::string() : name.substr(0, split);
    if (dialect == "duckdb" || (dialect == "default" && !specific[name.substr(split + 2)])) {
      macros_[name.substr(split + 2)] = std::move(macro);
      specific[name.substr(split + 2)] = dialect == "duckdb";
    }
    at = end + kEnd.size();
  }
  return {};
}

base::Result<Models> Models::load(const std::map<std::string, std::string>& files) {
  constexpr std::string_view kModels = "models/", kMacros = "macros/", kSuffix = ".sql";
  Models models;
  for (const auto& [path, text] : files) {
    if (path.starts_with(kMacros)) TRY_VOID(models.load_macros(path, text));
    if (path.starts_with(kModels)) models.models_[path.substr(kModels.size(), path.size() - kModels.size() - kSuffix.size())] = text;
  }
  return models;
}

base::Result<std::string> Models::render(const std::string& name, const ModelVariables& variables) const {
  const auto model = models_.find(name);
  if (model == models_.end()) return base::fail(base::ErrorKind::kNotFound, "there is no billing model \"" + name + "\"");
  return Renderer(*this, variables).render("models/" + name + ".sql", model->second);
}

}  // namespace headpond::billing
