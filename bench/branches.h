#pragma once

#include "report.h"

namespace headpond::bench {

// Pager, dashboard and billing on `seconds` (at least 5) of full load, embedded engines, one thread each.
void measure_branches(int seconds, Report& report);

}  // namespace headpond::bench
