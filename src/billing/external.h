// A billing engine outside this binary: given a closed day's files and prices, run as a child process, its result read back.
//
// The engine writes below `billing/<branch>/_staging/<day>/<run>/`, and nothing there counts: whatever it left is removed after its run, or
// before the next one. Documents and folders: docs/formats/billing.md.
//
// Threads: as Calculator.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "billing/calculator.h"
#include "env/process.h"

namespace headpond::billing {

struct ExternalEngine {
  std::string word;                                              // "pyspark", "dbt"
  std::vector<std::string> argv;                                 // `{run}` in it is the folder of the run; its inputs and outputs are added
  std::vector<std::pair<std::string, std::string>> environment;  // beside this process's own
  std::map<std::string, std::string> files;                      // put into the folder of each run, by name
  base::Duration timeout = base::Duration::hours(6);
};

class ExternalCalculator final : public Calculator {
 public:
  // Borrows `processes`.
  ExternalCalculator(ExternalEngine engine, env::Processes& processes) : engine_(std::move(engine)), processes_(processes) {}

  std::string word() const override { return engine_.word; }
  base::Result<std::optional<MadeBy>> calculate(const Calculation& what) override;
  base::Result<void> check(const Calculation& what) override;
  void interrupt() override { interrupted_ = true; }

 private:
  base::Result<void> run(const Calculation& what, const std::string& folder, const std::string& staging);

  const ExternalEngine engine_;
  env::Processes& processes_;
  std::atomic<bool> interrupted_{false};
};

}  // namespace headpond::billing
