// Checkpoints of a Delta log (V1, one part): what a table is at a version, as one Parquet file. DuckDB writes and reads it row by row, so
// nobody holds the list of files in memory.
//
//   TRY(auto writer, delta::CheckpointWriter::open(table, base_version, scratch));
//   for (…) TRY_VOID(writer->apply(commit));
//   TRY(const auto written, writer->write(version, oldest_remove_ms));
//   …whatever else readers need beside it…
//   TRY_VOID(delta::publish_checkpoint(table, written));
//
// Threads: one at a time per object.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "delta/log.h"

namespace headpond::delta {

struct Checkpoint {
  base::Version version{-1};
  std::int64_t actions = 0;
  std::int64_t bytes = 0;
  std::int64_t files = 0;
  std::int64_t rows = 0;  // Σ numRecords of its files; not in `_last_checkpoint`
};

std::string checkpoint_path(base::Version version);  // relative to the table: "_delta_log/00000000000000000007.checkpoint.parquet"

// What `_last_checkpoint` says. None: there is none, or it cannot be understood; it is a hint. Errors: kRetry.
base::Result<std::optional<Checkpoint>> last_checkpoint(const Table& table);

// The table at a checkpoint, without its files: `file` sees each of them, in no order.
// Errors: kNotFound: there is no such checkpoint. kInvalid: a protocol we must not read. kCorrupt: it cannot be understood. kRetry.
base::Result<Snapshot> read_checkpoint(const Table& table, base::Version version, const std::function<base::Result<void>(AddFile)>& file);

// What a checkpoint holds, counted from its file. Errors: as read_checkpoint.
base::Result<Checkpoint> measure_checkpoint(const Table& table, base::Version version);

class CheckpointWriter {
 public:
  // Goes on from the checkpoint `base`, without one from an empty log. `scratch` is a local directory for the file until it is whole.
  // Errors: as read_checkpoint.
  static base::Result<std::unique_ptr<CheckpointWriter>> open(const Table& table, std::optional<base::Version> base,
                                                              const std::string& scratch);
  virtual ~CheckpointWriter() = default;
  // The next version's actions.
  virtual base::Result<void> apply(const Commit& commit) = 0;
  // Puts the checkpoint of `version`, the one applied last, into the table; removes before `oldest_remove_ms` are left out. Once.
  virtual base::Result<Checkpoint> write(base::Version version, std::int64_t oldest_remove_ms) = 0;
  virtual const Protocol& protocol() const = 0;
  virtual const Metadata& metadata() const = 0;
};

// Names it in `_last_checkpoint`, unless a newer one stands there.
base::Result<void> publish_checkpoint(Table& table, const Checkpoint& checkpoint);

}  // namespace headpond::delta
