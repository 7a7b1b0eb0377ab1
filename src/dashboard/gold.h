// One dashboard's gold table: where the last batch left off, what files it has, and the one commit a batch is. Format:
// docs/formats/gold.md.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "dashboard/rollup.h"
#include "delta/log.h"
#include "env/clock.h"
#include "env/object_store.h"
#include "sql/engine.h"

namespace headpond::dashboard {

inline constexpr int kGoldFormat = 1;

std::string positions_json(const base::PositionVector& positions);
// Errors: kCorrupt.
base::Result<base::PositionVector> parse_positions(std::string_view json);

// The newest batch of the table; of an empty one, batch 0 with nothing consumed.
struct LastBatch {
  std::int64_t batch_id = 0;
  base::PositionVector positions;
  base::Version bronze_version{-1};  // a hint for Tail
};

enum class CommitOutcome {
  kCommitted,
  kOvertaken,  // another engine has committed a batch since the last refresh(): nothing of ours is in the table
};

class Gold {
 public:
  // Opens the table, creating it, and adds columns a new rollup needs. Borrows all.
  // Errors: kInvalid: not a gold table, of a newer format, or a rollup whose declaration changed under its name. kRetry.
  static base::Result<Gold> open(env::ObjectStore& store, const std::string& root, const std::string& name, const Rollups& rollups,
                                 env::Clock& clock, env::Random& random, sql::Engine& sql);

  // Reads what others have committed. After it, last() is the table's last batch.
  base::Result<void> refresh();
  const LastBatch& last() const { return last_; }
  const std::string& id() const { return snapshot_.metadata.id; }
  base::Version version() const { return snapshot_.version; }

  // What the sql::Engine reads the live files of `kind` as; with `touches`, only those whose [first, last] minute it accepts (files that do
  // not say are in).
  std::vector<std::string> files(std::string_view kind,
                                 const std::function<bool(base::Micros first, base::Micros last)>& touches = {}) const;

  // A local Parquet file becomes a file of `kind` that the next commit() may add. `first`, `last`: its span of minutes, if it has one.
  base::Result<delta::AddFile> upload(const std::string& local_file, std::string_view kind, std::int64_t batch_id, std::int64_t rows,
                                      std::optional<base::Micros> first, std::optional<base::Micros> last);

  // Publishes a batch if last() still is the table's last one. `txn_id` is unique and tells a lost reply from a lost race.
  // Errors: kRetry, kUnknown: nothing is known to be published; refresh() tells.
  base::Result<CommitOutcome> commit(std::vector<delta::AddFile> adds, std::int64_t batch_id, const std::string& txn_id);

 private:
  Gold(env::ObjectStore& store, std::string root, env::Clock& clock, env::Random& random, sql::Engine& sql);
  base::Result<void> create(const std::string& name, const Rollups& rollups);
  base::Result<void> adopt(const Rollups& rollups);
  base::Result<void> read_last();
  base::Result<bool> is_ours(base::Version version, const std::string& txn_id) const;
  std::string uuid();

  env::ObjectStore* store_;
  delta::Table table_;
  env::Clock* clock_;
  env::Random* random_;
  sql::Engine* sql_;
  delta::Snapshot snapshot_;
  LastBatch last_;
};

}  // namespace headpond::dashboard
