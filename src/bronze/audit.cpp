#include "bronze/audit.h"

#include <algorithm>
#include <set>

#include "base/time.h"
#include "bronze/auditor.h"
#include "bronze/table_rules.h"

namespace headpond::bronze {
namespace {

constexpr int kAttemptsMax = 3;
constexpr std::size_t kVersionsAhead = 32;
constexpr std::int64_t kBytesAhead = 64ll << 20;

}  // namespace

std::string at_version(base::Version version) {
  return "version " + std::to_string(version.value());
}

base::Result<AuditReport> Auditor::run() {
  TRY(const auto objects, store_.list(table_.path("_delta_log/")));
  std::set<base::Version> versions;
  for (const auto& object : objects)
    if (const auto version = delta::log_version(object.path)) versions.insert(*version);
  if (versions.empty()) return base::fail(base::ErrorKind::kNotFound, "no bronze table at " + place_of(table_) + "; nothing to audit");
  TRY_VOID(find_checkpoints());
  TRY_VOID(read_ledger(versions));
  auto next = ledger_to_.next();
  std::vector<base::Version> left(versions.lower_bound(next), versions.end());
  for (std::size_t i = 0; i < left.size(); ++i) {
    const auto version = left[i];
    if (i % kVersionsAhead == 0) look_ahead({left.begin() + i, left.begin() + std::min(i + kVersionsAhead, left.size())});
    if (version > next) {
      found("missing version", next.next() == version
                                   ? at_version(next)
                                   : "versions " + std::to_string(next.value()) + "-" + std::to_string(version.value() - 1));
      fold_.reset();
    }
    TRY_VOID(check_version(version));
    TRY_VOID(check_checkpoint(version));
    next = version.next();
  }
  report_.version = *versions.rbegin();
  return std::move(report_);
}

void Auditor::look_ahead(const std::vector<base::Version>& versions) {
  if (!expect_) return;
  std::vector<std::string> paths;
  for (const auto version : versions) paths.push_back(table_.path(delta::log_path(version)));
  expect_(paths);
  if (!rows_) return;
  std::int64_t bytes = 0;
  for (const auto version : versions) {
    const auto commit = table_.read(version);
    if (!commit) continue;  // check_version() says what is wrong with it
    for (const auto& add : commit->adds) {
      if (add.size < 0 || add.size > kBytesAhead - bytes) continue;
      bytes += add.size;
      paths.push_back(table_.path(add.path));
    }
  }
  expect_(paths);
}

std::unexpected<base::Error> Auditor::cleaned_meanwhile() const {
  return base::fail(base::ErrorKind::kRetry, "the log of " + place_of(table_) + " was cleaned while it was audited; audit it again");
}

base::Result<void> Auditor::check_version(base::Version version) {
  const auto findings_before = report_.findings.size();
  const auto commit = table_.read(version);
  if (!commit) {
    if (commit.error().kind == base::ErrorKind::kNotFound)  // it was listed
      return cleaned_meanwhile();
    if (commit.error().kind != base::ErrorKind::kCorrupt) return std::unexpected(commit.error());
    found("damaged log entry", at_version(version) + ": " + commit.error().message);
    fold_.reset();
    return {};
  }
  check_protocol_of(version, *commit);
  if (commit->metadata) table_name_ = commit->metadata->name;
  if (commit->headpond.empty()) {
    found("foreign commit", at_version(version) + ": " + (commit->operation.empty() ? "an operation" : commit->operation) +
                                " by another program (no commitInfo.headpond)");
    fold_.reset();
    return {};
  }
  const auto facts = parse_facts(commit->headpond, table_.path(delta::log_path(version)));
  if (!facts) {
    if (facts.error().kind != base::ErrorKind::kCorrupt) return std::unexpected(facts.error());
    found("damaged log entry", at_version(version) + ": " + facts.error().message);
    fold_.reset();
    return {};
  }
  const auto clocks_before = clocks_;
  for (const auto& batch : facts->batches) check_ranges(version, batch);
  check_clocks(version, *facts);
  check_txns(version, *commit, *facts);
  const auto files = check_files(version, *commit, *facts);
  std::vector<DataFile> whole;
  for (const auto& file : files) {
    TRY(const bool there, check_object(version, file));
    if (there) whole.push_back(file);
  }
  if (rows_) TRY_VOID(check_rows(version, *facts, whole, clocks_before));
  check_fold(version, *facts, findings_before);
  return {};
}

void Auditor::check_protocol_of(base::Version version, const delta::Commit& commit) {
  if (version == base::Version(0) && (!commit.protocol || !commit.metadata))
    found("damaged log entry", "version 0: no protocol or no metaData");
  if (!commit.protocol) return;
  if (const auto ours = check_protocol(table_, *commit.protocol); !ours)
    found("foreign protocol", at_version(version) + ": " + ours.error().message);
}

void Auditor::check_ranges(base::Version version, const WriterBatch& batch) {
  for (const auto& range : batch.ranges) check_range(version, batch, range);
  std::int64_t rows = 0, by_second = 0;
  for (const auto& range : batch.ranges) rows += range.rows;
  for (const auto& second : batch.seconds) by_second += second.rows;
  if (rows != by_second)
    found("seconds differ", at_version(version) + ", batch " + batch.txn_id + ": " + std::to_string(by_second) + " rows by second, " +
                                std::to_string(rows) + " by range");
}

void Auditor::check_range(base::Version version, const WriterBatch& batch, const Range& range) {
  const base::SourcePartition id{batch.source, range.partition};
  auto& partition = partitions_[id];
  const auto where = place_text(version, id, range.first, range.last);
  if (range.last < range.first) return found("damaged range", where);
  const auto expected = partition.position.next();
  if (range.first > expected) found("lost range", place_text(version, id, expected, range.first.prev()) + ": no version covers them");
  if (range.first < expected)
    found("doubled range",
          place_text(version, id, range.first, std::min(range.last, partition.position)) + ": an earlier version covers them");
  const auto covered = range.last.value() - range.first.value() + 1;
  if (range.gaps < 0 || range.gaps > covered || range.rows < covered - range.gaps)
    found("illegal gap", where + ": " + std::to_string(covered) + " offsets, " + std::to_string(range.rows) + " rows and " +
                             std::to_string(range.gaps) + " declared gaps");
  if (range.gaps > 0 && batch.gap_kinds.empty()) found("illegal gap", where + ": " + std::to_string(range.gaps) + " gaps without a kind");
  if (partition.quarter && range.quarter < *partition.quarter)
    found("arrival falls", where + ": its quarter hour is before that of the range before");
  if (range.gaps > 0 && std::ranges::find(batch.gap_kinds, kAcceptedLoss) != batch.gap_kinds.end())
    report_.accepted.push_back(
        {"accepted loss", where + ": up to " + std::to_string(range.gaps) + " records, " + std::string(kAcceptedLoss)});
  partition.position = std::max(partition.position, range.last);
  partition.quarter = std::max(partition.quarter.value_or(range.quarter), range.quarter);

  const auto [it, fresh] = report_.partitions.try_emplace(id);
  auto& totals = it->second;
  if (fresh) totals.first = range.first;
  totals.last = std::max(totals.last, range.last);
  totals.rows += range.rows;
  totals.bytes += range.bytes;
  totals.errors += range.errors;
  totals.gaps += range.gaps;
  totals.fingerprint += range.fingerprint;
  totals.payload_fingerprint += range.payload_fingerprint;
  report_.rows += range.rows;
  report_.bytes += range.bytes;
}

void Auditor::check_clocks(base::Version version, const CommitFacts& facts) {
  for (const auto& c : facts.clocks) {
    const auto position = partitions_[c.partition].position;
    const auto where = place_text(version, c.partition, c.position, c.position);
    if (c.position != position) found("clock proven elsewhere", where + ": the table is at offset " + std::to_string(position.value()));
    const auto [it, fresh] = clocks_.emplace(c.partition, c.clock);
    if (!fresh && c.clock < it->second)
      found("clock goes back", where + ": from " + base::format_rfc3339(it->second) + " to " + base::format_rfc3339(c.clock));
    it->second = std::max(it->second, c.clock);
  }
}

void Auditor::check_txns(base::Version version, const delta::Commit& commit, const CommitFacts& facts) {
  std::map<std::string, std::int64_t> expected;
  for (const auto& batch : facts.batches)
    for (const auto& range : batch.ranges) {
      const auto [it, fresh] = expected.emplace(txn_app_id(table_name_, {batch.source, range.partition}), range.last.value());
      it->second = std::max(it->second, range.last.value());
    }
  for (const auto& txn : commit.txns) {
    const auto it = expected.find(txn.app_id);
    if (it == expected.end()) {
      found("txn without a range", at_version(version) + ": " + txn.app_id);
      continue;
    }
    if (it->second != txn.version)
      found("txn position differs", at_version(version) + ": " + txn.app_id + " says " + std::to_string(txn.version) +
                                        ", its ranges end at " + std::to_string(it->second));
    expected.erase(it);
  }
  for (const auto& [app_id, last] : expected) found("txn missing", at_version(version) + ": " + app_id + " at " + std::to_string(last));
}

std::vector<DataFile> Auditor::check_files(base::Version version, const delta::Commit& commit, const CommitFacts& facts) {
  std::set<std::string> promised;
  for (const auto& batch : facts.batches) promised.insert(batch.files.begin(), batch.files.end());
  for (const auto& remove : commit.removes) found("removed file", at_version(version) + ": " + remove.path);
  std::vector<DataFile> files;
  std::int64_t in_files = 0, in_ranges = 0;
  for (const auto& add : commit.adds) {
    if (promised.erase(add.path) == 0) found("undeclared file", at_version(version) + ": " + add.path + " is in no batch");
    auto file = data_file(add);
    if (!file) {
      found("damaged log entry", at_version(version) + ": " + file.error().message);
      continue;
    }
    const auto tag = std::to_string(version.value()) + "-" + std::to_string(version.value());
    if (const auto it = add.tags.find("headpond.versions"); it == add.tags.end() || it->second != tag)
      found("versions tag differs", at_version(version) + ": " + add.path);
    if (base::format_day(file->arrival_min) != file->ingest_date || base::format_day(file->arrival_max) != file->ingest_date)
      found("file in the wrong day", at_version(version) + ": " + add.path);
    if (!files.empty() && file->ingest_date < files.back().ingest_date)
      found("files out of order", at_version(version) + ": " + add.path + " is of an earlier day than the file before it");
    in_files += file->rows;
    file_rows_ += file->rows;
    files.push_back(std::move(*file));
  }
  for (const auto& path : promised) found("dropped add", at_version(version) + ": " + path + " was committed, but no add names it");
  for (const auto& batch : facts.batches)
    for (const auto& range : batch.ranges) in_ranges += range.rows;
  if (promised.empty() && in_files != in_ranges)
    found("row counts differ",
          at_version(version) + ": " + std::to_string(in_files) + " in its files, " + std::to_string(in_ranges) + " in its ranges");
  report_.files += static_cast<std::int64_t>(files.size());
  return files;
}

base::Result<bool> Auditor::check_object(base::Version version, const DataFile& file) {
  const auto there = store_.head(table_.path(file.path));
  if (!there) {
    if (there.error().kind != base::ErrorKind::kNotFound) return std::unexpected(there.error());
    found("missing object", at_version(version) + ": " + file.path);
    return false;
  }
  if (there->size == file.size) return true;
  found("file size differs", at_version(version) + ": " + file.path + " has " + std::to_string(there->size) + " bytes, the log says " +
                                 std::to_string(file.size));
  return false;
}

// `whole`: the files that are there in their size; of the others, nothing more is to be learnt.
base::Result<void> Auditor::check_rows(base::Version version, const CommitFacts& facts, const std::vector<DataFile>& whole,
                                       const std::map<base::SourcePartition, base::Micros>& clocks_before) {
  VersionRows rows(version, facts, clocks_before, traces_, report_.findings);
  std::set<std::string> promised;
  for (const auto& batch : facts.batches) promised.insert(batch.files.begin(), batch.files.end());
  bool complete = promised.size() == whole.size();
  for (const auto& file : whole) {
    const auto read = rows_(file.path, [&](const RowFact& row) { rows.add(file, row); });
    if (read) continue;
    if (read.error().kind == base::ErrorKind::kRetry) return read;
    found("unreadable file", at_version(version) + ": " + file.path + ": " + read.error().message);
    complete = false;
  }
  rows.finish(complete);
  return {};
}

void Auditor::check_fold(base::Version version, const CommitFacts& facts, std::size_t findings_before) {
  if (!fold_) return;
  if (const auto applied = fold_->apply(facts); !applied) {
    if (report_.findings.size() == findings_before) found("inconsistent facts", at_version(version) + ": " + applied.error().message);
    fold_.reset();
    return;
  }
  for (const auto& [partition, state] : fold_->partitions())
    if (state.clock) clocks_[partition] = *state.clock;  // also what later partitions start with
}

base::Result<AuditReport> audit(env::ObjectStore& store, const std::string& table_root, const RowReader& rows, const Expect& expect) {
  const delta::Table table(store, table_root);
  base::Result<AuditReport> report;
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    TRY(const auto before, table.oldest());
    report = Auditor(store, table_root, rows, expect).run();
    TRY(const auto after, table.oldest());
    // Where it was cleaned meanwhile, what was found may be that.
    const bool stands = report ? report->clean() || before == after : report.error().kind != base::ErrorKind::kRetry;
    if (stands) return report;
  }
  return report;
}

}  // namespace headpond::bronze
