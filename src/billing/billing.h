// The nightly bill: closes UTC days of bronze, one after another, and keeps each closed day for good.
//
//   const auto settings = billing::settings_of(topology, branch, price_book);
//   TRY(auto day, billing::run_day(settings, world, *base::parse_day("2026-11-24"), /*provisional=*/false));
//   TRY(auto report, billing::verify_day(settings, world, day.day, /*deep=*/true));
//
// A billing day is the rows whose `arrival` lies in that UTC day: one ingest_date of bronze and one offset range a partition. It closes
// when every partition clock in force has passed midnight. Definitions and files: docs/formats/billing.md.
//
// Threads: one call at a time per local_directory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "env/clock.h"
#include "env/failpoints.h"
#include "env/object_store.h"
#include "spec/price_book.h"
#include "spec/topology.h"
#include "sql/engine.h"

namespace headpond::billing {

struct Settings {
  std::string topology;                // its name
  std::string branch;                  // the billing branch's name
  std::string schedule = "0 2 * * *";  // cron, UTC
  double promise_s = 0;                // freshness promised to its consumers
  spec::PriceBook prices;
};
Settings settings_of(const spec::Topology& topology, const spec::Branch& branch, spec::PriceBook prices);

class Calculator;  // billing/calculator.h

// Seams; all borrowed, must outlive the call or engine.
struct World {
  env::ObjectStore& lake;
  spec::LakePaths paths;
  env::Clock& clock;
  env::Random& random;
  env::Failpoints& failpoints;
  std::string local_directory;  // scratch: Parquet on its way to the lake, DuckDB's spill
  int threads = 1;
  std::int64_t memory_bytes = 512ll << 20;
  Calculator* calculator = nullptr;  // none: DuckDB in this process
};

struct TenantAmount {
  std::string tenant;
  std::string amount;  // "12.30"
};

struct DayResult {
  base::Micros day;
  bool provisional = false;
  bool stored_before = false;  // the day was closed already, and this run came to the same to the last byte
  std::int64_t events = 0, bytes = 0, errors = 0;
  std::int64_t lines = 0, tenants = 0;
  std::string currency, total;     // total: "12.30"
  std::vector<TenantAmount> top;   // the largest ten
  std::string report, csv;         // paths in the lake
  std::string certificate;         // path in the lake; empty for a provisional day
  std::vector<base::Micros> also;  // earlier days closed on the way, in order
};

// Prices the UTC day that begins at `day` and stores it, days before it that are still missing first. A day stored before is computed again
// and compared. `provisional`: prices what has arrived so far into report and CSV only.
// Errors: kInvalid: the day is not closed (says which partition's clock is where), has no prices, lies before the first row, or prices of a
// closed day were changed. kCorrupt: usage does not add up with bronze's log, or a stored day comes out otherwise now. kRetry, kUnknown.
base::Result<DayResult> run_day(const Settings& settings, World world, base::Micros day, bool provisional);

struct Finding {
  std::string what;   // "range differs from the log"
  std::string where;  // "logs@0 partition 3: certificate 0-99, log 0-100"
};

struct VerifyReport {
  base::Micros day;
  bool deep = false;
  std::int64_t partitions = 0, events = 0, bytes = 0;
  std::string currency, total;
  std::vector<Finding> findings;  // empty = the bill stands
  bool clean() const { return findings.empty(); }
};

// Holds a closed day against bronze's log and rows, the stored tables and the outputs; `deep` also hashes each row again and computes usage
// and peaks anew. Errors: kNotFound: the day was never closed. kRetry. Damage is a finding, never an error.
base::Result<VerifyReport> verify_day(const Settings& settings, World world, base::Micros day, bool deep);

}  // namespace headpond::billing
