// Calendar and text forms of base::Micros; proleptic Gregorian, UTC, no locale, no clock.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace headpond::base {

inline constexpr Duration kSecond = Duration::seconds(1);
inline constexpr Duration kMinute = Duration::minutes(1);
inline constexpr Duration kQuarterHour = Duration::minutes(15);
inline constexpr Duration kDay = Duration::hours(24);

// Largest multiple of `step` since the epoch that is ≤ `t` (also before 1970). Requires step > 0.
constexpr Micros floor_to(Micros t, Duration step) {
  const auto rest = t.value() % step.value();
  return Micros(t.value() - rest - (rest < 0 ? step.value() : 0));
}

// "2026-11-25T10:15:00.000001Z", fraction omitted when zero.
std::string format_rfc3339(Micros t);
// Reads RFC 3339 (also with a space for T, with or without fraction of up to 9 digits, truncated to µs; zone Z or ±hh:mm, absent = UTC).
std::optional<Micros> parse_rfc3339(std::string_view text);

// UTC day as "2026-11-25", and its midnight.
std::string format_day(Micros t);
std::optional<Micros> parse_day(std::string_view text);

// "250ms", "30s", "5m", "24h", "7d", and sums "1h30m". Errors: nullopt for anything else, a negative or an overflow.
std::optional<Duration> parse_duration(std::string_view text);
// The shortest such form: 90 s → "1m30s".
std::string format_duration(Duration d);

}  // namespace headpond::base
