#include "billing/calculator.h"

#include "base/time.h"
#include "billing/calculation.h"
#include "billing/close.h"

namespace headpond::billing {
namespace {

class Embedded final : public Calculator {
 public:
  std::string word() const override { return "embedded"; }
  base::Result<std::optional<MadeBy>> calculate(const Calculation& what) override {
    const auto day = base::format_day(what.day);
    TRY(const auto bronze, bronze_relation(what.world, what.day));
    TRY_VOID(compute_usage(what.sql, day, bronze));
    TRY_VOID(compute_lines(what.sql, day, what.rates));
    return std::nullopt;
  }
};

}  // namespace

Calculator& embedded_calculator() {
  static Embedded embedded;  // without state
  return embedded;
}

}  // namespace headpond::billing
