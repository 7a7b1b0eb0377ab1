// What an engine outside this process is given and gives back, as both sides see it: the day's files by name, and a folder of the lake for
// its result, gone with the run. Folders and columns: docs/formats/billing.md.
//
// Threads: one at a time.
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "billing/billing.h"
#include "billing/calculator.h"

namespace headpond::billing {

// What another program opens `path` of the lake as: an absolute file, or "s3://bucket/…". Errors: kInvalid: a lake no engine reads.
base::Result<std::string> place_of(const World& world, const std::string& path);

class Staging {
 public:
  // Below billing/<branch>/_staging/<day>/<run>; what runs that died have left beside it is removed. Borrows `world`.
  // Errors: kInvalid: as place_of. kRetry.
  static base::Result<Staging> make(const Calculation& what, const std::string& run);
  Staging(Staging&& other) noexcept;
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  // Removes it; what cannot be removed now, a later make() does.
  ~Staging();

  const std::string& place() const { return place_; }
  // Makes usage_15m, usage_peak and invoice_lines of what `word` wrote into it. Errors: kCorrupt: that cannot be read, or is of another
  // day.
  base::Result<void> read(const Calculation& what, const std::string& word) const;

 private:
  Staging(const World& world, std::string path, std::string place);

  const World* world_;
  std::string path_, place_;
};

}  // namespace headpond::billing
