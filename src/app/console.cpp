#include "app/console.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "app/commands.h"

namespace headpond::app {

void complain(const std::string& message) {
  fmt::print(stderr, "headpond: {}\n", message);
}

int complain(const base::Error& error) {
  complain(error.message);
  return exit_code(error.kind);
}

int exit_code(base::ErrorKind kind) {
  switch (kind) {
    case base::ErrorKind::kInvalid: return kWrongUse;
    case base::ErrorKind::kCorrupt:
    case base::ErrorKind::kFenced:
    case base::ErrorKind::kConflict: return kProblem;
    case base::ErrorKind::kNotFound:
    case base::ErrorKind::kRetry:
    case base::ErrorKind::kFull:
    case base::ErrorKind::kUnknown: return kUnavailable;
  }
  return kProblem;
}

namespace {

// Display width of UTF-8 text, counting code points.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool is_numeric(const std::string& cell) {
  return !cell.empty() && (std::isdigit(static_cast<unsigned char>(cell[0])) != 0 ||
                           (cell[0] == '-' && cell.size() > 1 && std::isdigit(static_cast<unsigned char>(cell[1])) != 0));
}

}  // namespace

std::string TextTable::render() const {
  std::vector<std::size_t> widths;
  std::vector<bool> numeric(rows_[0].size(), rows_.size() > 1);
  for (std::size_t r = 0; r < rows_.size(); ++r)
    for (std::size_t c = 0; c < rows_[r].size(); ++c) {
      if (widths.size() <= c) widths.push_back(0);
      widths[c] = std::max(widths[c], width(rows_[r][c]));
      if (r > 0 && c < numeric.size() && !rows_[r][c].empty() && rows_[r][c] != "-" && !is_numeric(rows_[r][c])) numeric[c] = false;
    }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string pad(widths[c] - width(row[c]), ' ');
      if (c > 0) line += "  ";
      line += numeric[c] ? pad + row[c] : row[c] + pad;
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    out += line + "\n";
  }
  return out;
}

std::string human_count(double n) {
  if (std::fabs(n) >= 1e9) return fmt::format("{:.2f} B", n / 1e9);
  if (std::fabs(n) >= 1e5) return fmt::format("{:.2f} M", n / 1e6);
  const auto digits = fmt::format("{:.0f}", n);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && digits[i - 1] != '-' && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string human_bytes(double n) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  std::size_t unit = 0;
  for (; std::fabs(n) >= 1000 && unit + 1 < std::size(kUnits); ++unit) n /= 1000;
  return unit == 0 ? fmt::format("{:.0f} B", n) : fmt::format("{:.1f} {}", n, kUnits[unit]);
}

std::string human_age(double seconds) {
  if (seconds < 0) seconds = 0;
  if (seconds < 120) return fmt::format("{:.1f} s", seconds);
  if (seconds < 7200) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

}  // namespace headpond::app
