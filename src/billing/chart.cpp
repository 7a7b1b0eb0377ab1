#include "billing/chart.h"

#include <algorithm>
#include <cmath>

#include "billing/format.h"

namespace headpond::billing {
namespace {

constexpr double kWidth = 960, kHeight = 260, kLeft = 52, kRight = 8, kTop = 10, kBottom = 26;

// A round step so that at most four of them reach `most`.
double tick_step(double most) {
  const double rough = std::max(most, 1.0) / 4;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 2.5, 5.0, 10.0}) {
    if (factor * power >= rough && factor * power >= 1) return factor * power;
  }
  return 10 * power;
}

std::string clock_time(std::size_t slot) {
  const auto two = [](std::size_t n) { return (n < 10 ? "0" : "") + std::to_string(n); };
  return two(slot / 4) + ":" + two(slot % 4 * 15);
}

std::string number(double value) {
  return fixed(value, 1);
}

std::string line(const char* css, double x1, double y1, double x2, double y2) {
  return "<line class=\"" + std::string(css) + "\" x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) + "\" y2=\"" +
         number(y2) + "\"/>";
}

std::string label(double x, double y, const char* anchor, const std::string& text) {
  return "<text class=\"axis\" x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\">" + text + "</text>";
}

}  // namespace

std::string day_chart(const std::vector<Series>& series) {
  std::array<std::int64_t, kSlots> totals{};
  for (const auto& s : series) {
    for (std::size_t i = 0; i < kSlots; ++i) totals[i] += s.values[i];
  }
  const auto most = static_cast<double>(*std::ranges::max_element(totals));
  const double step = tick_step(most), top = step * std::max(1.0, std::ceil(most / step));
  const auto y = [&](double value) { return kHeight - kBottom - value / top * (kHeight - kTop - kBottom); };
  const double slot_width = (kWidth - kLeft - kRight) / kSlots;

  std::string svg =
      "<svg viewBox=\"0 0 " + fixed(kWidth, 0) + " " + fixed(kHeight, 0) + "\" role=\"img\" aria-label=\"Events by quarter hour\">";
  for (double value = 0; value <= top + step / 2; value += step) {
    svg += line(value == 0 ? "base" : "grid", kLeft, y(value), kWidth - kRight, y(value));
    svg += label(kLeft - 8, y(value) + 4, "end", human_count(value));
  }
  for (std::size_t hour = 0; hour <= 24; hour += 3) {
    const double x = kLeft + static_cast<double>(hour * 4) * slot_width;
    svg += label(x, kHeight - 6, hour == 0 ? "start" : hour == 24 ? "end" : "middle", clock_time(hour * 4));
  }
  for (std::size_t i = 0; i < kSlots; ++i) {
    if (totals[i] == 0) continue;
    svg += "<g><title>" + clock_time(i) + " – " + clock_time(i + 1) + ": " + grouped(totals[i]) + " events</title>";
    double below = 0;
    for (std::size_t s = 0; s < series.size(); ++s) {
      const auto value = static_cast<double>(series[s].values[i]);
      if (value <= 0) continue;
      const double height = y(below) - y(below + value);
      svg += "<rect class=\"s" + std::to_string(s) + "\" x=\"" + number(kLeft + static_cast<double>(i) * slot_width + 0.6) + "\" y=\"" +
             number(y(below + value)) + "\" width=\"" + number(slot_width - 1.2) + "\" height=\"" + number(std::max(height, 0.4)) + "\"/>";
      below += value;
    }
    svg += "</g>";
  }
  return svg + "</svg>";
}

}  // namespace headpond::billing
