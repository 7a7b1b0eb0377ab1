// The right to compute a branch's bills: one process of a directory at a time, and one engine of a branch wherever it runs
// (`billing/<branch>/_leases/engine`, docs/formats/billing.md).
//
//   TRY(auto turn, Turn::take(world, settings, "dbt"));
//   TRY_VOID(turn->keep());   // while waiting, and before each thing that is stored
//
// It spares work that would be done twice. What is stored is stored once without it: put-if-absent and the tables' own transactions see to
// that.
//
// Threads: one at a time.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "billing/billing.h"
#include "lease/lease.h"

namespace headpond::billing {

class Turn {
 public:
  // For the engine `word`. Borrows the seams of `world`. Errors: kRetry: somebody else's turn, and whose.
  static base::Result<std::unique_ptr<Turn>> take(const World& world, const Settings& settings, const std::string& word);
  ~Turn();  // gives it up
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  // Renews it. Errors: kRetry: another engine has taken over; store nothing more. A store that cannot be reached is no error: the turn
  // then runs out, and a later keep() says so if somebody took it.
  base::Result<void> keep();

 private:
  Turn(const World& world, lease::LeaseOptions options, std::string branch, int lock_file);

  lease::Lease lease_;
  const std::string branch_;
  const int lock_file_;
};

}  // namespace headpond::billing
