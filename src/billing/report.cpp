#include "billing/report.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "base/time.h"
#include "billing/chart.h"
#include "billing/format.h"
#include "billing/report_style.h"

namespace headpond::billing {
namespace {

constexpr std::size_t kTenantsShown = 50, kLinesShown = 120, kPartitionsShown = 64, kRatesShown = 40, kNameLength = 36;

std::string long_date(base::Micros day) {
  constexpr std::array kWeekdays = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
  constexpr std::array kMonths = {"January", "February", "March",     "April",   "May",      "June",
                                  "July",    "August",   "September", "October", "November", "December"};
  const std::chrono::sys_days days{std::chrono::days{day.value() / base::kDay.value()}};
  const std::chrono::year_month_day date{days};
  return std::string(kWeekdays[std::chrono::weekday{days}.c_encoding()]) + ", " + std::to_string(static_cast<unsigned>(date.day())) + " " +
         kMonths[static_cast<unsigned>(date.month()) - 1] + " " + std::to_string(static_cast<int>(date.year()));
}

std::string clock_time(std::int64_t seconds) {
  const auto text = base::format_rfc3339(base::Micros(seconds * base::kSecond.value()));
  return text.substr(11, 8);
}

std::string name_of(const std::string& text) {
  return escape_html(shortened(text, kNameLength));
}

std::string cell(const std::string& html) {
  return "<td>" + html + "</td>";
}
std::string number_cell(const std::string& html) {
  return "<td class=\"n\">" + html + "</td>";
}

// A bar as long as the amount is of the largest, and its part of the total in figures.
std::string share_cell(double amount, double largest, double total) {
  return "<td class=\"share\"><span><i style=\"width:" + fixed(70 * amount / largest, 1) + "%\"></i>" + fixed(100 * amount / total, 1) +
         " %</span></td>";
}

std::string change(std::int64_t now, std::int64_t before) {
  if (before <= 0) return "";
  const double percent = 100.0 * (static_cast<double>(now) / static_cast<double>(before) - 1);
  return (percent >= 0 ? "+" : "−") + fixed(std::abs(percent), 1) + " % on the day before";
}

std::string card(const std::string& what, const std::string& value, const std::string& detail, bool main = false) {
  return "<div class=\"card" + std::string(main ? " main" : "") + "\"><span>" + what + "</span><b>" + value + "</b><em>" + detail +
         "</em></div>";
}

class Page {
 public:
  explicit Page(const ReportInputs& in) : in_(in), bill_(in.bill), day_(base::format_day(in.bill.day)) {}

  std::string render() {
    out_ =
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width,initial-scale=1\">"
        "<title>Capacity bill " +
        day_ + " · " + escape_html(bill_.topology) + "</title><style>" + std::string(kReportStyle) + "</style></head><body><main>\n";
    head();
    cards();
    chart();
    tenants();
    peaks();
    lines();
    prices();
    certificate();
    foot();
    return out_ + "</main></body></html>\n";
  }

 private:
  void head() {
    out_ += "<header><div><div class=\"eyebrow\">Capacity bill · " + escape_html(bill_.topology) + " · " + escape_html(bill_.branch) +
            "</div><h1>" + long_date(bill_.day) + "</h1><div class=\"soft\">what arrived from 00:00 to 24:00 UTC</div></div>" +
            (bill_.provisional ? "<span class=\"badge open\">Provisional</span>" : "<span class=\"badge\">Closed</span>") + "</header>\n";
    if (!bill_.provisional) return;
    out_ +=
        "<div class=\"note\"><b>This day is still open.</b> It covers what had arrived up to the offsets listed below, has no certificate, "
        "and will change. ";
    if (!in_.holdouts.empty()) {
      out_ += "Kept open by " + escape_html(to_string(in_.holdouts.front()));
      if (in_.holdouts.size() > 1) out_ += " and " + std::to_string(in_.holdouts.size() - 1) + " more";
      out_ += ".";
    }
    out_ += "</div>\n";
  }

  void cards() {
    // A day that still runs is not held against a whole one.
    const bool compare = in_.previous != nullptr && !bill_.provisional;
    const auto before = compare ? in_.previous->totals().amounts : Amounts{};
    const auto tenants = std::to_string(bill_.tenants.size()) + (bill_.tenants.size() == 1 ? " tenant" : " tenants");
    out_ += "<div class=\"cards\">";
    out_ += card("Total", bill_.currency + " " + grouped_decimal(bill_.total),
                 tenants + (compare ? ", " + in_.previous->currency + " " + grouped_decimal(in_.previous->total) + " the day before" : ""),
                 true);
    out_ += card("Volume", human_bytes(bill_.used.bytes), change(bill_.used.bytes, before.bytes));
    out_ += card("Events", human_count(static_cast<double>(bill_.used.events)), change(bill_.used.events, before.events));
    out_ += card("Peak", human_count(static_cast<double>(bill_.peak_second_events)) + "/s",
                 bill_.peak_second_events > 0 ? "at " + clock_time(bill_.peak_second) + " UTC" : "no event");
    out_ += "</div>\n";
  }

  void chart() {
    std::vector<Series> series;
    Series others{"others", {}};
    for (std::size_t i = 0; i < kSlots; ++i) others.values[i] = bill_.slots[i].events;
    for (std::size_t t = 0; t < bill_.top_slots.size(); ++t) {
      series.push_back({bill_.tenants[t].tenant, bill_.top_slots[t]});
      for (std::size_t i = 0; i < kSlots; ++i) others.values[i] -= bill_.top_slots[t][i];
    }
    if (bill_.tenants.size() > bill_.top_slots.size()) series.push_back(others);
    out_ += "<section class=\"chart\"><h2>Events by quarter hour <small>of arrival, UTC; by tenant</small></h2>" + day_chart(series) +
            "<ul class=\"legend\">";
    for (std::size_t s = 0; s < series.size(); ++s) {
      out_ += "<li><svg viewBox=\"0 0 10 10\"><rect class=\"s" + std::to_string(s) + "\" width=\"10\" height=\"10\" rx=\"2\"/></svg>" +
              name_of(series[s].name) + "</li>";
    }
    out_ += "</ul></section>\n";
  }

  void tenants() {
    out_ += "<section><h2>By tenant</h2><table><thead><tr><th>Tenant</th><th class=\"share\">Share of the bill</th><th class=\"n\">" +
            bill_.currency +
            "</th><th class=\"n\">Volume</th><th class=\"n\">Events</th><th class=\"n\">Undecodable</th><th class=\"n\">Peak a "
            "minute</th></tr></thead><tbody>";
    const double total = std::max(1e-9, std::stod(bill_.total));
    const double largest = bill_.tenants.empty() ? 1 : std::max(1e-9, std::stod(bill_.tenants.front().amount));
    for (std::size_t i = 0; i < std::min(kTenantsShown, bill_.tenants.size()); ++i) {
      const auto& tenant = bill_.tenants[i];
      out_ += "<tr>" + cell(name_of(tenant.tenant)) + share_cell(std::stod(tenant.amount), largest, total) +
              number_cell(grouped_decimal(tenant.amount)) + number_cell(human_bytes(tenant.used.bytes)) +
              number_cell(grouped(tenant.used.events)) + number_cell(grouped(tenant.used.errors)) + number_cell(grouped(tenant.peak_epm)) +
              "</tr>";
    }
    out_ += "</tbody><tfoot><tr><td>Total</td><td class=\"share\"></td>" + number_cell(grouped_decimal(bill_.total)) +
            number_cell(human_bytes(bill_.used.bytes)) + number_cell(grouped(bill_.used.events)) + number_cell(grouped(bill_.used.errors)) +
            "<td></td></tr></tfoot></table>";
    more(bill_.tenants.size(), kTenantsShown, "tenants");
    out_ += "</section>\n";
  }

  void more(std::size_t all, std::size_t shown, const std::string& what) {
    if (all > shown)
      out_ +=
          "<p class=\"soft\">and " + grouped(static_cast<std::int64_t>(all - shown)) + " more " + what + " in the CSV beside this page</p>";
  }

  void peaks() {
    const auto quarter = static_cast<std::size_t>(std::ranges::max_element(bill_.slots, {}, [](const Amounts& a) { return a.events; }) -
                                                  bill_.slots.begin());
    const auto midnight = bill_.day.value() / base::kSecond.value();
    const auto row = [&](const char* span, std::int64_t seconds, std::int64_t at, std::int64_t events) {
      return "<tr>" + cell(span) + cell(events > 0 ? clock_time(at) : "–") + number_cell(grouped(events)) +
             number_cell(fixed(static_cast<double>(events) / static_cast<double>(seconds), 1)) + "</tr>";
    };
    out_ +=
        "<section><h2>Peaks <small>of all tenants together</small></h2><table><thead><tr><th>Busiest</th><th>from (UTC)</th><th "
        "class=\"n\">Events</th>"
        "<th class=\"n\">Events a second</th></tr></thead><tbody>" +
        row("second", 1, bill_.peak_second, bill_.peak_second_events) +
        row("minute", 60, bill_.peak_minute * 60, bill_.peak_minute_events) +
        row("quarter hour", 900, midnight + static_cast<std::int64_t>(quarter) * 900, bill_.slots[quarter].events) +
        "<tr><td>the whole day</td><td>00:00:00</td>" + number_cell(grouped(bill_.used.events)) +
        number_cell(fixed(static_cast<double>(bill_.used.events) / 86400, 1)) + "</tr></tbody></table></section>\n";
  }

  void lines() {
    out_ +=
        "<section><h2>Invoice lines</h2><table><thead><tr><th>Tenant</th><th>Item</th><th>Tier</th><th class=\"n\">Quantity</th><th "
        "class=\"n\">Unit price</th>"
        "<th class=\"n\">" +
        bill_.currency + "</th></tr></thead><tbody>";
    for (std::size_t i = 0; i < std::min(kLinesShown, bill_.lines.size()); ++i) {
      const auto& line = bill_.lines[i];
      out_ += "<tr>" + cell(name_of(line.tenant)) + cell(unit_of(line.item)) +
              cell(line.tier == 0 ? "included" : std::to_string(line.tier)) + number_cell(short_decimal(line.quantity)) +
              number_cell(short_decimal(line.unit_price)) + number_cell(grouped_decimal(line.amount)) + "</tr>";
    }
    out_ += "</tbody></table>";
    more(bill_.lines.size(), kLinesShown, "lines");
    out_ += "</section>\n";
  }

  void prices() {
    out_ +=
        "<section><h2>Prices in force <small>a tenant and day; GB = 10<sup>9</sup> bytes as "
        "produced</small></h2><table><thead><tr><th>Tenant</th><th>Item</th>"
        "<th>Tier</th><th class=\"n\">above</th><th class=\"n\">up to</th><th class=\"n\">" +
        bill_.currency + "</th></tr></thead><tbody>";
    for (std::size_t i = 0; i < std::min(kRatesShown, bill_.rates.size()); ++i) {
      const auto& rate = bill_.rates[i];
      out_ += "<tr>" + cell(rate.tenant ? name_of(*rate.tenant) : "<span class=\"soft\">everyone else</span>") + cell(unit_of(rate.item)) +
              cell(rate.tier == 0 ? "included" : std::to_string(rate.tier)) + number_cell(short_decimal(rate.lower)) +
              number_cell(rate.upper ? short_decimal(*rate.upper) : "") + number_cell(short_decimal(rate.price)) + "</tr>";
    }
    out_ += "</tbody></table>";
    if (bill_.rates.size() > kRatesShown)
      out_ += "<p class=\"soft\">and " + std::to_string(bill_.rates.size() - kRatesShown) + " more in the price book</p>";
    out_ += "</section>\n";
  }

  void certificate() {
    PartitionDay sum;
    for (const auto& [name, part] : in_.partitions) {
      sum.amounts.events += part.amounts.events;
      sum.amounts.bytes += part.amounts.bytes;
      sum.gaps += part.gaps;
      sum.fingerprint += part.fingerprint;
    }
    out_ += bill_.provisional ? "<section><h2>Offsets covered so far <small>no certificate</small></h2>"
                              : "<section><h2>Offset certificate</h2>";
    out_ += "<dl><dt>Covers</dt><dd>" + std::to_string(in_.partitions.size()) + " partitions, " + grouped(sum.amounts.events) +
            " events, " + grouped(sum.amounts.bytes) + " bytes, " + grouped(sum.gaps) +
            " offsets without a record</dd><dt>Time of arrival by</dt><dd>" +
            (in_.broker_clock ? "the broker" : "ingest (producers’ stamps, bounded by the time of fetching)") +
            "</dd><dt>Fingerprint</dt><dd><code>" + hex16(sum.fingerprint) + "</code></dd>";
    if (!bill_.provisional) {
      out_ += "<dt>Day before</dt><dd>" +
              (in_.previous ? base::format_day(in_.previous->day) + ", certificate SHA-256 <code>" + in_.previous_sha256 + "</code>"
                            : std::string("none: this is the first day")) +
              "</dd>";
    }
    out_ +=
        "</dl><table><thead><tr><th>Topic</th><th class=\"n\">Partition</th><th class=\"n\">First offset</th><th class=\"n\">Last "
        "offset</th><th class=\"n\">Events</th>"
        "<th class=\"n\">Bytes</th><th class=\"n\">Fingerprint</th></tr></thead><tbody>";
    std::size_t shown = 0;
    for (const auto& [name, part] : in_.partitions) {
      if (shown++ == kPartitionsShown) break;
      const bool empty = part.last < part.first;
      out_ += "<tr>" + cell(escape_html(name.source)) + number_cell(std::to_string(name.partition.value())) +
              number_cell(empty ? "–" : grouped(part.first.value())) + number_cell(empty ? "–" : grouped(part.last.value())) +
              number_cell(grouped(part.amounts.events)) + number_cell(grouped(part.amounts.bytes)) +
              number_cell("<code>" + hex16(part.fingerprint) + "</code>") + "</tr>";
    }
    out_ += "</tbody></table>";
    if (in_.partitions.size() > kPartitionsShown) {
      out_ += "<p class=\"soft\">and " + std::to_string(in_.partitions.size() - kPartitionsShown) + " more partitions" +
              (bill_.provisional ? "" : " in certificates/" + day_ + ".json") + "</p>";
    }
    out_ += "</section>\n";
  }

  void foot() {
    out_ += "<footer>A day is closed when every partition has passed midnight, and never changes after that. ";
    out_ += bill_.provisional ? ""
                              : "Check this bill against the log: <code>headpond bill verify --day " + day_ +
                                    "</code>, with <code>--deep</code> against each row.";
    out_ += "</footer>\n";
  }

  const ReportInputs& in_;
  const Bill& bill_;
  const std::string day_;
  std::string out_;
};

}  // namespace

std::string to_html(const ReportInputs& inputs) {
  return Page(inputs).render();
}

}  // namespace headpond::billing
