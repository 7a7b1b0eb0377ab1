// The last 24 hours of one gold table's partials in memory: loaded from its files, followed by its new versions, asked by minute.
// Definitions: docs/formats/gold.md.
//
// Threads: one at a time.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "delta/log.h"
#include "env/object_store.h"
#include "sql/engine.h"

namespace headpond::serve {

struct RollupShape {
  std::string name;
  std::vector<std::string> by, measures;
};

// Additive facts of a span of minutes.
struct Tally {
  std::int64_t n = 0, bytes = 0, errors = 0;
  std::map<int, std::int64_t> buckets;  // of one measure

  void add(const Tally& other);
  std::optional<double> percentile(int percent) const;  // none without values
};

struct Group {
  std::string name;
  std::vector<Tally> minutes;  // one a minute of the question
};

struct LastBatch {
  std::int64_t id = 0, rows = 0, late = 0, bronze_version = -1;
  base::Micros committed_at;
};

class Minutes {
 public:
  // Borrows `store` and `sql`. `prefix` keeps the names of its tables in `sql` apart from others'.
  Minutes(env::ObjectStore& store, std::string root, sql::Engine& sql, std::string prefix);

  // Loads what is new; true: something was. An absent table is nothing yet.
  // Errors: kRetry. kInvalid: a newer format or another table.
  base::Result<bool> refresh(base::Micros now);

  base::Version version() const { return snapshot_.version; }
  const std::vector<RollupShape>& rollups() const { return rollups_; }
  const std::vector<std::string>& dimensions() const { return dimensions_; }
  const std::optional<LastBatch>& last_batch() const { return last_batch_; }
  std::int64_t late_rows() const { return late_rows_; }  // of the batches of the last 24 hours

  // By value of `dimension`, largest first, `count` minutes from `first` on; buckets are of `measure` (empty: none).
  // Requires: a rollup of this table, and a dimension and measure of it.
  base::Result<std::vector<Group>> groups(const std::string& rollup, const std::string& dimension, const std::string& measure,
                                          base::Micros first, int count);
  // Sums over batches by minute and key, RFC 4180 with a header.
  base::Result<std::string> csv(const std::string& rollup, base::Micros first, base::Micros end);

 private:
  base::Result<void> describe();
  base::Result<void> create_tables();
  base::Result<void> load(const std::vector<const delta::AddFile*>& files, base::Micros from);
  base::Result<void> insert(const std::string& kind, const std::vector<std::string>& files, base::Micros from);
  base::Result<void> read_batches(base::Micros from);
  std::string table(const std::string& kind) const { return sql::quote_identifier(prefix_ + kind); }

  env::ObjectStore& store_;
  delta::Table gold_;
  sql::Engine& sql_;
  const std::string prefix_;
  delta::Snapshot snapshot_;
  std::string schema_;  // of the tables made, to notice a change
  std::set<std::string> loaded_;
  bool whole_ = false;  // the first load is done
  base::Micros pruned_at_;
  std::vector<RollupShape> rollups_;
  std::vector<std::string> dimensions_;
  std::optional<LastBatch> last_batch_;
  std::int64_t late_rows_ = 0;
};

}  // namespace headpond::serve
