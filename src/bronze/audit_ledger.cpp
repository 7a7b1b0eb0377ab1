// The part of the audit for versions whose entries are gone: the ledger stands for their facts, a checkpoint for their files.
#include <algorithm>

#include "base/time.h"
#include "bronze/auditor.h"
#include "delta/checkpoint.h"

namespace headpond::bronze {
namespace {

std::string versions_text(base::Version first, base::Version last) {
  return first == last ? at_version(first) : "versions " + std::to_string(first.value()) + "-" + std::to_string(last.value());
}

// First and last version of its rows, as the tag says.
std::string tag_of(const delta::AddFile& add) {
  const auto it = add.tags.find("headpond.versions");
  return it == add.tags.end() ? "" : it->second;
}

bool is_damage(const base::Error& error) {
  return error.kind == base::ErrorKind::kCorrupt || error.kind == base::ErrorKind::kNotFound;
}

}  // namespace

base::Result<void> Auditor::find_checkpoints() {
  TRY(const auto versions, log_checkpoints(table_));
  for (const auto version : versions) {
    auto checkpoint = read_log_checkpoint(table_, version);
    if (checkpoint)
      checkpoints_.emplace(version, std::move(*checkpoint));
    else if (checkpoint.error().kind == base::ErrorKind::kNotFound)
      continue;  // it was listed: the clean-up has just removed it
    else if (is_damage(checkpoint.error()))
      found("damaged checkpoint", at_version(version) + ": " + checkpoint.error().message);
    else
      return std::unexpected(checkpoint.error());
  }
  return {};
}

// Its facts go first: where they are still there, its file has to be.
bool Auditor::was_removed(base::Version version) const {
  const auto facts = read_log_checkpoint(table_, version);
  return !facts && facts.error().kind == base::ErrorKind::kNotFound;
}

base::Result<void> Auditor::read_ledger(const std::set<base::Version>& in_log) {
  TRY(const auto entries, list_ledger(table_));
  if (entries.empty()) return {};
  std::optional<LedgerBlock> last;
  for (const auto& entry : entries) {
    auto block = read_ledger_block(table_, entry);
    if (!block) {
      if (!is_damage(block.error())) return std::unexpected(block.error());
      found("damaged ledger block", at_version(entry.first) + ": " + block.error().message);
      continue;
    }
    if (block->first != ledger_to_.next())
      found("missing ledger block", block->first > ledger_to_.next() ? versions_text(ledger_to_.next(), block->first.prev())
                                                                     : at_version(block->first) + " is in two blocks");
    check_block(*block);
    ledger_to_ = std::max(ledger_to_, block->last);
    last = std::move(*block);
  }
  if (!last) return {};
  check_peaks(*last);
  fold_ = last->clock;
  for (const auto& [partition, state] : last->clock.partitions())
    if (state.clock) clocks_[partition] = *state.clock;
  return check_old_files(in_log);
}

void Auditor::check_block(const LedgerBlock& block) {
  for (const auto& entry : block.ranges) {
    WriterBatch batch;
    batch.source = entry.source;
    batch.gap_kinds = entry.gap_kinds;
    check_range(block.last, batch, entry.range);
    quarter_rows_[entry.range.quarter] += entry.range.rows;
    if (rows_) ledger_ranges_.push_back(entry);
  }
  for (const auto& peak : block.peaks) {
    quarter_peaks_[peak.quarter] = std::max(quarter_peaks_[peak.quarter], peak.rows);
    if (peak.minute_rows < peak.rows || peak.minute_rows > 60 * peak.rows)
      found("peak differs", at_version(block.last) + " in the ledger: " + std::to_string(peak.rows) + " rows in one second, " +
                                std::to_string(peak.minute_rows) + " in one minute");
  }
  report_.files += block.files;
  for (const auto& [partition, state] : block.clock.partitions()) {
    const auto reached = partitions_[partition].position;
    if (reached != state.position)
      found("ledger differs", place_text(block.last, partition, state.position, state.position) +
                                  ": is where the ledger says the table was, its ranges end at " + std::to_string(reached.value()));
    if (const auto before = clocks_.find(partition); before != clocks_.end() && (!state.clock || *state.clock < before->second))
      found("clock goes back", place_text(block.last, partition, state.position, state.position) + ": in the ledger");
    if (state.clock) clocks_[partition] = *state.clock;
  }
}

// Seconds are kept one by one until every clock has passed their quarter hour; then there is its peak.
void Auditor::check_peaks(const LedgerBlock& last) {
  std::map<std::int64_t, std::int64_t> by_second;
  for (const auto& [second, rows] : last.seconds) by_second[second * base::kSecond.value() / base::kQuarterHour.value()] += rows;
  for (const auto& [quarter, rows] : quarter_rows_) {
    const auto where = "quarter hour " + base::format_rfc3339(base::Micros(quarter * base::kQuarterHour.value())) + " in the ledger: ";
    const auto peak = quarter_peaks_.find(quarter);
    const auto open = by_second.find(quarter);
    if (peak == quarter_peaks_.end() && rows != (open == by_second.end() ? 0 : open->second))
      found("seconds differ",
            where + std::to_string(open == by_second.end() ? 0 : open->second) + " rows by second, " + std::to_string(rows) + " by range");
    else if (peak != quarter_peaks_.end() && (peak->second > rows || peak->second < 1))
      found("peak differs", where + std::to_string(peak->second) + " rows in one second, " + std::to_string(rows) + " in all");
  }
}

// The files of the ledger's versions: those of the newest checkpoint among them, and what the entries behind it add.
base::Result<std::vector<delta::AddFile>> Auditor::old_files(const std::set<base::Version>& in_log) {
  std::vector<delta::AddFile> files;
  auto from = base::Version(0);
  if (auto at = checkpoints_.upper_bound(ledger_to_); at != checkpoints_.begin()) {
    from = (--at)->first.next();
    const auto read = delta::read_checkpoint(table_, at->first, [&](delta::AddFile add) -> base::Result<void> {
      files.push_back(std::move(add));
      return {};
    });
    if (!read && is_damage(read.error()) && was_removed(at->first)) return cleaned_meanwhile();
    if (!read) return std::unexpected(read.error());
    table_name_ = read->metadata.name;
  }
  for (auto v = from; v <= ledger_to_; v = v.next()) {
    if (!in_log.contains(v))
      return base::fail(base::ErrorKind::kNotFound, "no entry " + std::to_string(v.value()) + " and no checkpoint behind it");
    TRY(auto commit, table_.read(v));
    if (commit.metadata) table_name_ = commit.metadata->name;
    for (auto& add : commit.adds) files.push_back(std::move(add));
  }
  // By version, so that rows come in the order of their offsets.
  const auto first_of = [](const delta::AddFile& add) { return std::strtoll(tag_of(add).c_str(), nullptr, 10); };
  std::ranges::stable_sort(files, {}, [&](const auto& add) { return std::pair(first_of(add), add.path); });
  return files;
}

void Auditor::check_old_file(const delta::AddFile& add, std::vector<DataFile>& whole) {
  auto file = data_file(add);
  if (!file) return found("damaged checkpoint", file.error().message);
  file_rows_ += file->rows;
  if (tag_of(add).empty()) found("versions tag differs", add.path + " in a checkpoint");
  if (base::format_day(file->arrival_min) != file->ingest_date || base::format_day(file->arrival_max) != file->ingest_date)
    found("file in the wrong day", add.path + " in a checkpoint");
  whole.push_back(std::move(*file));
}

base::Result<void> Auditor::check_old_files(const std::set<base::Version>& in_log) {
  const auto adds = old_files(in_log);
  if (!adds) {
    if (!is_damage(adds.error())) return std::unexpected(adds.error());
    found("missing checkpoint", versions_text(base::Version(0), ledger_to_) + ": their files are not known: " + adds.error().message);
    return {};
  }
  std::vector<DataFile> files, whole;
  for (const auto& add : *adds) check_old_file(add, files);
  for (auto& file : files) {
    TRY(const bool there, check_object(ledger_to_, file));
    if (there) whole.push_back(std::move(file));
  }
  if (static_cast<std::int64_t>(adds->size()) != report_.files || file_rows_ != report_.rows)
    found("row counts differ", versions_text(base::Version(0), ledger_to_) + ": " + std::to_string(adds->size()) + " files with " +
                                   std::to_string(file_rows_) + " rows by the checkpoint, " + std::to_string(report_.files) +
                                   " files with " + std::to_string(report_.rows) + " rows by the ledger");
  if (const auto at = checkpoints_.find(ledger_to_); at != checkpoints_.end()) TRY_VOID(check_checkpoint(ledger_to_));
  return rows_ ? check_old_rows(whole, whole.size() == adds->size()) : base::Result<void>();
}

base::Result<void> Auditor::check_old_rows(const std::vector<DataFile>& whole, bool complete) {
  CommitFacts facts;
  std::map<std::string, WriterBatch> by_source;
  for (const auto& entry : ledger_ranges_) {
    auto& batch = by_source[entry.source];
    batch.source = entry.source;
    batch.ranges.push_back(entry.range);
  }
  for (auto& [source, batch] : by_source) facts.batches.push_back(std::move(batch));
  const std::map<base::SourcePartition, base::Micros> clocks;  // those of single versions are forgotten
  VersionRows rows(ledger_to_, facts, clocks, traces_, report_.findings);
  for (const auto& file : whole) {
    const auto read = rows_(file.path, [&](const RowFact& row) { rows.add(file, row); });
    if (read) continue;
    if (read.error().kind == base::ErrorKind::kRetry) return read;
    found("unreadable file", at_version(ledger_to_) + ": " + file.path + ": " + read.error().message);
    complete = false;
  }
  rows.finish(complete);
  return {};
}

// A checkpoint of a version that was just looked at must say what was found there.
base::Result<void> Auditor::check_checkpoint(base::Version version) {
  const auto at = checkpoints_.find(version);
  if (at == checkpoints_.end()) return {};
  const auto& facts = at->second;
  if (facts.version != version || (fold_ && facts.clock.partitions() != fold_->partitions()))
    found("checkpoint differs", at_version(version) + ": its positions and clocks are not those of the log");
  const auto measured = delta::measure_checkpoint(table_, version);
  if (!measured) {
    if (!is_damage(measured.error())) return std::unexpected(measured.error());
    if (was_removed(version)) return {};
    found("damaged checkpoint", at_version(version) + ": " + measured.error().message);
    return {};
  }
  if (measured->files != report_.files || measured->rows != file_rows_ || facts.files != report_.files || facts.rows != file_rows_)
    found("checkpoint differs", at_version(version) + ": " + std::to_string(measured->files) + " files with " +
                                    std::to_string(measured->rows) + " rows (its facts: " + std::to_string(facts.files) + " and " +
                                    std::to_string(facts.rows) + "), the log has " + std::to_string(report_.files) + " with " +
                                    std::to_string(file_rows_));
  return {};
}

}  // namespace headpond::bronze
