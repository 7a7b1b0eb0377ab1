#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "env/fake.h"
#include "env/scan_path.h"
#include "sql/engine.h"

namespace headpond::sql {
namespace {

// Counts what a query asks of the store.
class CountingStore final : public env::ObjectStore {
 public:
  explicit CountingStore(env::ObjectStore& inner) : inner_(inner) {}
  base::Result<std::string> get(const std::string& path) override { return ++requests, inner_.get(path); }
  base::Result<std::string> get_range(const std::string& path, std::int64_t offset, std::int64_t length) override {
    if (broken) return base::fail(base::ErrorKind::kRetry, "the store is away");
    ++requests, bytes += length;
    return inner_.get_range(path, offset, length);
  }
  base::Result<env::ObjectMeta> head(const std::string& path) override { return ++requests, ++heads, inner_.head(path); }
  base::Result<void> put(const std::string& path, std::string_view text) override { return inner_.put(path, text); }
  base::Result<void> put_if_absent(const std::string& path, std::string_view text) override { return inner_.put_if_absent(path, text); }
  base::Result<std::vector<env::ObjectMeta>> list(const std::string& prefix, const std::string& after, std::size_t limit) override {
    return inner_.list(prefix, after, limit);
  }
  base::Result<void> remove(const std::string& path) override { return inner_.remove(path); }
  base::Result<std::unique_ptr<env::WriteStream>> open_write(const std::string& path) override { return inner_.open_write(path); }
  std::string describe() const override { return "s3://somewhere/"; }
  std::optional<std::string> local_path(const std::string&) const override { return std::nullopt; }

  int requests = 0, heads = 0;
  std::int64_t bytes = 0;
  bool broken = false;

 private:
  env::ObjectStore& inner_;
};

class LakeFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto file = std::filesystem::temp_directory_path() / ("headpond-lake-files-" + std::to_string(::getpid()) + ".parquet");
    auto writer = Engine::open({}).value();
    ASSERT_TRUE(writer->query("COPY (SELECT range AS i, md5(range::VARCHAR) AS text FROM range(200000)) TO '" + file.string() +
                              "' (FORMAT parquet, ROW_GROUP_SIZE 50000)"));
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    std::filesystem::remove(file);
    size_ = static_cast<std::int64_t>(text.str().size());
    ASSERT_TRUE(memory_.put("t/ingest_date=2026-11-25/a.parquet", text.str()));
    sql_ = Engine::open({}, &store_).value();
  }
  std::string scan(const std::string& name) const {
    return "read_parquet('" + env::scan_path(store_, "t/ingest_date=2026-11-25/" + name) + "')";
  }

  env::MemoryStore memory_;
  CountingStore store_{memory_};
  std::int64_t size_ = 0;
  std::unique_ptr<Engine> sql_;
};

TEST_F(LakeFilesTest, ReadsEveryRowOfAnObject) {
  const auto result = sql_->query("SELECT count(*), sum(i)::BIGINT, count_if(text <> md5(i::VARCHAR)) FROM " + scan("a.parquet"));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->rows[0][0].as_int(), 200'000);
  EXPECT_EQ(result->rows[0][1].as_int(), 199'999ll * 200'000 / 2);
  EXPECT_EQ(result->rows[0][2].as_int(), 0);
}

TEST_F(LakeFilesTest, AsksForTheColumnsOfAQueryOnlyAndInFewRequests) {
  ASSERT_TRUE(sql_->query("SELECT sum(i) FROM " + scan("a.parquet")));
  EXPECT_LE(store_.requests, 10);  // size and footer, twice, and a range a row group
  EXPECT_LT(store_.bytes, size_ / 3);
}

TEST_F(LakeFilesTest, AnObjectIsAskedAboutOnceAndTheSameBytesAreReadOnce) {
  ASSERT_TRUE(sql_->query("CREATE VIEW t AS SELECT * FROM " + scan("a.parquet")));
  ASSERT_TRUE(sql_->query("SELECT sum(i) FROM t"));
  EXPECT_EQ(store_.heads, 1);
  const int requests = store_.requests;
  ASSERT_TRUE(sql_->query("SELECT sum(i) FROM t"));
  EXPECT_EQ(store_.requests, requests);
}

TEST_F(LakeFilesTest, AnObjectThatVanishedAfterItsFooterWasReadIsNamedAndLooksNewWhenItReturns) {
  const auto path = "t/ingest_date=2026-11-25/a.parquet";
  const auto bytes = memory_.get(path).value();
  ASSERT_TRUE(sql_->query("CREATE VIEW t AS SELECT * FROM " + scan("a.parquet")));
  ASSERT_TRUE(memory_.remove(path));
  const auto result = sql_->query("SELECT sum(length(text)) FROM t");
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("a.parquet"), std::string::npos) << result.error().message;
  ASSERT_TRUE(memory_.put(path, bytes));
  const auto again = sql_->query("SELECT sum(length(text))::BIGINT FROM t");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->rows[0][0].as_int(), 200'000 * 32);
  EXPECT_EQ(store_.heads, 2);
}

TEST_F(LakeFilesTest, HivePartitionsAreReadFromTheName) {
  const auto result = sql_->query("SELECT DISTINCT ingest_date::VARCHAR FROM read_parquet(['" +
                                  env::scan_path(store_, "t/ingest_date=2026-11-25/a.parquet") +
                                  "'], hive_partitioning=true, hive_types={'ingest_date': DATE})");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->rows[0][0].as_text(), "2026-11-25");
}

TEST_F(LakeFilesTest, AStoreThatIsAwayIsTriedAgainLater) {
  store_.broken = true;
  const auto result = sql_->query("SELECT sum(i) FROM " + scan("a.parquet"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, base::ErrorKind::kRetry);
  EXPECT_NE(result.error().message.find("the store is away"), std::string::npos) << result.error().message;
  store_.broken = false;
  EXPECT_TRUE(sql_->query("SELECT sum(i) FROM " + scan("a.parquet")));
}

TEST_F(LakeFilesTest, AMissingObjectIsNamed) {
  const auto result = sql_->query("SELECT sum(i) FROM " + scan("b.parquet"));
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("b.parquet"), std::string::npos) << result.error().message;
}

TEST_F(LakeFilesTest, NothingIsWritten) {
  const auto result = sql_->query("COPY (SELECT 1) TO 'lake://t/c.parquet' (FORMAT parquet)");
  ASSERT_FALSE(result);
  EXPECT_FALSE(memory_.head("t/c.parquet"));
}

}  // namespace
}  // namespace headpond::sql
