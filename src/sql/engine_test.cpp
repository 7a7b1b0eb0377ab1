#include "sql/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "base/time.h"

namespace headpond::sql {
namespace {

std::unique_ptr<Engine> engine(const Limits& limits = {}) {
  auto opened = Engine::open(limits);
  EXPECT_TRUE(opened) << opened.error().message;
  return std::move(*opened);
}

ResultSet ask(Engine& sql, std::string_view text) {
  auto result = sql.query(text);
  EXPECT_TRUE(result) << result.error().message;
  return result ? *result : ResultSet{};
}

TEST(Engine, KeepsIntegersTimesAndTextExactly) {
  auto sql = engine();
  auto r = ask(*sql,
               "SELECT 9223372036854775807::BIGINT, true, 1.5::DOUBLE, 'it''s', '\\x00a'::BLOB, NULL::INTEGER, TIMESTAMP '2026-11-25 "
               "01:02:03.000004',"
               " TIMESTAMPTZ '2026-11-25 02:02:03.000004+01', DATE '1970-01-02', 18446744073709551615::UBIGINT, (-7)::HUGEINT");
  const auto& row = r.rows.at(0);
  EXPECT_EQ(row[0].as_int(), 9223372036854775807);
  EXPECT_TRUE(std::get<bool>(row[1].v));
  EXPECT_EQ(row[2].as_double(), 1.5);
  EXPECT_EQ(row[3].as_text(), "it's");
  EXPECT_EQ(row[4].as_text(), std::string("\0a", 2));
  EXPECT_TRUE(row[5].is_null());
  const auto time = base::parse_rfc3339("2026-11-25T01:02:03.000004Z")->value();
  EXPECT_EQ(row[6].as_int(), time);
  EXPECT_EQ(row[7].as_int(), time);
  EXPECT_EQ(row[8].as_int(), 1);
  EXPECT_EQ(row[9].as_text(), "18446744073709551615");
  EXPECT_EQ(row[10].as_int(), -7);
  EXPECT_EQ(to_display(row[6], r.types[6]), "2026-11-25T01:02:03.000004Z");
  EXPECT_EQ(to_display(row[8], r.types[8]), "1970-01-02");
}

TEST(Engine, PrintsDecimalsDigitByDigit) {
  auto sql = engine();
  auto r = ask(*sql,
               "SELECT 12.30::DECIMAL(28,2), (-0.05)::DECIMAL(4,2), 1234567890123456789012345.123456789::DECIMAL(38,9), 7::DECIMAL(9,0), "
               "(-1)::DECIMAL(18,3)");
  EXPECT_EQ(r.types[0], "DECIMAL(28,2)");
  EXPECT_EQ(r.rows[0][0].as_text(), "12.30");
  EXPECT_EQ(r.rows[0][1].as_text(), "-0.05");
  EXPECT_EQ(r.rows[0][2].as_text(), "1234567890123456789012345.123456789");
  EXPECT_EQ(r.rows[0][3].as_text(), "7");
  EXPECT_EQ(r.rows[0][4].as_text(), "-1.000");
}

TEST(Engine, WritesNestedValuesAsText) {
  auto sql = engine();
  auto r = ask(*sql,
               "SELECT [1, NULL, 3], {'a': 1, 'b': 'x'}, MAP {'k': 2}, 'b'::ENUM('a', 'b'), '0a0b0c0d-0102-0304-0506-0708090a0b0c'::UUID, "
               "INTERVAL 90 SECOND");
  EXPECT_EQ(r.rows[0][0].as_text(), "[1, NULL, 3]");
  EXPECT_EQ(r.rows[0][1].as_text(), "{'a': 1, 'b': x}");
  EXPECT_EQ(r.rows[0][2].as_text(), "{k=2}");
  EXPECT_EQ(r.rows[0][3].as_text(), "b");
  EXPECT_EQ(r.rows[0][4].as_text(), "0a0b0c0d-0102-0304-0506-0708090a0b0c");
  EXPECT_EQ(r.rows[0][5].as_text(), "00:01:30");
}

TEST(Engine, RunsSeveralStatementsAndReturnsTheLast) {
  auto sql = engine();
  auto r = ask(*sql, "CREATE TABLE t(a INTEGER); INSERT INTO t VALUES (1), (2), (3); SELECT a FROM t ORDER BY a DESC");
  ASSERT_EQ(r.rows.size(), 3u);
  EXPECT_EQ(r.names[0], "a");
  EXPECT_EQ(r.rows[0][0].as_int(), 3);
}

TEST(Engine, StreamsRowsUntilToldToStop) {
  auto sql = engine();
  std::int64_t seen = 0;
  auto done = sql->for_each("SELECT range FROM range(1000000000)", [&](const std::vector<Value>& row) {
    EXPECT_EQ(row[0].as_int(), seen);
    return ++seen < 5000;
  });
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(seen, 5000);
  EXPECT_EQ(ask(*sql, "SELECT 1").rows.size(), 1u);
}

TEST(Engine, SessionIsUtcAndNothingIsDownloaded) {
  auto sql = engine();
  EXPECT_EQ(ask(*sql, "SELECT current_setting('TimeZone')").rows[0][0].as_text(), "UTC");
  auto missing = sql->query("LOAD spatial");
  ASSERT_FALSE(missing);
}

TEST(Engine, SaysWhoseFaultAnErrorIs) {
  auto sql = engine();
  auto syntax = sql->query("SELEC 1");
  ASSERT_FALSE(syntax);
  EXPECT_EQ(syntax.error().kind, base::ErrorKind::kInvalid);
  EXPECT_NE(syntax.error().message.find("SELEC"), std::string::npos);
  auto binder = sql->query("SELECT nothing_of_that_name");
  ASSERT_FALSE(binder);
  EXPECT_EQ(binder.error().kind, base::ErrorKind::kInvalid);
  auto file = sql->query("SELECT * FROM read_parquet(['/nowhere/at/all.parquet'])");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().kind, base::ErrorKind::kRetry);
  auto empty = sql->query("  ");
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().kind, base::ErrorKind::kInvalid);
}

constexpr const char* kLargeSort =
    "SELECT sum(hash(s)) FROM (SELECT repeat(range::VARCHAR, 10) AS s FROM range(1500000) ORDER BY hash(range), s)";

TEST(Engine, StaysInItsMemoryBySpillingOrFailing) {
  auto tight = engine({.threads = 1, .memory_bytes = 32 << 20, .spill_directory = ""});
  auto refused = tight->query(kLargeSort);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, base::ErrorKind::kRetry) << refused.error().message;
  const auto directory = std::filesystem::temp_directory_path() / ("headpond-sql-test-" + std::to_string(::getpid()));
  auto spilling = engine({.threads = 1, .memory_bytes = 32 << 20, .spill_directory = directory.string()});
  EXPECT_EQ(ask(*spilling, kLargeSort).rows.size(), 1u);
  spilling.reset();
  std::filesystem::remove_all(directory);
}

TEST(Engine, InterruptEndsARunningQuery) {
  auto sql = engine();
  std::atomic<bool> ended = false;
  base::Result<ResultSet> result;
  std::thread runner([&] {
    result = sql->query("SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range % 7 = b.range % 3");
    ended = true;
  });
  while (!ended) {  // an interrupt before the query begins is forgotten, so ask until it ends
    sql->interrupt();
    std::this_thread::yield();
  }
  runner.join();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, base::ErrorKind::kRetry) << result.error().message;
}

TEST(Engine, WritesAndReadsParquet) {
  auto sql = engine();
  const auto file = std::filesystem::temp_directory_path() / ("headpond-sql-test-" + std::to_string(::getpid()) + ".parquet");
  ask(*sql, "COPY (SELECT range AS a, range::VARCHAR AS b FROM range(10)) TO " + quote_literal(file.string()) + " (FORMAT parquet)");
  auto r = ask(*sql, "SELECT sum(a), max(b) FROM read_parquet(" + list_literal({file.string()}) + ")");
  EXPECT_EQ(r.rows[0][0].as_int(), 45);
  EXPECT_EQ(r.rows[0][1].as_text(), "9");
  std::filesystem::remove(file);
}

TEST(Quoting, DoublesQuotes) {
  EXPECT_EQ(quote_literal("it's"), "'it''s'");
  EXPECT_EQ(quote_identifier("a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(list_literal({"a", "b'c"}), "['a', 'b''c']");
}

}  // namespace
}  // namespace headpond::sql
