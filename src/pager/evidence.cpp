#include "pager/evidence.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/time.h"
#include "bronze/view.h"
#include "env/scan_path.h"
#include "rules/fold.h"

namespace headpond::pager {
namespace {

constexpr std::size_t kFilesMax = 4096;      // remembered
constexpr std::size_t kSampleFilesMax = 64;  // read for samples, newest first
constexpr std::size_t kSamplesMax = 3;
// Under full load a file has half a million rows: files are read a few at a time, no more than these rows for one page.
constexpr std::int64_t kRowsPerQuery = 200'000, kRowsPerPage = 2'000'000;
constexpr std::int64_t kRowsPerVersion = 8'000'000;  // of all pages; the others go without rows
constexpr std::size_t kSampleTextMax = 1024;         // bytes of one cell

// For a POSIX shell, inside double quotes.
std::string shell_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\' || c == '$' || c == '`') out += '\\';
    out += c;
  }
  return out + "\"";
}

nlohmann::ordered_json cell(const sql::Value& value, const std::string& type) {
  if (value.is_null()) return nullptr;
  if (type.starts_with("TIMESTAMP")) return sql::to_display(value, type);
  if (const auto* i = std::get_if<std::int64_t>(&value.v)) return *i;
  if (const auto* d = std::get_if<double>(&value.v)) return *d;
  if (const auto* b = std::get_if<bool>(&value.v)) return *b;
  return value.as_text().substr(0, kSampleTextMax);
}

}  // namespace

Evidence::Evidence(const env::ObjectStore& store, std::string table_root, base::Duration reach)
    : store_(store), table_root_(std::move(table_root)), reach_(reach) {}

void Evidence::add(const bronze::Step& step) {
  rows_left_ = kRowsPerVersion;
  for (const auto& file : step.files) {
    newest_ = std::max(newest_, file.ts_max);
    files_.push_back({step.version, file.ts_min, file.ts_max, file.path, file.rows});
  }
  while (!files_.empty() && (files_.size() > kFilesMax || files_.front().ts_max < newest_ - reach_)) files_.pop_front();
}

void Evidence::fill(rules::Transition& transition, const rules::FoldGroup& fold, const rules::Rule& rule, sql::Engine& sql,
                    const std::vector<delta::Field>& schema, bool samples) {
  // Of absence the last rows before the silence are what is worth seeing.
  const base::Micros first = transition.boundary - rule.window * (rule.has_absent ? 2 : 1) - fold.interval;
  transition.window = rule.window;
  const base::Micros last = rule.has_absent ? transition.boundary - rule.window + fold.interval : transition.boundary;
  std::vector<Source> sources;
  for (auto it = files_.rbegin(); it != files_.rend(); ++it) {
    if (it->ts_max < first || it->ts_min >= transition.boundary) continue;
    transition.evidence_first = it->version;
    if (transition.evidence_last.value() < 0) transition.evidence_last = it->version;
    if (it->ts_min >= last) continue;
    if (sources.size() < kSampleFilesMax)
      sources.push_back({env::scan_path(store_, table_root_.empty() ? it->path : table_root_ + "/" + it->path), it->rows});
  }
  const std::string where = rules::rows_condition(fold, rule, transition.id.key, first, transition.boundary);
  transition.sql = "headpond sql " + shell_quoted("SELECT * FROM bronze WHERE " + where + " ORDER BY ts DESC LIMIT 100");
  if (samples) transition.samples = read_samples(where, sources, sql, schema);
}

std::vector<std::string> Evidence::read_samples(const std::string& where, const std::vector<Source>& newest_first, sql::Engine& sql,
                                                const std::vector<delta::Field>& schema) {
  std::vector<std::string> samples;
  std::int64_t read = 0;
  for (std::size_t i = 0; i < newest_first.size() && samples.size() < kSamplesMax && read < kRowsPerPage && rows_left_ > 0;) {
    std::vector<std::string> paths;
    for (std::int64_t rows = 0; i < newest_first.size() && rows < kRowsPerQuery; ++i) {
      paths.push_back(newest_first[i].path);
      rows += newest_first[i].rows;
      read += newest_first[i].rows;
      rows_left_ -= newest_first[i].rows;
    }
    const auto result = sql.query("SELECT * FROM " + bronze::scan_expression(paths, schema) + " WHERE " + where +
                                  " ORDER BY ts DESC, kafka_partition, kafka_offset LIMIT " + std::to_string(kSamplesMax - samples.size()));
    if (!result) return samples;
    for (const auto& row : result->rows) {
      nlohmann::ordered_json sample = nlohmann::ordered_json::object();
      for (std::size_t c = 0; c < row.size(); ++c)
        if (!row[c].is_null() && result->names[c] != "ingest_date") sample[result->names[c]] = cell(row[c], result->types[c]);
      samples.push_back(sample.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    }
  }
  return samples;
}

}  // namespace headpond::pager
