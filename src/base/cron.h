// Cron schedules, in UTC: "minute hour day-of-month month day-of-week".
//
// Fields: *, numbers, names (jan…dec, sun…sat), ranges 1-5, steps */15 or 8-18/2, lists of these. Sunday is 0 or 7. If both day fields
// are restricted, a day that matches either one counts, as in cron(8). Also @hourly, @daily, @weekly, @monthly.
// Values; threads: any.
#pragma once

#include <bitset>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"

namespace headpond::base {

class Cron {
 public:
  // Errors: kInvalid: which field is wrong and what is expected there.
  static Result<Cron> parse(std::string_view text);

  // The first firing at or after `t`. None: the schedule never fires ("0 0 30 2 *").
  std::optional<Micros> next_at_or_after(Micros t) const;

 private:
  bool matches_day(Micros midnight) const;

  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;                        // 1-31
  std::bitset<13> months_;                      // 1-12
  std::bitset<8> weekdays_;                     // 0-6
  bool any_day_ = false, any_weekday_ = false;  // the field begins with *
};

}  // namespace headpond::base
