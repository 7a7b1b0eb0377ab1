// The Delta tables of a billing branch, written a day at a time, each day once. Format: docs/formats/billing.md.
// Threads: one at a time per engine.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "billing/billing.h"
#include "delta/log.h"
#include "sql/engine.h"

namespace headpond::billing {

// "billing/<branch>"
std::string branch_root(const World& world, const Settings& settings);

// The day's rows of `table` as stored: a relation with columns_of(table), and how many commits brought them.
struct StoredDay {
  std::string relation;
  std::vector<std::string> files;  // paths in the lake
  bool committed = false;          // a commit says that the day, or a later one, is in the table
};
// Errors: kNotFound: there is no such table. kInvalid: not a local directory.
base::Result<StoredDay> stored_day(const World& world, const Settings& settings, std::string_view table, base::Micros day);

// Makes the engine's temporary table `table` the day's rows in the lake, in one commit; a day that is there already is compared instead.
// Returns whether it was there. Errors: kCorrupt: it is there with other rows. kRetry, kUnknown: call again.
base::Result<bool> store_day(sql::Engine& engine, const World& world, const Settings& settings, std::string_view table, base::Micros day);

}  // namespace headpond::billing
