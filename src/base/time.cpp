#include "base/time.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>

namespace headpond::base {
namespace {

namespace chr = std::chrono;

// Reads exactly `n` digits at the front of `text` and removes them.
std::optional<int> take_digits(std::string_view& text, std::size_t n) {
  if (text.size() < n) return std::nullopt;
  int value = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(n);
  return value;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<Micros> take_date(std::string_view& text) {
  const auto y = take_digits(text, 4);
  if (!y || !take(text, '-')) return std::nullopt;
  const auto m = take_digits(text, 2);
  if (!m || !take(text, '-')) return std::nullopt;
  const auto d = take_digits(text, 2);
  if (!d) return std::nullopt;
  const chr::year_month_day ymd{chr::year(*y), chr::month(static_cast<unsigned>(*m)), chr::day(static_cast<unsigned>(*d))};
  if (!ymd.ok()) return std::nullopt;
  return Micros(chr::sys_days(ymd).time_since_epoch().count() * kDay.value());
}

// Fraction of a second after '.', in microseconds; digits beyond the sixth are dropped.
std::optional<std::int64_t> take_fraction(std::string_view& text) {
  std::int64_t micros = 0;
  std::size_t digits = 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), ++digits)
    if (digits < 6) micros = micros * 10 + (text.front() - '0');
  if (digits == 0 || digits > 9) return std::nullopt;
  for (; digits < 6; ++digits) micros *= 10;
  return micros;
}

std::optional<Duration> take_zone(std::string_view& text) {
  if (text.empty() || take(text, 'Z') || take(text, 'z')) return Duration(0);
  const int sign = take(text, '+') ? 1 : take(text, '-') ? -1 : 0;
  if (sign == 0) return std::nullopt;
  const auto h = take_digits(text, 2);
  if (!h) return std::nullopt;
  take(text, ':');
  const auto m = take_digits(text, 2);
  if (!m || *h > 23 || *m > 59) return std::nullopt;
  return Duration::minutes(sign * (*h * 60 + *m));
}

}  // namespace

std::string format_day(Micros t) {
  const chr::year_month_day ymd{chr::sys_days(chr::days(floor_to(t, kDay).value() / kDay.value()))};
  std::array<char, 48> out{};
  std::snprintf(out.data(), out.size(), "%04d-%02u-%02u", static_cast<int>(ymd.year()), static_cast<unsigned>(ymd.month()),
                static_cast<unsigned>(ymd.day()));
  return out.data();
}

std::string format_rfc3339(Micros t) {
  const auto in_day = (t - floor_to(t, kDay)).value();
  const auto s = static_cast<int>(in_day / 1'000'000);
  const auto us = static_cast<int>(in_day % 1'000'000);
  std::array<char, 64> out{};
  std::snprintf(out.data(), out.size(), "T%02d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
  std::string text = format_day(t) + out.data();
  if (us != 0) {
    std::snprintf(out.data(), out.size(), ".%06d", us);
    text += out.data();
  }
  return text + "Z";
}

std::optional<Micros> parse_day(std::string_view text) {
  const auto day = take_date(text);
  return text.empty() ? day : std::nullopt;
}

std::optional<Micros> parse_rfc3339(std::string_view text) {
  const auto day = take_date(text);
  if (!day || !(take(text, 'T') || take(text, 't') || take(text, ' '))) return std::nullopt;
  const auto h = take_digits(text, 2);
  if (!h || !take(text, ':')) return std::nullopt;
  const auto m = take_digits(text, 2);
  if (!m || !take(text, ':')) return std::nullopt;
  const auto s = take_digits(text, 2);
  if (!s || *h > 23 || *m > 59 || *s > 60) return std::nullopt;
  std::int64_t us = 0;
  if (take(text, '.') || take(text, ',')) {
    const auto fraction = take_fraction(text);
    if (!fraction) return std::nullopt;
    us = *fraction;
  }
  const auto zone = take_zone(text);
  if (!zone || !text.empty()) return std::nullopt;
  return *day + Duration::seconds(*h * 3600 + *m * 60 + *s) + Duration(us) - *zone;
}

std::optional<Duration> parse_duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    std::int64_t us;
  };
  static constexpr std::array<Unit, 6> kUnits{
      {{"ms", 1'000}, {"us", 1}, {"s", 1'000'000}, {"m", 60'000'000}, {"h", 3'600'000'000}, {"d", 86'400'000'000}}};
  if (text.empty()) return std::nullopt;
  std::int64_t total = 0;
  while (!text.empty()) {
    std::int64_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error != std::errc{} || n < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const Unit* found = nullptr;
    for (const auto& unit : kUnits)
      if (text.starts_with(unit.name)) {
        found = &unit;
        break;
      }
    std::int64_t part = 0;
    if (found == nullptr || __builtin_mul_overflow(n, found->us, &part) || __builtin_add_overflow(total, part, &total)) return std::nullopt;
    text.remove_prefix(found->name.size());
  }
  return Duration(total);
}

std::string format_duration(Duration d) {
  if (d.value() == 0) return "0s";
  std::string out = d.value() < 0 ? "-" : "";
  auto us = static_cast<std::uint64_t>(d.value() < 0 ? -d.value() : d.value());
  const auto part = [&](std::uint64_t unit, const char* name) {
    if (us >= unit) {
      out += std::to_string(us / unit) + name;
      us %= unit;
    }
  };
  part(86'400'000'000, "d");
  part(3'600'000'000, "h");
  part(60'000'000, "m");
  part(1'000'000, "s");
  part(1'000, "ms");
  part(1, "us");
  return out;
}

}  // namespace headpond::base
