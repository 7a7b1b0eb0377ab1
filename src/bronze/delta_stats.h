// What an `add` of the log says about the values of its file, from the footer of that file: Delta's per-file statistics. Pure.
// Source of the format: the Delta transaction log protocol, "Per-file Statistics". Private to bronze.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bronze/parquet_format.h"

namespace headpond::bronze {

// JSON text: numRecords, nullCount of every column, minValues and maxValues of every column that is not binary and has a value. Text longer
// than 32 characters is cut, the greatest upwards. Without bounds: doubles with a NaN or an infinity, text that is not UTF-8,
// declared times outside the years 1 to 9999.
std::string delta_stats(std::int64_t rows, const std::vector<ParquetField>& fields, const std::vector<ParquetRowGroup>& row_groups);

}  // namespace headpond::bronze
