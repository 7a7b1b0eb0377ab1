// What is known of the engines outside this binary: the versions that were tested, and what each can compute.
// Threads: values; any.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rules/program.h"

namespace headpond::deploy {

// One list for everybody: deploy refuses what is not on it, tools/ install the newest of it.
inline constexpr std::string_view kFlinkTested[] = {"2.3.0"};
inline constexpr std::string_view kSparkTested[] = {"4.2.0"};
inline constexpr std::string_view kDbtTested[] = {"1.11.16"};
inline constexpr std::string_view kDbtDuckdbTested[] = {"1.11.1"};
inline constexpr std::string_view kDbtSparkTested[] = {"1.11.0"};
inline constexpr std::string_view kDuckdbTested[] = {"1.5.5"};

// What a job of engines/ can be given.
struct Support {
  std::string engine;
  int program_format = 0;  // newest rules::kFormat it reads
  std::set<rules::Measure::Kind> measures;
  base::Duration time_unit = base::Duration(1);  // of its timers
};
Support flink_support();

// Nothing when `program` comes out the same there as here; else a line for each thing that does not, file:line:column, with the mend.
std::vector<std::string> unsupported(const Support& support, const rules::Program& program, int program_format = rules::kFormat);

// Errors: kInvalid: `version` of `engine` is not among the tested ones, with the mend.
base::Result<void> check_version(std::string_view engine, std::string_view version);

}  // namespace headpond::deploy
