#include "deploy/engines.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <span>

#include "base/time.h"

namespace headpond::deploy {
namespace {

std::string_view word(rules::Measure::Kind kind) {
  switch (kind) {
    case rules::Measure::Kind::kCount: return "count";
    case rules::Measure::Kind::kPresence: return "absent";
  }
  return "an aggregate of a newer Headpond";
}

std::span<const std::string_view> tested(std::string_view engine) {
  if (engine == "flink") return kFlinkTested;
  if (engine == "spark" || engine == "pyspark") return kSparkTested;
  if (engine == "dbt-duckdb") return kDbtDuckdbTested;
  if (engine == "dbt-spark") return kDbtSparkTested;
  if (engine == "duckdb") return kDuckdbTested;
  return kDbtTested;
}

}  // namespace

Support flink_support() {
  return {.engine = "flink",
          .program_format = 1,
          .measures = {rules::Measure::Kind::kCount, rules::Measure::Kind::kPresence},
          .time_unit = base::Duration::millis(1)};
}

std::vector<std::string> unsupported(const Support& support, const rules::Program& program, int program_format) {
  std::vector<std::string> lines;
  if (program_format > support.program_format)
    lines.push_back(fmt::format(
        "rules of this Headpond have format {}, its {} job reads up to {}: build the job of the same version with tools/{} build",
        program_format, support.engine, support.program_format, support.engine));
  for (const auto& fold : program.folds)
    for (const auto& rule : fold.rules) {
      const std::string at = fmt::format("{}:{}:{}: rule {}", rule.place.file, rule.place.line, rule.place.column, rule.name);
      if (fold.interval.value() % support.time_unit.value() != 0 || fold.lateness.value() % support.time_unit.value() != 0)
        lines.push_back(
            fmt::format("{} has an interval or lateness that is no multiple of {}, which the {} job's timers need; write one that is, "
                        "or `engine: embedded`",
                        at, base::format_duration(support.time_unit), support.engine));
      for (const int index : rule.counters) {
        const auto& measure = fold.measures[static_cast<std::size_t>(fold.counters[static_cast<std::size_t>(index)].measure)];
        if (support.measures.contains(measure.kind)) continue;
        lines.push_back(fmt::format("{} uses `{}`, which the {} job does not compute; write it without, or `engine: embedded`", at,
                                    word(measure.kind), support.engine));
        break;
      }
    }
  return lines;
}

base::Result<void> check_version(std::string_view engine, std::string_view version) {
  const auto good = tested(engine);
  if (std::ranges::find(good, version) != good.end()) return {};
  return base::fail(base::ErrorKind::kInvalid,
                    fmt::format("{} {} was not tested with this Headpond; use {}", engine, version, fmt::join(good, " or ")));
}

}  // namespace headpond::deploy
