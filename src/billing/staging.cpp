#include "billing/staging.h"

#include <filesystem>
#include <utility>

#include "base/time.h"
#include "billing/tables.h"
#include "env/scan_path.h"

namespace headpond::billing {
namespace {

using base::ErrorKind;
namespace fs = std::filesystem;

struct Shape {
  const char* table;
  const char* columns;  // with their types: what an engine wrote is taken as nothing else
  const char* order;
};
constexpr Shape kShapes[] = {
    {"usage_15m",
     "CAST(day AS DATE) AS day, CAST(tenant AS VARCHAR) AS tenant, CAST(service AS VARCHAR) AS service, CAST(slot AS INTEGER) AS slot, "
     "CAST(events AS BIGINT) AS events, CAST(bytes AS BIGINT) AS bytes, CAST(errors AS BIGINT) AS errors",
     "tenant, service, slot"},
    {"usage_peak",
     "CAST(day AS DATE) AS day, CAST(tenant AS VARCHAR) AS tenant, CAST(slot AS INTEGER) AS slot, CAST(peak_epm AS BIGINT) AS peak_epm",
     "tenant, slot"},
    {"invoice_lines",
     "CAST(day AS DATE) AS day, CAST(tenant AS VARCHAR) AS tenant, CAST(item AS VARCHAR) AS item, CAST(tier AS INTEGER) AS tier, "
     "CAST(quantity AS DECIMAL(19,9)) AS quantity, CAST(unit_price AS DECIMAL(18,9)) AS unit_price, "
     "CAST(amount AS DECIMAL(28,2)) AS amount, CAST(currency AS VARCHAR) AS currency",
     "tenant, item, tier"},
};

// All of it that can be removed now.
void remove_below(env::ObjectStore& lake, const std::string& path) {
  if (const auto local = lake.local_path(path)) {
    std::error_code ignored;  // a directory holds more than objects
    fs::remove_all(*local, ignored);
    return;
  }
  const auto objects = lake.list(path + "/");
  if (!objects) return;
  for (const auto& object : *objects) (void)lake.remove(object.path);
}

}  // namespace

base::Result<std::string> place_of(const World& world, const std::string& path) {
  if (const auto local = world.lake.local_path(path)) return fs::absolute(*local).lexically_normal().string();
  if (world.paths.lake.starts_with("s3://")) return world.paths.lake + "/" + path;
  return base::fail(ErrorKind::kInvalid, world.lake.describe() +
                                             ": engines outside this program read lakes in a directory and on s3://; use one, or "
                                             "`engine: embedded`");
}

Staging::Staging(const World& world, std::string path, std::string place)
    : world_(&world), path_(std::move(path)), place_(std::move(place)) {}

Staging::Staging(Staging&& other) noexcept
    : world_(std::exchange(other.world_, nullptr)), path_(std::move(other.path_)), place_(std::move(other.place_)) {}

Staging::~Staging() {
  if (world_ != nullptr) remove_below(world_->lake, path_);
}

base::Result<Staging> Staging::make(const Calculation& what, const std::string& run) {
  const auto root = branch_root(what.world, what.settings) + "/_staging";
  const auto path = root + "/" + base::format_day(what.day) + "/" + run;
  TRY(auto place, place_of(what.world, path));
  remove_below(what.world.lake, root);
  if (what.world.lake.local_path(path)) {
    std::error_code failed;
    fs::create_directories(fs::path(place).parent_path(), failed);
    if (failed) return base::fail(ErrorKind::kRetry, "cannot create " + place + ": " + failed.message());
  }
  return Staging(what.world, path, std::move(place));
}

base::Result<void> Staging::read(const Calculation& what, const std::string& word) const {
  const auto unreadable = [&](const std::string& why) {
    return base::fail(ErrorKind::kCorrupt, "the result of " + word + " cannot be read: " + why);
  };
  for (const auto& [table, columns, order] : kShapes) {
    TRY(const auto objects, what.world.lake.list(path_ + "/" + table + "/"));
    std::vector<std::string> files;
    for (const auto& object : objects)
      if (object.path.ends_with(".parquet")) files.push_back(env::scan_path(what.world.lake, object.path));
    if (files.empty()) return unreadable("no Parquet file of " + std::string(table) + " in " + place_);
    const auto read = what.sql.query("CREATE OR REPLACE TEMP TABLE " + std::string(table) + " AS SELECT " + columns +
                                     " FROM read_parquet(" + sql::list_literal(files) + ", hive_partitioning = false) ORDER BY " + order);
    if (!read) return unreadable(read.error().message);
    TRY(const auto strange, what.sql.query("SELECT count(*) FROM " + std::string(table) + " WHERE day IS DISTINCT FROM DATE " +
                                           sql::quote_literal(base::format_day(what.day))));
    if (strange.rows[0][0].as_int() > 0)
      return base::fail(ErrorKind::kCorrupt, word + " gave " + table + " rows of another day than " + base::format_day(what.day));
  }
  return {};
}

}  // namespace headpond::billing
