#include "base/cron.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <span>
#include <vector>

#include "base/time.h"

namespace headpond::base {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekdays = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Field {
  std::string_view name;
  int min, max;
  std::span<const std::string_view> names;  // of min, min + 1, …
};

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  return parts;
}

std::optional<int> number(const std::string& text, const Field& field) {
  if (const auto named = std::ranges::find(field.names, text); named != field.names.end()) {
    return field.min + static_cast<int>(named - field.names.begin());
  }
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.starts_with('-')) return std::nullopt;
  return value >= field.min && value <= field.max ? std::optional(value) : std::nullopt;
}

// One element of a list: *, 5, 1-5, */15, 1-5/2, 5/15 (from 5 to the end).
template <std::size_t N>
bool add(const std::string& element, const Field& field, std::bitset<N>& out) {
  const auto slash = element.find('/');
  const auto range = element.substr(0, slash);
  int step = 1;
  if (slash != std::string::npos) {
    const Field steps{"", 1, field.max - field.min + 1, {}};
    const auto n = number(element.substr(slash + 1), steps);
    if (!n) return false;
    step = *n;
  }
  const auto dash = range.find('-');
  std::optional<int> first = field.min, last = field.max;
  if (range != "*") {
    first = number(range.substr(0, dash), field);
    last = dash != std::string::npos    ? number(range.substr(dash + 1), field)
           : slash != std::string::npos ? std::optional(field.max)
                                        : first;
  }
  if (!first || !last || *first > *last) return false;
  for (int i = *first; i <= *last; i += step) out.set(static_cast<std::size_t>(i));
  return true;
}

template <std::size_t N>
Result<void> fill(const std::string& text, const Field& field, std::bitset<N>& out) {
  for (const auto& element : split(text, ',')) {
    if (!add(element, field, out)) {
      return fail(ErrorKind::kInvalid, "schedule: " + std::string(field.name) + " is \"" + text + "\"; expected *, numbers from " +
                                           std::to_string(field.min) + " to " + std::to_string(field.max) +
                                           ", ranges (1-5), steps (*/15) or lists of these");
    }
  }
  return {};
}

std::string expand(std::string_view text) {
  if (text == "@hourly") return "0 * * * *";
  if (text == "@daily" || text == "@midnight") return "0 0 * * *";
  if (text == "@weekly") return "0 0 * * 0";
  if (text == "@monthly") return "0 0 1 * *";
  return std::string(text);
}

}  // namespace

Result<Cron> Cron::parse(std::string_view text) {
  auto fields = split(expand(text), ' ');
  std::erase(fields, "");
  if (fields.size() != 5) {
    return fail(ErrorKind::kInvalid, "schedule: \"" + std::string(text) + "\" has " + std::to_string(fields.size()) +
                                         " fields; expected five: minute hour day-of-month month day-of-week, such as \"0 2 * * *\"");
  }
  Cron cron;
  TRY_VOID(fill(fields[0], {"minute", 0, 59, {}}, cron.minutes_));
  TRY_VOID(fill(fields[1], {"hour", 0, 23, {}}, cron.hours_));
  TRY_VOID(fill(fields[2], {"day-of-month", 1, 31, {}}, cron.days_));
  TRY_VOID(fill(fields[3], {"month", 1, 12, kMonths}, cron.months_));
  TRY_VOID(fill(fields[4], {"day-of-week", 0, 7, kWeekdays}, cron.weekdays_));
  if (cron.weekdays_[7]) cron.weekdays_.set(0);
  cron.any_day_ = fields[2].starts_with('*');
  cron.any_weekday_ = fields[4].starts_with('*');
  return cron;
}

bool Cron::matches_day(Micros midnight) const {
  const std::chrono::sys_days day{std::chrono::days{midnight.value() / kDay.value()}};
  const std::chrono::year_month_day date{day};
  if (!months_[static_cast<unsigned>(date.month())]) return false;
  const bool day_ok = days_[static_cast<unsigned>(date.day())];
  const bool weekday_ok = weekdays_[std::chrono::weekday{day}.c_encoding()];
  return any_day_ || any_weekday_ ? day_ok && weekday_ok : day_ok || weekday_ok;
}

std::optional<Micros> Cron::next_at_or_after(Micros t) const {
  // A day that fires comes within four years (29 February), or eight around a century that is no leap year.
  constexpr int kDaysMax = 8 * 366;
  auto minute = floor_to(t + kMinute - Duration(1), kMinute);
  auto midnight = floor_to(minute, kDay);
  for (int i = 0; i < kDaysMax; ++i, midnight = midnight + kDay, minute = midnight) {
    if (!matches_day(midnight)) continue;
    for (; minute < midnight + kDay; minute = minute + kMinute) {
      const auto of_day = (minute - midnight).value() / kMinute.value();
      if (hours_[static_cast<std::size_t>(of_day / 60)] && minutes_[static_cast<std::size_t>(of_day % 60)]) return minute;
    }
  }
  return std::nullopt;
}

}  // namespace headpond::base
