// Reads every row of a run's table with DuckDB and holds it against the broker's records: what the log's facts cannot show.
// Threads: one at a time.
#pragma once

#include <optional>
#include <string>

#include "sim/broker.h"
#include "sim/check_log.h"
#include "sim/lake.h"

namespace headpond::sim {

// The first thing that is wrong: a row twice, missing, of other bytes, in another day; an arrival that falls; one below a published clock.
std::optional<std::string> check_rows(Lake& lake, const Broker& broker, const LogChecker& log, const std::string& table);

}  // namespace headpond::sim
