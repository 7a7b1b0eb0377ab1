#include "billing/tables.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/time.h"
#include "base/xxh3.h"
#include "billing/calculation.h"
#include "billing/certificate.h"
#include "delta/upload.h"
#include "env/scan_path.h"

namespace headpond::billing {
namespace {

std::vector<delta::Field> fields_of(std::string_view table) {
  const std::vector<delta::Field> head = {{"day", "date"}, {"tenant", "string"}};
  std::vector<delta::Field> tail;
  if (table == "usage_15m") {
    tail = {{"service", "string"}, {"slot", "integer"}, {"events", "long"}, {"bytes", "long"}, {"errors", "long"}};
  } else if (table == "usage_peak") {
    tail = {{"slot", "integer"}, {"peak_epm", "long"}};
  } else {
    tail = {{"item", "string"},          {"tier", "integer"},   {"quantity", "decimal(19,9)"}, {"unit_price", "decimal(18,9)"},
            {"amount", "decimal(28,2)"}, {"currency", "string"}};
  }
  auto fields = head;
  fields.insert(fields.end(), tail.begin(), tail.end());
  return fields;
}

// DuckDB's form of a Delta type of these tables.
std::string sql_type(const std::string& type) {
  if (type == "string") return "VARCHAR";
  return type == "long" ? "BIGINT" : type;
}

std::string empty_relation(std::string_view table) {
  std::string select;
  for (const auto& field : fields_of(table)) {
    if (field.name != "day") select += (select.empty() ? "CAST(NULL AS " : ", CAST(NULL AS ") + sql_type(field.type) + ") AS " + field.name;
  }
  return "(SELECT " + select + " WHERE false)";
}

std::string app_id(const Settings& settings, std::string_view table) {
  return "billing-" + settings.branch + "-" + std::string(table);
}

constexpr const char* kFormatKey = "headpond.format";

// Errors: kInvalid: the table was made by a Headpond that writes a newer format.
base::Result<void> check_format(const delta::Snapshot& snapshot, const std::string& root) {
  const auto it = snapshot.metadata.configuration.find(kFormatKey);
  if (it == snapshot.metadata.configuration.end() || it->second == std::to_string(kFormat)) return {};
  return base::fail(base::ErrorKind::kInvalid, root + " has format " + it->second + ", this Headpond reads " + std::to_string(kFormat) +
                                                   "; install the Headpond that wrote it");
}

std::int64_t day_number(base::Micros day) {
  return day.value() / base::kDay.value();
}

base::Result<StoredDay> stored_in(const World& world, const std::string& root, const delta::Snapshot& snapshot, const Settings& settings,
                                  std::string_view table, base::Micros day) {
  StoredDay stored;
  std::vector<std::string> files;
  for (const auto& [path, add] : snapshot.files) {
    const auto value = add.partition_values.find("day");
    if (value == add.partition_values.end() || value->second != base::format_day(day)) continue;
    stored.files.push_back(root + "/" + path);
    files.push_back(env::scan_path(world.lake, root + "/" + path));
  }
  const auto txn = snapshot.txns.find(app_id(settings, table));
  stored.committed = txn != snapshot.txns.end() && txn->second >= day_number(day);
  const std::string columns(columns_of(table));
  stored.relation = files.empty() ? empty_relation(table) : "(SELECT " + columns + " FROM read_parquet(" + sql::list_literal(files) + "))";
  return stored;
}

base::Result<void> compare(sql::Engine& engine, std::string_view table, const StoredDay& stored, base::Micros day) {
  TRY(const auto now, content_of(engine, table, std::string(table)));
  TRY(const auto then, content_of(engine, table, stored.relation));
  if (now == then) return {};
  const std::string columns(columns_of(table)), mine = "(SELECT " + columns + " FROM " + std::string(table) + ")";
  const auto sample = [&](const std::string& a, const std::string& b) -> base::Result<std::string> {
    TRY(const auto rows,
        engine.query("SELECT CAST(t AS VARCHAR) FROM (SELECT * FROM " + a + " EXCEPT ALL SELECT * FROM " + b + ") t ORDER BY 1 LIMIT 1"));
    return rows.rows.empty() ? "nothing" : rows.rows[0][0].to_text();
  };
  TRY(const auto only_now, sample(mine, stored.relation));
  TRY(const auto only_then, sample(stored.relation, mine));
  return base::fail(base::ErrorKind::kCorrupt, std::string(table) + " of " + base::format_day(day) +
                                                   " is stored with other rows than come out now (stored " + std::to_string(then.rows) +
                                                   " rows, now " + std::to_string(now.rows) + "; only stored: " + only_then +
                                                   "; only now: " + only_now + ")");
}

// The day's rows as a Parquet file in the local directory, gone with this object. Another run may share the directory.
class LocalFile {
 public:
  LocalFile(const World& world, std::string_view table)
      : path_(world.local_directory + "/" + std::string(table) + "-" + hex16(world.random.next()) + ".parquet") {}
  LocalFile(const LocalFile&) = delete;
  LocalFile& operator=(const LocalFile&) = delete;
  ~LocalFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  const std::string& path() const { return path_; }

  base::Result<void> write(sql::Engine& engine, std::string_view table) const {
    TRY_VOID(engine.query("COPY (SELECT " + std::string(columns_of(table)) + " FROM " + std::string(table) + ") TO " +
                          sql::quote_literal(path_) + " (FORMAT parquet, COMPRESSION zstd)"));
    return {};
  }
  // Named by its content: a file left in the lake by a crash is written again, not beside.
  std::string content_name(base::Micros day) const {
    std::ifstream in(path_, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    return "day=" + base::format_day(day) + "/part-" + hex16(base::xxh3(bytes)) + ".parquet";
  }

 private:
  std::string path_;
};

}  // namespace

std::string branch_root(const World& world, const Settings& settings) {
  return world.paths.billing(settings.branch);
}

base::Result<StoredDay> stored_day(const World& world, const Settings& settings, std::string_view table, base::Micros day) {
  const auto root = branch_root(world, settings) + "/" + std::string(table);
  TRY(const auto snapshot, delta::Table(world.lake, root).snapshot());
  if (snapshot.version < base::Version(0)) return base::fail(base::ErrorKind::kNotFound, "there is no table " + root);
  TRY_VOID(check_format(snapshot, root));
  return stored_in(world, root, snapshot, settings, table, day);
}

base::Result<bool> store_day(sql::Engine& engine, const World& world, const Settings& settings, std::string_view table, base::Micros day) {
  constexpr int kRacesMax = 16;
  const auto now_ms = world.clock.now().value() / 1000;
  delta::Table target(world.lake, branch_root(world, settings) + "/" + std::string(table));
  delta::Metadata metadata;
  metadata.id = delta::make_uuid(world.random.next(), world.random.next());
  metadata.name = table;
  metadata.schema = fields_of(table);
  metadata.partition_columns = {"day"};
  metadata.configuration = {{kFormatKey, std::to_string(kFormat)}};
  metadata.created_ms = now_ms;
  TRY(auto snapshot, delta::open_or_create(target, metadata, now_ms));
  TRY_VOID(check_format(snapshot, target.root()));

  delta::Commit commit;
  commit.timestamp_ms = now_ms;
  commit.operation = "WRITE";
  commit.blind_append = true;
  commit.txns = {{app_id(settings, table), day_number(day)}};
  for (int race = 0; race < kRacesMax; ++race) {
    TRY(const auto stored, stored_in(world, target.root(), snapshot, settings, table, day));
    if (stored.committed) {
      TRY_VOID(compare(engine, table, stored, day));
      return true;
    }
    if (race == 0) {
      TRY(const auto count, engine.query("SELECT count(*) FROM " + std::string(table)));
      if (const auto rows = count.rows[0][0].as_int(); rows > 0) {
        const LocalFile file(world, table);
        TRY_VOID(file.write(engine, table));
        TRY(auto add, delta::upload_file(target, file.path(), file.content_name(day), {{"day", base::format_day(day)}}, rows, now_ms));
        commit.adds.push_back(std::move(add));
      }
    }
    const auto put = target.put(snapshot.version.next(), commit);
    if (put) return false;
    if (put.error().kind != base::ErrorKind::kConflict && put.error().kind != base::ErrorKind::kUnknown)
      return std::unexpected(put.error());
    TRY_VOID(target.refresh(snapshot));
  }
  return base::fail(base::ErrorKind::kRetry, "others kept committing to " + target.root() + "; try again");
}

}  // namespace headpond::billing
