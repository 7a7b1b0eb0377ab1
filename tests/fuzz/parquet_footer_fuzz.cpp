// Any footer behind the pages of a bronze file is read by DuckDB, the only reader of Parquet in here, or refused with words; it never ends
// the process. DuckDB is not instrumented: what counts is that it lives, and says why.
#include <duckdb.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: does not hold: %s\n", what);
  std::abort();
}

// The golden file without its footer.
std::string pages() {
  std::ifstream file(HEADPOND_GOLDEN, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  require(bytes.size() > 12, "there is a golden file");
  std::uint32_t footer = 0;
  std::memcpy(&footer, bytes.data() + bytes.size() - 8, 4);
  return bytes.substr(0, bytes.size() - 8 - footer);
}

duckdb_connection connect() {
  // A footer may claim lists of any length and DuckDB believes it (gigabytes): an allocation that fails is its error to report.
  const rlimit limit{2ull << 30, 2ull << 30};
  require(setrlimit(RLIMIT_AS, &limit) == 0, "memory can be limited");
  duckdb_database database;
  duckdb_connection connection;
  require(duckdb_open(nullptr, &database) == DuckDBSuccess && duckdb_connect(database, &connection) == DuckDBSuccess, "DuckDB opens");
  duckdb_query(connection, "SET threads = 1", nullptr);
  return connection;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string before = pages();
  static const int file = memfd_create("footer", 0);
  static const std::string query = "SELECT * FROM read_parquet('/proc/self/fd/" + std::to_string(file) + "')";
  static duckdb_connection connection = connect();
  const auto length = static_cast<std::uint32_t>(size);
  std::string bytes = before + std::string(reinterpret_cast<const char*>(data), size);
  bytes.append(reinterpret_cast<const char*>(&length), sizeof length).append("PAR1");
  require(ftruncate(file, 0) == 0 && pwrite(file, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()),
          "the file is written");
  duckdb_result result;
  if (duckdb_query(connection, query.c_str(), &result) != DuckDBSuccess) {
    const char* const why = duckdb_result_error(&result);
    require(why != nullptr && *why != 0, "a refusal says why");
    require(std::strncmp(why, "FATAL", 5) != 0, "DuckDB goes on");
  }
  duckdb_destroy_result(&result);
  return 0;
}
