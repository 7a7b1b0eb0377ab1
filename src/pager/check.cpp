#include "pager/check.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/time.h"
#include "pager/rule_set.h"
#include "spec/rules_file.h"

namespace headpond::pager {
namespace {

// What the parts of a key's state take at most; layout in docs/formats/pager.md.
constexpr std::int64_t kHeaderBytes = 16, kSliceBytes = 3, kValueBytes = 4, kRingEntryBytes = 4, kPresenceBytes = 8, kVerdictBytes = 40;
constexpr std::int64_t kKeyBytes = 160;  // its name, in the store and in memory, and its timer
constexpr base::Duration kAnnouncedDelay = base::Duration::seconds(2), kSettlingDelay = base::Duration::seconds(3);

std::string bytes_text(std::int64_t bytes) {
  static constexpr std::array<const char*, 4> kUnits = {"B", "KB", "MB", "GB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1000 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text.data();
}

std::int64_t bytes_a_key(const rules::FoldGroup& fold, const rules::Rule& rule, base::Duration max_future) {
  std::vector<int> measures;
  std::int64_t bytes = kHeaderBytes + kKeyBytes + kVerdictBytes;
  for (const int c : rule.counters) {
    const auto& counter = fold.counters[static_cast<std::size_t>(c)];
    if (std::find(measures.begin(), measures.end(), counter.measure) == measures.end()) measures.push_back(counter.measure);
    const bool presence = fold.measures[static_cast<std::size_t>(counter.measure)].kind == rules::Measure::Kind::kPresence;
    bytes += presence ? kPresenceBytes : (counter.window.value() / counter.coarse.value() + 1) * kRingEntryBytes;
  }
  const std::int64_t slices = (fold.lateness + max_future).value() / fold.interval.value() + 1;
  return bytes + slices * (kSliceBytes + kValueBytes * static_cast<std::int64_t>(measures.size()));
}

std::string at(const rules::Place& place) {
  return place.file + ":" + std::to_string(place.line) + ":" + std::to_string(place.column) + ": ";
}

void refuse_what_exceeds(CheckReport& report) {
  for (const auto& rule : report.rules) {
    if (report.freshness.value() > 0 && rule.worst_delay > report.freshness)
      report.refusals.push_back(
          at(rule.place) + "rule " + rule.rule + " can be " + base::format_duration(rule.worst_delay) + " late, but branch " +
          report.branch + " promises " + base::format_duration(report.freshness) +
          "; shorten the group's lateness or interval, or write the condition so that it can only become truer (count(…) > n without for)");
  }
  if (report.rules.empty() || report.state_bytes() <= report.state_bytes_max) return;
  const auto largest = std::max_element(report.rules.begin(), report.rules.end(),
                                        [](const auto& a, const auto& b) { return a.state_bytes() < b.state_bytes(); });
  report.refusals.push_back(at(largest->place) + "the rules need " + bytes_text(report.state_bytes()) + " of state, the branch has " +
                            bytes_text(report.state_bytes_max) + "; rule " + largest->rule +
                            " takes most of it: group by fewer columns, take a longer interval, or lower expect: {keys}");
}

std::string padded(const std::string& text, std::size_t width, bool right = false) {
  const std::string space(width > text.size() ? width - text.size() : 0, ' ');
  return right ? space + text : text + space;
}

}  // namespace

std::int64_t CheckReport::state_bytes() const {
  std::int64_t sum = 0;
  for (const auto& rule : rules) sum += rule.state_bytes();
  return sum;
}

base::Result<CheckReport> check_rules(const spec::Topology& topology, const spec::Branch& branch, const std::vector<RuleFile>& files,
                                      CheckLimits limits) {
  TRY(const auto program, compile_files(files, spec::rule_columns(topology.bronze)));
  CheckReport report;
  report.branch = branch.name;
  report.state_bytes_max = limits.state_bytes_max;
  for (const auto& consumer : topology.consumers) {
    const bool served = std::find(branch.serves.begin(), branch.serves.end(), consumer.name) != branch.serves.end();
    if (served && (report.freshness.value() == 0 || consumer.freshness < report.freshness)) report.freshness = consumer.freshness;
  }
  for (const auto& fold : program.folds) {
    for (const auto& rule : fold.rules) {
      RuleCheck check;
      check.rule = rule.name;
      check.place = rule.place;
      check.announced = rule.announceable();
      check.worst_delay =
          check.announced ? kAnnouncedDelay : fold.lateness + fold.interval + topology.bronze.max_clock_error + kSettlingDelay;
      check.bytes_a_key = bytes_a_key(fold, rule, topology.bronze.max_future);
      check.keys_assumed = rule.keys == 0 && !fold.by.empty();
      check.keys = rule.keys > 0 ? rule.keys : fold.by.empty() ? 1 : limits.keys_assumed;
      report.rules.push_back(std::move(check));
    }
  }
  std::sort(report.rules.begin(), report.rules.end(), [](const auto& a, const auto& b) {
    return std::tie(a.place.file, a.place.line, a.place.column) < std::tie(b.place.file, b.place.line, b.place.column);
  });
  refuse_what_exceeds(report);
  return report;
}

std::string render(const CheckReport& report) {
  std::size_t width = 4;
  for (const auto& rule : report.rules) width = std::max(width, rule.rule.size());
  std::string out = padded("rule", width) + "  worst delay  bytes a key      keys     state\n";
  for (const auto& rule : report.rules) {
    out += padded(rule.rule, width) + "  " + padded(base::format_duration(rule.worst_delay), 11, true) + "  " +
           padded(std::to_string(rule.bytes_a_key), 11, true) + "  " +
           padded(std::to_string(rule.keys) + (rule.keys_assumed ? "?" : " "), 8, true) + "  " +
           padded(bytes_text(rule.state_bytes()), 8, true) + (rule.announced ? "  announced" : "") + "\n";
  }
  out += "all rules: " + bytes_text(report.state_bytes()) + " of state at most, of " + bytes_text(report.state_bytes_max);
  if (report.freshness.value() > 0) out += "; promise of " + report.branch + ": " + base::format_duration(report.freshness);
  const bool assumed = std::any_of(report.rules.begin(), report.rules.end(), [](const auto& r) { return r.keys_assumed; });
  if (assumed) out += "\n? assumed; say how many with expect: {keys: N}";
  for (const auto& refusal : report.refusals) out += "\nrefused: " + refusal;
  return out + "\n";
}

std::string to_json(const CheckReport& report) {
  nlohmann::ordered_json out = {{"branch", report.branch},
                                {"good", report.good()},
                                {"freshness_s", report.freshness.to_seconds()},
                                {"state_bytes", report.state_bytes()},
                                {"state_bytes_max", report.state_bytes_max},
                                {"rules", nlohmann::ordered_json::array()},
                                {"refusals", report.refusals}};
  for (const auto& rule : report.rules)
    out["rules"].push_back({{"rule", rule.rule},
                            {"announced", rule.announced},
                            {"worst_delay_s", rule.worst_delay.to_seconds()},
                            {"bytes_a_key", rule.bytes_a_key},
                            {"keys", rule.keys},
                            {"keys_assumed", rule.keys_assumed},
                            {"state_bytes", rule.state_bytes()}});
  return out.dump();
}

}  // namespace headpond::pager
