#pragma once

#include <string>

#include "report.h"

namespace headpond::bench {

// Pager, dashboard and billing on `seconds` (at least 5) of full load, embedded engines, one thread each.
void measure_branches(int seconds, Report& report);

// The dashboard alone, over a lake of `seconds` of full load that is left in `directory`/lake, gold included, for another engine to do the
// same.
void measure_minute(const std::string& directory, int seconds, Report& report);

}  // namespace headpond::bench
