// Where a closed day's rows become usage and invoice lines: in this process, or in an engine outside it.
//
//   TRY(const auto made_by, calculator.calculate({.sql = *sql, .world = world, .settings = settings, .day = day, .rates = rates, .turn =
//   turn}));
//
// Either leaves usage_15m, usage_peak and invoice_lines in the engine, as calculation.h has them; the caller checks them against bronze's
// log. Threads: one calculation at a time, in the branch's Turn.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "billing/billing.h"
#include "billing/certificate.h"
#include "billing/rates.h"
#include "billing/turn.h"
#include "sql/engine.h"

namespace headpond::billing {

struct Calculation {
  sql::Engine& sql;
  const World& world;
  const Settings& settings;
  base::Micros day;
  const std::vector<Rate>& rates;
  Turn& turn;
};

class Calculator {
 public:
  virtual ~Calculator() = default;
  // "embedded", "pyspark", "dbt"
  virtual std::string word() const = 0;
  // Returns who computed it, for the certificate; nothing: this binary. Errors: kRetry: the engine failed (with the end of what it said),
  // was stopped, or lost the turn. kInvalid: it cannot be used on this lake. kCorrupt: its result is none, or contradicts itself.
  virtual base::Result<std::optional<MadeBy>> calculate(const Calculation& what) = 0;
  // What bronze's log cannot say of such a result; asked when usage was found to add up with it. Errors: kCorrupt.
  virtual base::Result<void> check(const Calculation&) { return {}; }
  // What is under way ends with kRetry soon, and so does whatever is begun later. Threads: any.
  virtual void interrupt() {}
};

// DuckDB in this process.
Calculator& embedded_calculator();

}  // namespace headpond::billing
