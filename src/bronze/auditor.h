// The audit at work: one pass over ledger, checkpoints and log. Private to bronze. Threads: one at a time.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bronze/audit.h"
#include "bronze/audit_rows.h"
#include "bronze/ledger.h"
#include "bronze/log_checkpoint.h"
#include "bronze/tail.h"
#include "delta/log.h"

namespace headpond::bronze {

std::string at_version(base::Version version);  // "version 17"

// Follows the chain like a Tail does, but goes on behind what it finds.
class Auditor {
 public:
  Auditor(env::ObjectStore& store, const std::string& root, const RowReader& rows, const Expect& expect)
      : store_(store), table_(store, root), rows_(rows), expect_(expect) {
    report_.deep = static_cast<bool>(rows);
  }
  base::Result<AuditReport> run();

 private:
  struct Partition {
    base::Offset position{-1};
    std::optional<std::int64_t> quarter;
  };

  void found(const std::string& what, const std::string& where) { report_.findings.push_back({what, where}); }
  base::Result<void> check_version(base::Version version);
  // Announces the entries of these versions, then, for the rows, the files they name.
  void look_ahead(const std::vector<base::Version>& versions);
  // What the ledger says of versions whose entries are gone, and what the checkpoint it leads to says of their files.
  base::Result<void> read_ledger(const std::set<base::Version>& in_log);
  void check_block(const LedgerBlock& block);
  void check_peaks(const LedgerBlock& last);
  base::Result<void> check_old_files(const std::set<base::Version>& in_log);
  base::Result<std::vector<delta::AddFile>> old_files(const std::set<base::Version>& in_log);
  void check_old_file(const delta::AddFile& add, std::vector<DataFile>& whole);
  base::Result<void> check_old_rows(const std::vector<DataFile>& whole, bool complete);
  base::Result<void> find_checkpoints();
  bool was_removed(base::Version checkpoint) const;
  std::unexpected<base::Error> cleaned_meanwhile() const;
  base::Result<void> check_checkpoint(base::Version version);
  void check_protocol_of(base::Version version, const delta::Commit& commit);
  void check_ranges(base::Version version, const WriterBatch& batch);
  void check_range(base::Version version, const WriterBatch& batch, const Range& range);
  void check_clocks(base::Version version, const CommitFacts& facts);
  void check_txns(base::Version version, const delta::Commit& commit, const CommitFacts& facts);
  std::vector<DataFile> check_files(base::Version version, const delta::Commit& commit, const CommitFacts& facts);
  base::Result<bool> check_object(base::Version version, const DataFile& file);
  base::Result<void> check_rows(base::Version version, const CommitFacts& facts, const std::vector<DataFile>& whole,
                                const std::map<base::SourcePartition, base::Micros>& clocks_before);
  void check_fold(base::Version version, const CommitFacts& facts, std::size_t findings_before);

  env::ObjectStore& store_;
  delta::Table table_;
  const RowReader& rows_;
  const Expect& expect_;
  AuditReport report_;
  std::string table_name_;
  std::map<base::SourcePartition, Partition> partitions_;
  std::map<base::SourcePartition, base::Micros> clocks_;
  RowTraces traces_;
  // Holds what this list of checks does not name one by one; given up at the first finding that breaks the chain.
  std::optional<TableClock> fold_ = TableClock();
  std::map<base::Version, LogCheckpoint> checkpoints_;
  std::int64_t file_rows_ = 0;  // of the files so far, by their statistics
  // Of the ledger:
  base::Version ledger_to_{-1};
  std::vector<LedgerRange> ledger_ranges_;
  std::map<std::int64_t, std::int64_t> quarter_rows_, quarter_peaks_;
};

}  // namespace headpond::bronze
