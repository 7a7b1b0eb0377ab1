#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/time.h"
#include "plan/judge.h"

namespace headpond::plan {
namespace {

using Row = std::vector<std::string>;

// Columns on a terminal: code points, since nothing here is wide.
std::size_t shown_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string bytes_text(double bytes) {
  for (const auto& [unit, size] : {std::pair{"PB", 1e15}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}})
    if (bytes >= size) return fmt::format("{:.3g} {}", bytes / size, unit);
  return fmt::format("{:.0f} B", bytes);
}

std::string short_name(const std::string& name) {
  return name.size() > 22 ? name.substr(0, 21) + "…" : name;
}

std::string cores_text(double cores) {
  return cores >= 10 ? fmt::format("{:.0f}", cores) : cores >= 0.1 ? fmt::format("{:.1f}", cores) : "< 0.1";
}

class Printer {
 public:
  explicit Printer(const TableStyle& style) : style_(style) {}

  std::string take() { return std::move(out_); }
  void line(const std::string& text = "") { out_ += text + "\n"; }
  std::string bold(const std::string& text) const { return paint("1", text); }
  std::string dim(const std::string& text) const { return paint("2", text); }
  std::string good(const std::string& text) const { return paint("32", text); }
  std::string bad(const std::string& text) const { return paint("1;31", text); }

  // `head`, then `text` folded at the width; further lines begin below the text.
  void folded(const std::string& head, std::size_t head_width, const std::string& text) {
    const std::size_t room =
        static_cast<std::size_t>(style_.width) > head_width + 20 ? static_cast<std::size_t>(style_.width) - head_width : 20;
    std::string current = head;
    std::size_t used = 0;
    for (std::size_t begin = 0; begin < text.size();) {
      const auto end = std::min(text.find(' ', begin), text.size());
      const std::string word = text.substr(begin, end - begin);
      if (used > 0 && used + 1 + shown_width(word) > room) {
        line(current);
        current = std::string(head_width, ' ');
        used = 0;
      }
      current += (used > 0 ? " " : "") + word;
      used += (used > 0 ? 1 : 0) + shown_width(word);
      begin = end + 1;
    }
    line(current);
  }

  // Columns as wide as their widest cell, two spaces between; those of `right` end flush.
  void table(const std::vector<Row>& rows, const std::vector<bool>& right) {
    std::vector<std::size_t> widths(rows.front().size());
    for (const auto& row : rows)
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], shown_width(row[i]));
    for (std::size_t r = 0; r < rows.size(); ++r) {
      std::string text = " ";
      for (std::size_t i = 0; i < rows[r].size(); ++i) {
        const std::string pad(widths[i] - shown_width(rows[r][i]), ' ');
        text += " " + (right[i] ? pad + rows[r][i] : rows[r][i] + pad) + (i + 1 < rows[r].size() ? " " : "");
      }
      text.erase(text.find_last_not_of(' ') + 1);
      line(r == 0 ? dim(text) : text);
    }
  }

 private:
  std::string paint(const char* code, const std::string& text) const {
    return style_.color ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
  }

  TableStyle style_;
  std::string out_;
};

void print_branches(Printer& print, const Plan& plan) {
  std::vector<Row> rows{{"branch", "tag", "need", "axis", "rhythm", "engine", "stale", "state"}};
  for (const auto& b : plan.branches) {
    const std::string engine = b.branch.engine + (b.written_engine == "auto" ? "*" : "");
    rows.push_back({short_name(b.branch.name) + (b.proposed ? "+" : ""), b.tag, need_text(b.latency_need), std::string(to_string(b.axis)),
                    std::string(to_string(*b.branch.rhythm)), engine, time_text(b.staleness_s) + " of " + promise_text(b.freshness),
                    b.branch.state ? b.branch.state->store : "-"});
  }
  print.table(rows, {false, false, true, false, false, false, false, false});
  const auto any = [&](auto test) { return std::any_of(plan.branches.begin(), plan.branches.end(), test); };
  if (any([](const BranchPlan& b) { return b.proposed; }))
    print.line("  " + print.dim("+ proposed: `headpond plan --write` puts it into the file"));
  if (any([](const BranchPlan& b) { return b.written_engine == "auto"; }))
    print.line("  " + print.dim("* chosen by `engine: auto`, see below"));
}

std::string rhythms_text(const BranchPlan& b) {
  std::string text;
  for (const auto& c : b.candidates)
    text += fmt::format("{}{} {} stale, {}{}", text.empty() ? "" : "; ", to_string(c.rhythm), time_text(c.staleness_s),
                        usd_text(c.usd_per_month), c.keeps_freshness ? "" : ", too late");
  return text;
}

void print_verdicts(Printer& print, const BranchPlan& b) {
  std::string serves;
  for (const auto& name : b.branch.serves) serves += (serves.empty() ? "" : ", ") + name;
  print.line(print.bold(b.branch.name) + fmt::format("  {} for {}", to_string(b.branch.kind), serves));
  constexpr std::size_t kIndent = 15;
  for (const auto& v : b.verdicts) {
    const std::string name = fmt::format("{:<11}", to_string(v.rule));
    print.folded("  " + (v.refused ? print.bad("✗ " + name) : print.good("✓ ") + name), kIndent, v.why);
    if (!v.refused) continue;
    print.folded(std::string(kIndent, ' '), kIndent, "at " + to_string(v.place));
    print.folded(std::string(kIndent, ' '), kIndent, "mend: " + v.mend);
  }
  print.folded("    rhythms    ", kIndent, rhythms_text(b));
  if (b.engines.size() > 1)
    for (const auto& e : b.engines) {
      const std::string verdict = e.engine == b.branch.engine ? ": chosen" : e.fits ? "" : ": does not fit";
      print.folded(fmt::format("    {:<11}", e.engine), kIndent,
                   fmt::format("a run takes {} and {} core-seconds, {} a month{}", time_text(e.run_s), count_text(e.core_seconds),
                               usd_text(e.capacity.usd_per_month), verdict));
    }
}

Row capacity_row(const std::string& name, const Capacity& c) {
  const std::string catch_up = c.catch_up_s < 0 ? "never" : c.catch_up_s == 0 ? "-" : time_text(c.catch_up_s);
  return {short_name(name),
          count_text(c.events_per_s),
          fmt::format("{} of {:.0f}", cores_text(c.cores), c.provisioned_cores),
          fmt::format("{:.3g}", c.memory_gb),
          bytes_text(c.read_bytes_per_day),
          bytes_text(c.written_bytes_per_day),
          count_text(c.requests_per_month),
          usd_text(c.usd_per_month),
          catch_up};
}

void print_capacity(Printer& print, const Plan& plan) {
  std::vector<Row> rows{{"", "events/s", "cores", "GB", "read/day", "write/day", "requests", "a month", "catch-up"}};
  rows.push_back(capacity_row("ingest", plan.ingest));
  for (const auto& b : plan.branches) rows.push_back(capacity_row(b.branch.name, b.capacity));
  print.table(rows, {false, true, true, true, true, true, true, true, true});
  print.folded("  ", 2,
               print.dim("Tiers 1 to 3 at the peak, tier 4 at the mean. cores: busy at that rate (runs: while they last) of those held; "
                         "GB: memory; requests: to "
                         "the object store, a month; catch-up: after an outage of 10 minutes at that rate."));
}

void print_figures(Printer& print, const Plan& plan) {
  std::vector<Row> rows{{"counted with", "", "", "from"}};
  for (const auto& a : plan.assumptions) rows.push_back({a.name, fmt::format("{:.5g}", a.value), a.unit, a.origin});
  print.table(rows, {false, true, false, false});
}

}  // namespace

std::string render_table(const Plan& plan, const TableStyle& style) {
  Printer print(style);
  print.line(print.bold(plan.name) + "  " + plan.source + " → bronze at " + plan.location);
  print.line(print.dim(fmt::format("{} events a day: {}/s mean, {}/s peak, {:.0f} B each; {} core{}", count_text(plan.events_per_day),
                                   count_text(plan.mean_events_per_s), count_text(plan.peak_events_per_s), plan.bytes_per_event, plan.cores,
                                   plan.cores == 1 ? "" : "s")));
  print.line();
  print_branches(print, plan);
  for (const auto& branch : plan.branches) {
    print.line();
    print_verdicts(print, branch);
  }
  print.line();
  print_capacity(print, plan);
  print.line();
  print_figures(print, plan);
  if (!plan.notes.empty()) print.line();
  for (const auto& note : plan.notes) print.folded(print.dim("note: "), 6, note);
  print.line();
  const auto refusals = plan.refusals().size();
  if (refusals > 0)
    print.line(print.bad(fmt::format("refused: {} rule{} broken", refusals, refusals == 1 ? "" : "s")));
  else
    print.line(print.good("good: every rule holds"));
  return print.take();
}

std::string render_refusals(const Plan& plan) {
  std::string text;
  for (const auto& v : plan.refusals())
    text += fmt::format("{}: [{}] {}\n  mend: {}\n", to_string(v.place), to_string(v.rule), v.why, v.mend);
  return text;
}

}  // namespace headpond::plan
