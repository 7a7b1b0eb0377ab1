#include "delta/checkpoint.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "delta/upload.h"
#include "env/scan_path.h"
#include "sql/engine.h"

namespace headpond::delta {
namespace {

using nlohmann::json;
using sql::quote_literal;

constexpr std::int64_t kMemory = 96ll << 20;
constexpr std::size_t kStatementMax = 32 << 10;  // bytes of INSERT gathered before it runs
constexpr char kLastCheckpoint[] = "_delta_log/_last_checkpoint";

constexpr char kTxn[] = R"(STRUCT("appId" VARCHAR, "version" BIGINT, "lastUpdated" BIGINT))";
constexpr char kAdd[] =
    R"(STRUCT("path" VARCHAR, "partitionValues" MAP(VARCHAR, VARCHAR), "size" BIGINT, "modificationTime" BIGINT, "dataChange" BOOLEAN, )"
    R"("stats" VARCHAR, "tags" MAP(VARCHAR, VARCHAR)))";
constexpr char kRemove[] = R"(STRUCT("path" VARCHAR, "deletionTimestamp" BIGINT, "dataChange" BOOLEAN, "extendedFileMetadata" BOOLEAN, )"
                           R"("partitionValues" MAP(VARCHAR, VARCHAR), "size" BIGINT))";
constexpr char kMetadata[] =
    R"(STRUCT("id" VARCHAR, "name" VARCHAR, "description" VARCHAR, "format" STRUCT("provider" VARCHAR, "options" MAP(VARCHAR, VARCHAR)), )"
    R"("schemaString" VARCHAR, "partitionColumns" VARCHAR[], "configuration" MAP(VARCHAR, VARCHAR), "createdTime" BIGINT))";
constexpr char kProtocol[] =
    R"(STRUCT("minReaderVersion" INTEGER, "minWriterVersion" INTEGER, "readerFeatures" VARCHAR[], "writerFeatures" VARCHAR[]))";

std::string source_of(const Table& table, base::Version version) {
  return "read_parquet(" + quote_literal(env::scan_path(table.store(), table.path(checkpoint_path(version)))) +
         ", hive_partitioning = false)";
}

template <class Map>
std::string map_literal(const Map& map) {
  std::string out = "MAP {";
  for (const auto& [key, value] : map) {
    out += (out.size() > 5 ? ", " : "") + quote_literal(key) + ": ";
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>)
      out += quote_literal(value);
    else
      out += value ? quote_literal(*value) : "NULL";
  }
  return map.empty() ? "MAP()::MAP(VARCHAR, VARCHAR)" : out + "}::MAP(VARCHAR, VARCHAR)";
}

std::string list_literal(const std::vector<std::string>& texts) {
  return texts.empty() ? "[]::VARCHAR[]" : sql::list_literal(texts);
}

std::string literal(const Protocol& p) {
  return "{'minReaderVersion': " + std::to_string(p.min_reader_version) + ", 'minWriterVersion': " + std::to_string(p.min_writer_version) +
         ", 'readerFeatures': " + (p.min_reader_version >= 3 ? list_literal(p.reader_features) : "NULL::VARCHAR[]") +
         ", 'writerFeatures': " + (p.min_writer_version >= 7 ? list_literal(p.writer_features) : "NULL::VARCHAR[]") + "}::" + kProtocol;
}

std::string literal(const Metadata& m) {
  const auto body = json::parse(action_json(m));
  return "{'id': " + quote_literal(m.id) + ", 'name': " + (m.name.empty() ? "NULL" : quote_literal(m.name)) +
         ", 'description': NULL, 'format': {'provider': 'parquet', 'options': MAP()::MAP(VARCHAR, VARCHAR)}, 'schemaString': " +
         quote_literal(body.at("schemaString").get<std::string>()) + ", 'partitionColumns': " + list_literal(m.partition_columns) +
         ", 'configuration': " + map_literal(m.configuration) + ", 'createdTime': " + std::to_string(m.created_ms) + "}::" + kMetadata;
}

base::Error damaged(const Table& table, base::Version version, const std::string& why) {
  return {base::ErrorKind::kCorrupt, table.path(checkpoint_path(version)) + ": not a checkpoint Headpond can read (" + why +
                                         "); restore it from a copy, or, while the log is whole, delete it and `_last_checkpoint`"};
}

// DuckDB's error over the store's: whether the checkpoint is not there, or cannot be understood.
base::Error reading_error(const Table& table, base::Version version, base::Error error) {
  const auto there = table.store().head(table.path(checkpoint_path(version)));
  if (!there) return there.error();
  if (error.kind == base::ErrorKind::kRetry) return error;
  return damaged(table, version, error.message);
}

// Calls `each` with the actions of one kind, as parse() makes them of their JSON.
base::Result<void> read_actions(const Table& table, base::Version version, sql::Engine& engine, const char* kind,
                                const std::function<base::Result<void>(Commit)>& each) {
  base::Result<void> done;
  const std::string column = sql::quote_identifier(kind);
  const auto read = engine.for_each(
      "SELECT to_json(" + column + ")::VARCHAR FROM " + source_of(table, version) + " WHERE " + column + " IS NOT NULL",
      [&](const auto& row) {
        auto commit = parse("{\"" + std::string(kind) + "\":" + row[0].as_text() + "}", table.path(checkpoint_path(version)));
        done = commit ? each(std::move(*commit)) : base::Result<void>(std::unexpected(std::move(commit).error()));
        return done.has_value();
      });
  if (!read) return std::unexpected(reading_error(table, version, read.error()));
  return done;
}

// Protocol, metadata and txns.
base::Result<Snapshot> read_head(const Table& table, base::Version version, sql::Engine& engine) {
  Snapshot snapshot;
  Commit head;
  TRY_VOID(read_actions(table, version, engine, "protocol", [&](Commit c) -> base::Result<void> {
    head.protocol = std::move(c.protocol);
    return {};
  }));
  TRY_VOID(read_actions(table, version, engine, "metaData", [&](Commit c) -> base::Result<void> {
    head.metadata = std::move(c.metadata);
    return {};
  }));
  TRY_VOID(read_actions(table, version, engine, "txn", [&](Commit c) -> base::Result<void> {
    for (auto& txn : c.txns) head.txns.push_back(std::move(txn));
    return {};
  }));
  if (!head.protocol || !head.metadata) return std::unexpected(damaged(table, version, "no protocol or no metaData"));
  TRY_VOID(apply(snapshot, head, table.store().describe() + table.root()));
  snapshot.version = version;
  return snapshot;
}

base::Result<Checkpoint> measure(sql::Engine& engine, const std::string& source) {
  TRY(const auto counted,
      engine.query("SELECT count(*), count(\"add\"), coalesce(sum((\"add\".stats->>'numRecords')::BIGINT), 0)::BIGINT FROM " + source));
  const auto& row = counted.rows.at(0);
  return Checkpoint{.actions = row[0].as_int(), .files = row[1].as_int(), .rows = row[2].as_int()};
}

class Merge final : public CheckpointWriter {
 public:
  Merge(const Table& table, std::optional<base::Version> base, std::string scratch, std::unique_ptr<sql::Engine> engine)
      : table_(table), base_(base), scratch_(std::move(scratch)), engine_(std::move(engine)) {}

  base::Result<void> start();
  base::Result<void> apply(const Commit& commit) override;
  base::Result<Checkpoint> write(base::Version version, std::int64_t oldest_remove_ms) override;
  const Protocol& protocol() const override { return head_.protocol; }
  const Metadata& metadata() const override { return head_.metadata; }

 private:
  base::Result<void> flush();
  std::string query(std::int64_t oldest_remove_ms) const;
  std::string next() { return std::to_string(++sequence_); }

  Table table_;
  std::optional<base::Version> base_;
  std::string scratch_;
  std::unique_ptr<sql::Engine> engine_;
  Snapshot head_;
  std::int64_t sequence_ = 0;  // of the next action
  std::string pending_;        // rows of `actions` not inserted yet
};

base::Result<void> Merge::start() {
  TRY_VOID(
      engine_->query(std::string("CREATE TEMP TABLE actions(seq BIGINT, path VARCHAR, \"add\" ") + kAdd + ", remove " + kRemove + ")"));
  if (base_) {
    TRY(head_, read_head(table_, *base_, *engine_));
  }
  return {};
}

base::Result<void> Merge::apply(const Commit& commit) {
  for (const auto& remove : commit.removes) {
    const auto path = quote_literal(url_encode(remove.path));
    pending_ += (pending_.empty() ? "" : ", ") + std::string("(") + next() + ", " + path + ", NULL, {'path': " + path +
                ", 'deletionTimestamp': " + std::to_string(remove.deletion_ms) +
                ", 'dataChange': false, 'extendedFileMetadata': false, 'partitionValues': NULL, 'size': NULL}::" + kRemove + ")";
  }
  for (const auto& add : commit.adds) {
    const auto path = quote_literal(url_encode(add.path));
    pending_ += (pending_.empty() ? "" : ", ") + std::string("(") + next() + ", " + path + ", {'path': " + path +
                ", 'partitionValues': " + map_literal(add.partition_values) + ", 'size': " + std::to_string(add.size) +
                ", 'modificationTime': " + std::to_string(add.modification_ms) +
                ", 'dataChange': false, 'stats': " + (add.stats.empty() ? "NULL" : quote_literal(add.stats)) +
                ", 'tags': " + (add.tags.empty() ? "NULL" : map_literal(add.tags)) + "}::" + kAdd + ", NULL)";
  }
  Commit rest = commit;
  rest.adds.clear();
  rest.removes.clear();
  TRY_VOID(delta::apply(head_, rest, table_.store().describe() + table_.root()));
  return pending_.size() < kStatementMax ? base::Result<void>() : flush();
}

base::Result<void> Merge::flush() {
  if (pending_.empty()) return {};
  TRY_VOID(engine_->query("INSERT INTO actions VALUES " + pending_));
  pending_.clear();
  return {};
}

// One row an action: what the base has and no later action touches, then the newest action of each path.
std::string Merge::query(std::int64_t oldest_remove_ms) const {
  const auto row = [](const std::string& txn, const std::string& add, const std::string& remove, const std::string& metadata,
                      const std::string& protocol) {
    const auto cell = [](const std::string& value, const char* type, const char* name) {
      return (value.empty() ? std::string("NULL") : value) + "::" + type + " AS \"" + name + "\"";
    };
    return "SELECT " + cell(txn, kTxn, "txn") + ", " + cell(add, kAdd, "add") + ", " + cell(remove, kRemove, "remove") + ", " +
           cell(metadata, kMetadata, "metaData") + ", " + cell(protocol, kProtocol, "protocol");
  };
  const auto unexpired = " >= " + std::to_string(oldest_remove_ms);
  std::string out = row("", "", "", "", literal(head_.protocol)) + " UNION ALL " + row("", "", "", literal(head_.metadata), "");
  for (const auto& [app_id, version] : head_.txns)
    out += " UNION ALL " +
           row("{'appId': " + quote_literal(app_id) + ", 'version': " + std::to_string(version) + ", 'lastUpdated': NULL}", "", "", "", "");
  if (base_) {
    const auto base = source_of(table_, *base_);
    out += " UNION ALL " + row("", "\"add\"", "", "", "") + " FROM " + base +
           " WHERE \"add\" IS NOT NULL AND \"add\".path NOT IN (SELECT path FROM actions)";
    out += " UNION ALL " + row("", "", "remove", "", "") + " FROM " + base + " WHERE remove IS NOT NULL AND remove.\"deletionTimestamp\"" +
           unexpired + " AND remove.path NOT IN (SELECT path FROM actions)";
  }
  out += " UNION ALL " + row("", "\"add\"", "remove", "", "") +
         " FROM actions WHERE seq IN (SELECT max(seq) FROM actions GROUP BY path) AND (remove IS NULL OR remove.\"deletionTimestamp\"" +
         unexpired + ")";
  return out;
}

base::Result<Checkpoint> Merge::write(base::Version version, std::int64_t oldest_remove_ms) {
  TRY_VOID(flush());
  const auto file = scratch_ + "/" + std::to_string(version.value()) + ".checkpoint.parquet";
  struct Removed {
    const std::string& path;
    ~Removed() {
      std::error_code ignored;
      std::filesystem::remove(path, ignored);
    }
  } const removed{file};
  TRY_VOID(engine_->query("COPY (" + query(oldest_remove_ms) + ") TO " + quote_literal(file) +
                          " (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 4096)"));
  TRY(auto checkpoint, measure(*engine_, "read_parquet(" + quote_literal(file) + ", hive_partitioning = false)"));
  TRY(const auto add, upload_file(table_, file, checkpoint_path(version), {}, 0, 0));
  checkpoint.version = version;
  checkpoint.bytes = add.size;
  return checkpoint;
}

base::Result<std::unique_ptr<sql::Engine>> open_engine(const Table& table, const std::string& spill) {
  return sql::Engine::open({.threads = 1, .memory_bytes = kMemory, .spill_directory = spill}, &table.store());
}

}  // namespace

std::string checkpoint_path(base::Version version) {
  const auto entry = log_path(version);
  return entry.substr(0, entry.size() - 5) + ".checkpoint.parquet";
}

base::Result<std::optional<Checkpoint>> last_checkpoint(const Table& table) {
  const auto text = table.store().get(table.path(kLastCheckpoint));
  if (!text && text.error().kind == base::ErrorKind::kNotFound) return std::nullopt;
  if (!text) return std::unexpected(text.error());
  const auto object = json::parse(*text, nullptr, false);
  if (!object.is_object() || !object.contains("version") || !object["version"].is_number_integer()) return std::nullopt;
  const auto number = [&](const char* key) {
    const auto it = object.find(key);
    return it != object.end() && it->is_number_integer() ? it->get<std::int64_t>() : 0;
  };
  return Checkpoint{.version = base::Version(number("version")),
                    .actions = number("size"),
                    .bytes = number("sizeInBytes"),
                    .files = number("numOfAddFiles")};
}

base::Result<Snapshot> read_checkpoint(const Table& table, base::Version version, const std::function<base::Result<void>(AddFile)>& file) {
  TRY(const auto engine, open_engine(table, ""));
  TRY(auto snapshot, read_head(table, version, *engine));
  TRY_VOID(read_actions(table, version, *engine, "add", [&](Commit c) { return file(std::move(c.adds.at(0))); }));
  return snapshot;
}

base::Result<Checkpoint> measure_checkpoint(const Table& table, base::Version version) {
  TRY(const auto object, table.store().head(table.path(checkpoint_path(version))));
  TRY(const auto engine, open_engine(table, ""));
  auto checkpoint = measure(*engine, source_of(table, version));
  if (!checkpoint) return std::unexpected(reading_error(table, version, checkpoint.error()));
  checkpoint->version = version;
  checkpoint->bytes = object.size;
  return checkpoint;
}

base::Result<std::unique_ptr<CheckpointWriter>> CheckpointWriter::open(const Table& table, std::optional<base::Version> base,
                                                                       const std::string& scratch) {
  std::error_code failed;
  std::filesystem::create_directories(scratch, failed);
  if (failed) return base::fail(base::ErrorKind::kRetry, "cannot create " + scratch + ": " + failed.message());
  TRY(auto engine, open_engine(table, scratch));
  auto merge = std::make_unique<Merge>(table, base, scratch, std::move(engine));
  TRY_VOID(merge->start());
  return merge;
}

base::Result<void> publish_checkpoint(Table& table, const Checkpoint& checkpoint) {
  TRY(const auto there, last_checkpoint(table));
  if (there && there->version > checkpoint.version) return {};
  const nlohmann::ordered_json object{{"version", checkpoint.version.value()},
                                      {"size", checkpoint.actions},
                                      {"sizeInBytes", checkpoint.bytes},
                                      {"numOfAddFiles", checkpoint.files}};
  return table.store().put(table.path(kLastCheckpoint), object.dump());
}

}  // namespace headpond::delta
