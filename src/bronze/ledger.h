// The ledger: what deleted entries of the log had said about offsets, folded into blocks that chain from version 0 on. It outlives the log.
// Format: docs/formats/bronze.md, "Ledger". Values, reads, and one conditional write; threads: any.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "bronze/facts.h"
#include "bronze/tail.h"
#include "delta/log.h"

namespace headpond::bronze {

struct LedgerRange {
  std::string source;
  Range range;
  std::vector<std::string> gap_kinds;  // of the batches its gaps came with
};

// Of a quarter hour the second and the minute with the most rows, the first of several; all since the epoch.
struct Peak {
  std::int64_t quarter = 0;
  std::int64_t second = 0, rows = 0;
  std::int64_t minute = 0, minute_rows = 0;
};

struct LedgerBlock {
  base::Version first{0}, last{-1};
  base::Micros begun_at;  // when `first` was committed
  std::int64_t files = 0;
  std::vector<LedgerRange> ranges;               // by source, partition, offset
  std::vector<Peak> peaks;                       // of quarter hours that every clock in force has passed since the block before
  std::map<std::int64_t, std::int64_t> seconds;  // second → rows, of the quarter hours without a peak yet, over all blocks so far
  TableClock clock;                              // after `last`
};

// Folds versions one after the other into a block.
class LedgerFold {
 public:
  // Behind the block `before`; null: from version 0 on.
  explicit LedgerFold(const LedgerBlock* before);
  // Errors: kCorrupt: facts that contradict the fold.
  base::Result<void> add(base::Version version, base::Micros committed_at, const CommitFacts& facts, std::int64_t files);
  bool empty() const { return block_.last < block_.first; }
  base::Version next() const { return block_.last.next(); }
  LedgerBlock finish() &&;

 private:
  struct Key {
    std::string source;
    base::PartitionId partition;
    std::int64_t quarter;
    auto operator<=>(const Key&) const = default;
  };
  void close_quarters();

  LedgerBlock block_;
  std::map<Key, LedgerRange> ranges_;
};

std::string ledger_path(const LedgerBlock& block);  // relative to the table
std::string to_json(const LedgerBlock& block);
// Errors: kCorrupt; kInvalid: a newer format, with the version to install.
base::Result<LedgerBlock> parse_ledger_block(std::string_view text, std::string_view name);

struct LedgerEntry {
  base::Version first;
  std::string path;  // in the store
};
// All blocks, by first version. One LIST.
base::Result<std::vector<LedgerEntry>> list_ledger(const delta::Table& table);
// Errors: kNotFound, kRetry; as parse.
base::Result<LedgerBlock> read_ledger_block(const delta::Table& table, const LedgerEntry& entry);
// The last block, or none. Errors: as above.
base::Result<std::optional<LedgerBlock>> last_ledger_block(const delta::Table& table);
// Calls `visit` for each block, from version 0 on, and returns the last version they stand for (-1: there is no ledger). The log is whole
// behind it. Errors: kCorrupt: a block is missing or damaged; of `visit`; as above.
base::Result<base::Version> read_ledger(const delta::Table& table, const std::function<base::Result<void>(const LedgerBlock&)>& visit);
// Creates it; when another has created one that begins at the same version, that one is returned instead.
base::Result<LedgerBlock> put_ledger_block(const delta::Table& table, const LedgerBlock& block);

}  // namespace headpond::bronze
