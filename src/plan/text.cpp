#include <fmt/format.h>

#include <array>
#include <cmath>

#include "base/time.h"
#include "plan/judge.h"

namespace headpond::plan {
namespace {

// The same digits without the zeros behind the point.
std::string trimmed(std::string text) {
  if (text.find('.') == std::string::npos) return text;
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string grouped(double value) {
  const std::string digits = fmt::format("{:.0f}", value);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

}  // namespace

std::string time_text(double seconds) {
  if (!std::isfinite(seconds) || seconds > 1e9) return "never";
  if (seconds == 0) return "0s";
  if (seconds < 0.01) return "< 10ms";
  if (seconds < 1) return trimmed(fmt::format("{:.2f}", seconds)) + "s";
  if (seconds < 60) return trimmed(fmt::format("{:.1f}", seconds)) + "s";
  const double step = seconds < 3600 ? 1 : 60;
  return base::format_duration(base::Duration::seconds(static_cast<std::int64_t>(std::round(seconds / step) * step)));
}

std::string promise_text(base::Duration promise) {
  return promise == base::kDay ? "24h" : base::format_duration(promise);
}

std::string need_text(double need) {
  if (need >= 1e6) return "∞";
  if (need < 0.0005) return "< 0.001";
  return need >= 1 ? fmt::format("{:.1f}", need) : need >= 0.01 ? fmt::format("{:.2f}", need) : fmt::format("{:.3f}", need);
}

std::string usd_text(double usd) {
  const double size = std::abs(usd);
  if (size > 0 && size < 0.005) return "< $0.01";
  return (usd < 0 ? "-$" : "$") + (size >= 100 ? grouped(size) : fmt::format("{:.2f}", size));
}

std::string count_text(double value) {
  if (value >= 1e9) return trimmed(fmt::format("{:.2f}", value / 1e9)) + " G";
  if (value >= 1e6) return trimmed(fmt::format("{:.2f}", value / 1e6)) + " M";
  if (value >= 100) return grouped(value);
  if (value > 0 && value < 0.01) return "< 0.01";
  return trimmed(fmt::format("{:.2f}", value));
}

std::string round_up_text(double seconds) {
  for (const int round : {15, 30, 60, 120, 180, 300, 600, 900, 1'800, 3'600, 7'200, 10'800, 14'400, 21'600, 43'200, 86'400})
    if (seconds <= round) return base::format_duration(base::Duration::seconds(round));
  return base::format_duration(base::Duration::hours(24 * static_cast<std::int64_t>(std::ceil(seconds / 86'400))));
}

}  // namespace headpond::plan
