// Headpond's facts at a version, beside the Delta checkpoint of that version: what a fold of the log up to there knows, so that nobody
// needs the entries before. Format: docs/formats/bronze.md, "Checkpoint". Values and reads; threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "bronze/facts.h"
#include "delta/log.h"

namespace headpond::bronze {

struct LogCheckpoint {
  base::Version version{-1};
  base::Micros committed_at;
  std::int64_t files = 0, rows = 0;  // live at that version
  TableClock clock;
  delta::Protocol protocol;
  delta::Metadata metadata;
};

std::string log_checkpoint_path(base::Version version);  // relative to the table
std::string to_json(const LogCheckpoint& checkpoint);
// Errors: kCorrupt; kInvalid: a newer format, with the version to install.
base::Result<LogCheckpoint> parse_log_checkpoint(std::string_view text, std::string_view name);

// Errors: kNotFound: there is none of this version; kRetry; as parse.
base::Result<LogCheckpoint> read_log_checkpoint(const delta::Table& table, base::Version version);
// Versions that have one, rising. One LIST.
base::Result<std::vector<base::Version>> log_checkpoints(const delta::Table& table);
// The newest one that is not beyond `limit`, by `_last_checkpoint` or else by their names. None: there is none.
base::Result<std::optional<LogCheckpoint>> newest_log_checkpoint(const delta::Table& table, std::optional<base::Version> limit);
// Where a reader of versions up to `after` goes on when the entry `missing` was deleted: the oldest one beyond `after` behind which the log
// is whole. None: older entries than `missing` are there, so it was not cleaned but lost.
base::Result<std::optional<LogCheckpoint>> behind_cleaned_log(const delta::Table& table, base::Version missing, base::Version after);

// Whether a new one is worth its while: `commits` and `log_bytes` since the last one, which has `checkpoint_bytes` (0: there is none).
bool checkpoint_due(std::int64_t commits, std::int64_t log_bytes, std::int64_t checkpoint_bytes);

}  // namespace headpond::bronze
