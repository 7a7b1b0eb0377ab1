#include <nlohmann/json.hpp>

#include "base/time.h"
#include "bronze/tail.h"
#include "delta/json.h"

namespace headpond::bronze {
namespace {

base::Micros time_of(const nlohmann::json& values, const char* column) {
  const auto& text = values.at(column).get_ref<const std::string&>();
  const auto time = base::parse_rfc3339(text);
  if (!time) throw nlohmann::json::other_error::create(501, "'" + text + "' is not a time", &values);
  return *time;
}

}  // namespace

base::Result<DataFile> data_file(const delta::AddFile& add) {
  const auto corrupt = [&](const std::string& why) {
    return base::fail(base::ErrorKind::kCorrupt, "file " + add.path + " in the log: " + why + "; restore the log entry from a copy");
  };
  DataFile file;
  file.path = add.path;
  file.size = add.size;
  const auto day = add.partition_values.find("ingest_date");
  if (day == add.partition_values.end() || !day->second || !base::parse_day(*day->second)) return corrupt("no ingest_date");
  file.ingest_date = *day->second;
  try {
    const auto stats = nlohmann::json::parse(add.stats);  // the bounds of a column of doubles may be beyond 64 bits
    const auto& rows = stats.at("numRecords");
    delta::require_numbers_fit(rows);
    file.rows = rows.get<std::int64_t>();
    const auto &least = stats.at("minValues"), &greatest = stats.at("maxValues");
    file.ts_min = time_of(least, "ts");
    file.ts_max = time_of(greatest, "ts");
    file.arrival_min = time_of(least, "arrival");
    file.arrival_max = time_of(greatest, "arrival");
  } catch (const nlohmann::json::exception& e) {
    return corrupt(std::string("stats cannot be read (") + e.what() + ")");
  }
  return file;
}

}  // namespace headpond::bronze
