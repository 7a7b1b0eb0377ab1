// Files of a Delta table on their way into its store.
#pragma once

#include <cstdint>
#include <string>

#include "delta/log.h"

namespace headpond::delta {

// Streams the local Parquet file `local_path` into `table` as `relative_path` and returns the action that adds it, with numRecords in its
// stats. The file is not part of the table until a commit holds that action.
// Errors: kInvalid: the local file cannot be read. kRetry, kUnknown: the store; upload again under the same or another name.
base::Result<AddFile> upload_file(Table& table, const std::string& local_path, const std::string& relative_path,
                                  PartitionValues partition_values, std::int64_t rows, std::int64_t now_ms);

}  // namespace headpond::delta
