#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <map>

#include "serve/documents.h"

namespace headpond::serve {
namespace {

using Families = std::map<std::string, prometheus::MetricFamily>;

using Labels = base::MetricFamily::Labels;

prometheus::ClientMetric labelled(const Labels& labels, const Labels& more = {}) {
  prometheus::ClientMetric metric;
  for (const auto* each : {&labels, &more})
    for (const auto& [name, value] : *each) metric.label.push_back({name, value});
  return metric;
}

prometheus::ClientMetric::Histogram histogram_of(const base::Histogram& from) {
  prometheus::ClientMetric::Histogram to;
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i < from.counts().size(); ++i) {
    cumulative += static_cast<std::uint64_t>(from.counts()[i]);
    const auto bound = i < from.bounds().size() ? from.bounds()[i] : std::numeric_limits<double>::infinity();
    to.bucket.push_back({.cumulative_count = cumulative, .upper_bound = bound});
  }
  to.sample_count = static_cast<std::uint64_t>(from.count());
  to.sample_sum = from.sum();
  return to;
}

// `labels` stand before the family's own.
void add_family(Families& families, const Labels& labels, const base::MetricFamily& from) {
  using Kind = base::MetricFamily::Kind;
  auto& family = families[from.name];
  family.name = from.name;
  family.help = from.help;
  family.type = from.kind == Kind::kCounter ? prometheus::MetricType::Counter
                : from.kind == Kind::kGauge ? prometheus::MetricType::Gauge
                                            : prometheus::MetricType::Histogram;
  for (const auto& sample : from.samples) {
    auto metric = labelled(labels, sample.labels);
    (from.kind == Kind::kCounter ? metric.counter.value : metric.gauge.value) = sample.value;
    family.metric.push_back(std::move(metric));
  }
  for (const auto& [own, histogram] : from.histograms) {
    auto metric = labelled(labels, own);
    metric.histogram = histogram_of(histogram);
    family.metric.push_back(std::move(metric));
  }
}

// A status's figure under Prometheus' conventions: units in full, times in seconds.
std::pair<std::string, double> in_base_units(std::string name, double value) {
  const auto replace_end = [&](std::string_view end, std::string_view by) {
    const bool fits = name.ends_with(end);
    if (fits) name.replace(name.size() - end.size(), end.size(), by);
    return fits;
  };
  if (replace_end("_per_s", "_per_second")) return {name, value};
  if (replace_end("_ms", "_seconds")) return {name, value / 1000};
  replace_end("_s", "_seconds");
  return {name, value};
}

}  // namespace

std::string metrics_text(const std::vector<Standing>& all, const std::string& only, const std::vector<base::MetricFamily>& process) {
  Families families;
  for (const auto& family : process) add_family(families, {}, family);
  for (const auto& standing : all) {
    const auto& status = standing.status;
    if (!only.empty() && status.branch != only && status.kind != only) continue;
    const Labels labels = {{"branch", status.branch}, {"kind", status.kind}};
    const auto add = [&](const std::string& name, const char* help, double value) {
      add_family(families, labels, {.name = "headpond_" + name, .help = help, .samples = {{{}, value}}});
    };
    add("up", "1: it runs; 0: it has failed, stopped, backs off or was not heard of for 30 s.",
        standing.verdict == "running" || standing.verdict == "late" || standing.verdict == "starting");
    add("bronze_version", "Version of bronze it has consumed (ingest: written).", static_cast<double>(status.version.value()));
    add("durable_bronze_version", "Version of bronze of its last durable checkpoint.", static_cast<double>(status.durable_version.value()));
    add("versions_behind", "Versions of bronze it has not consumed.", static_cast<double>(standing.behind));
    add("promise_seconds", "Freshness promised to its consumers; 0: none.", status.promise_s);
    if (standing.freshness_s) add("freshness_seconds", "Age of its newest complete result.", *standing.freshness_s);
    for (const auto& [name, value] : status.figures)
      if (std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) || c == '_'; })) {
        const auto [unit_name, unit_value] = in_base_units(name, value);
        add(unit_name, "As in its status (docs/formats/cursor.md).", unit_value);
      }
    for (const auto& family : status.metrics) add_family(families, labels, family);
  }
  std::vector<prometheus::MetricFamily> list;
  for (auto& [name, family] : families)
    if (!family.metric.empty()) list.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(list);
}

}  // namespace headpond::serve
