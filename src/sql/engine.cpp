#include "sql/engine.h"

#include <duckdb.h>

#include <algorithm>
#include <duckdb/main/capi/capi_internal.hpp>

#include "env/object_store.h"
#include "sql/lake_files.h"
#include "sql/vector.h"

namespace headpond::sql {
namespace {

// What a thread that scans may hold: a row group's columns as they are stored, and what it makes of them.
constexpr std::int64_t kBytesPerThread = 64ll << 20;

base::Error error_of(duckdb_error_type type, const char* message) {
  std::string text = message ? message : "unknown DuckDB error";
  switch (type) {
    case DUCKDB_ERROR_OUT_OF_MEMORY:
    case DUCKDB_ERROR_IO:
    case DUCKDB_ERROR_INTERRUPT: return {base::ErrorKind::kRetry, std::move(text)};
    case DUCKDB_ERROR_INTERNAL:
    case DUCKDB_ERROR_FATAL: return {base::ErrorKind::kCorrupt, std::move(text)};
    default: return {base::ErrorKind::kInvalid, std::move(text)};
  }
}

// Where DuckDB gives a text without a type (preparing, which already reads file footers), its first words tell.
base::Error error_of(const char* message) {
  const std::string_view text = message ? message : "";
  if (text.starts_with("IO Error")) return error_of(DUCKDB_ERROR_IO, message);
  if (text.starts_with("INTERRUPT Error")) return error_of(DUCKDB_ERROR_INTERRUPT, message);
  if (text.starts_with("Out of Memory Error")) return error_of(DUCKDB_ERROR_OUT_OF_MEMORY, message);
  return error_of(DUCKDB_ERROR_INVALID, message);
}

// Owners of DuckDB's handles: each is destroyed on every way out.
struct Extracted {
  duckdb_extracted_statements handle = nullptr;
  ~Extracted() { duckdb_destroy_extracted(&handle); }
};
struct Prepared {
  duckdb_prepared_statement handle = nullptr;
  ~Prepared() { duckdb_destroy_prepare(&handle); }
};
struct Pending {
  duckdb_pending_result handle = nullptr;
  ~Pending() { duckdb_destroy_pending(&handle); }
};
struct Answer {
  duckdb_result handle{};
  ~Answer() { duckdb_destroy_result(&handle); }
};
struct Chunk {
  duckdb_data_chunk handle = nullptr;
  ~Chunk() { duckdb_destroy_data_chunk(&handle); }
};

using RowVisitor = std::function<bool(std::vector<Value>&)>;

class DuckEngine final : public Engine {
 public:
  ~DuckEngine() override {
    duckdb_disconnect(&connection_);
    duckdb_close(&database_);
  }

  base::Result<void> start(const Limits& limits, env::ObjectStore* lake);
  base::Result<ResultSet> query(std::string_view text) override;
  base::Result<void> for_each(std::string_view text, const std::function<bool(const std::vector<Value>&)>& row) override;
  void interrupt() override { duckdb_interrupt(connection_); }

 private:
  base::Result<void> run_one(duckdb_extracted_statements statements, idx_t index, bool streaming, Answer& answer);
  base::Result<void> run(std::string_view text, bool streaming, ResultSet& head, const RowVisitor& row);
  base::Result<void> read(Answer& answer, ResultSet& head, const RowVisitor& row);

  duckdb_database database_ = nullptr;
  duckdb_connection connection_ = nullptr;
};

base::Result<void> DuckEngine::start(const Limits& limits, env::ObjectStore* lake) {
  duckdb_config config = nullptr;
  if (duckdb_create_config(&config) == DuckDBError) return base::fail(base::ErrorKind::kRetry, "DuckDB: cannot make a configuration");
  // Nothing is ever downloaded, and an empty temp_directory means that a query beyond its memory fails instead of filling the working
  // directory.
  // DuckDB opens a file, and asks for one range after the other, per thread; a far store makes each of them wait.
  const auto waiting = lake == nullptr ? 1 : std::min<std::int64_t>(lake->reads_at_once(), limits.memory_bytes / kBytesPerThread);
  const auto threads = std::max<std::int64_t>(limits.threads, waiting);
  const std::pair<const char*, std::string> settings[] = {
      {"threads", std::to_string(threads)},       {"memory_limit", std::to_string(limits.memory_bytes) + "B"},
      {"temp_directory", limits.spill_directory}, {"autoinstall_known_extensions", "false"},
      {"autoload_known_extensions", "false"},     {"allow_community_extensions", "false"},
  };
  for (const auto& [name, value] : settings) {
    if (duckdb_set_config(config, name, value.c_str()) == DuckDBError) {
      duckdb_destroy_config(&config);
      return base::fail(base::ErrorKind::kInvalid, std::string("DuckDB refuses its setting ") + name + " = " + value);
    }
  }
  char* message = nullptr;
  const auto opened = duckdb_open_ext(nullptr, &database_, config, &message);
  duckdb_destroy_config(&config);
  if (opened == DuckDBError) {
    std::string text = message ? message : "unknown error";
    duckdb_free(message);
    return base::fail(base::ErrorKind::kRetry, "cannot open DuckDB: " + text);
  }
  if (duckdb_connect(database_, &connection_) == DuckDBError) return base::fail(base::ErrorKind::kRetry, "cannot connect to DuckDB");
  if (lake != nullptr) {
    // The C interface has no file systems; behind its handle stands the C++ database.
    const auto* wrapper = reinterpret_cast<duckdb::DatabaseWrapper*>(database_);
    wrapper->database->GetFileSystem().RegisterSubSystem(lake_files(*lake));
  }
  TRY_VOID(query("SET TimeZone = 'UTC'"));
  return {};
}

base::Result<void> DuckEngine::run_one(duckdb_extracted_statements statements, idx_t index, bool streaming, Answer& answer) {
  Prepared prepared;
  if (duckdb_prepare_extracted_statement(connection_, statements, index, &prepared.handle) == DuckDBError)
    return std::unexpected(error_of(duckdb_prepare_error(prepared.handle)));
  Pending pending;
  const auto state = streaming ? duckdb_pending_prepared_streaming(prepared.handle, &pending.handle)
                               : duckdb_pending_prepared(prepared.handle, &pending.handle);
  if (state == DuckDBError) return std::unexpected(error_of(duckdb_pending_error(pending.handle)));
  if (duckdb_execute_pending(pending.handle, &answer.handle) == DuckDBError)
    return std::unexpected(error_of(duckdb_result_error_type(&answer.handle), duckdb_result_error(&answer.handle)));
  return {};
}

base::Result<void> DuckEngine::run(std::string_view text, bool streaming, ResultSet& head, const RowVisitor& row) {
  Extracted statements;
  const idx_t count = duckdb_extract_statements(connection_, std::string(text).c_str(), &statements.handle);
  if (count == 0) {
    const char* message = duckdb_extract_statements_error(statements.handle);
    return std::unexpected(error_of(DUCKDB_ERROR_PARSER, message ? message : "there is no SQL statement"));
  }
  for (idx_t i = 0; i < count; ++i) {
    Answer answer;
    const bool last = i + 1 == count;
    TRY_VOID(run_one(statements.handle, i, streaming && last, answer));
    if (last) TRY_VOID(read(answer, head, row));
  }
  return {};
}

base::Result<void> DuckEngine::read(Answer& answer, ResultSet& head, const RowVisitor& row) {
  const idx_t columns = duckdb_column_count(&answer.handle);
  std::vector<std::unique_ptr<ColumnReader>> readers;
  for (idx_t c = 0; c < columns; ++c) {
    readers.push_back(std::make_unique<ColumnReader>(duckdb_column_logical_type(&answer.handle, c)));
    head.names.emplace_back(duckdb_column_name(&answer.handle, c));
    head.types.push_back(readers.back()->type_name());
    if (!readers.back()->readable())
      return base::fail(base::ErrorKind::kInvalid, "column '" + head.names.back() + "' has a type without a text form; cast it to VARCHAR");
  }
  while (true) {
    Chunk chunk{duckdb_fetch_chunk(answer.handle)};
    if (!chunk.handle) {
      const char* message = duckdb_result_error(&answer.handle);
      if (message && *message) return std::unexpected(error_of(duckdb_result_error_type(&answer.handle), message));
      return {};
    }
    std::vector<duckdb_vector> vectors;
    for (idx_t c = 0; c < columns; ++c) vectors.push_back(duckdb_data_chunk_get_vector(chunk.handle, c));
    const idx_t rows = duckdb_data_chunk_get_size(chunk.handle);
    for (idx_t r = 0; r < rows; ++r) {
      std::vector<Value> values(columns);
      for (idx_t c = 0; c < columns; ++c) values[c] = readers[c]->read(vectors[c], r);
      if (!row(values)) return {};
    }
  }
}

base::Result<ResultSet> DuckEngine::query(std::string_view text) {
  ResultSet result;
  TRY_VOID(run(text, false, result, [&](std::vector<Value>& row) {
    result.rows.push_back(std::move(row));
    return true;
  }));
  return result;
}

base::Result<void> DuckEngine::for_each(std::string_view text, const std::function<bool(const std::vector<Value>&)>& row) {
  ResultSet head;
  return run(text, true, head, [&](std::vector<Value>& values) { return row(values); });
}

}  // namespace

base::Result<std::unique_ptr<Engine>> Engine::open(const Limits& limits, env::ObjectStore* lake) {
  auto engine = std::make_unique<DuckEngine>();
  TRY_VOID(engine->start(limits, lake));
  return engine;
}

}  // namespace headpond::sql
