// The relation as DuckDB sees it, over files the Writer wrote into a directory.
#include "bronze/view.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "bronze/audit.h"
#include "bronze/test_world.h"
#include "env/real.h"
#include "sql/engine.h"

namespace headpond::bronze {
namespace {

using base::Version;
using testing::add_rows;
using testing::kNow;
using testing::part;
using testing::TestWorld;

class ViewTest : public ::testing::Test {
 protected:
  ViewTest() {
    directory_ =
        std::filesystem::path(::testing::TempDir()) /
        (std::string("headpond-view-") + ::testing::UnitTest::GetInstance()->current_test_info()->name() + std::to_string(getpid()));
    std::filesystem::remove_all(directory_);
    store_ = *env::open_local_store(directory_);
    sql_ = *sql::Engine::open({});
  }
  ~ViewTest() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Writer> open() {
    auto writer = Writer::open(world_.spec, {}, {*store_, world_.clock, world_.random, world_.failpoints});
    EXPECT_TRUE(writer) << writer.error().message;
    return std::move(*writer);
  }
  void write(Writer& writer, std::int64_t first, std::int64_t arrival, std::int64_t step = 1000) {
    columns::Batch batch(world_.spec.declared);
    add_rows(batch, 0, first, 4, arrival, step);
    ASSERT_TRUE(writer.append(batch));
    const auto done = writer.commit({});
    ASSERT_TRUE(done) << done.error().message;
  }
  sql::ResultSet query(const std::string& text) {
    auto result = sql_->query(text);
    EXPECT_TRUE(result) << result.error().message << "\n" << text;
    return result ? std::move(*result) : sql::ResultSet{};
  }
  RowReader sql_reader(const std::vector<delta::Field>& schema) {
    return [this, schema](const std::string& path, const std::function<void(const RowFact&)>& row) -> base::Result<void> {
      TRY(const auto result, sql_->query(row_facts_query(*store_->local_path("bronze/logs/" + path), schema)));
      for (const auto& r : result.rows) {
        RowFact fact{part(static_cast<int>(r[1].as_int()), r[0].as_text()),
                     base::Offset(r[2].as_int()),
                     static_cast<std::int32_t>(r[3].as_int()),
                     base::Micros(r[4].as_int()),
                     std::nullopt,
                     static_cast<std::int32_t>(r[6].as_int()),
                     r[7].as_int() != 0,
                     std::nullopt};
        if (!r[5].is_null()) fact.tenant = r[5].as_text();
        if (!r[8].is_null()) fact.raw = r[8].as_text();
        row(fact);
      }
      return {};
    };
  }

  TestWorld world_;
  std::filesystem::path directory_;
  std::unique_ptr<env::ObjectStore> store_;
  std::unique_ptr<sql::Engine> sql_;
};

TEST_F(ViewTest, ShowsAllRowsWithTypesFixedBySchema) {
  const auto writer = open();
  write(*writer, 0, 1'795'046'400'000'000 - 1500);  // two of four before midnight
  const auto view = open_view(*store_, "bronze/logs");
  ASSERT_TRUE(view) << view.error().message;
  EXPECT_EQ(view->files.size(), 2u);
  const auto rows = query("SELECT ingest_date::VARCHAR, kafka_offset, ts, arrival, tenant, status, raw, error, ingest_date FROM " +
                          view->relation + " ORDER BY kafka_offset");
  ASSERT_EQ(rows.rows.size(), 4u);
  EXPECT_EQ(rows.types[2], "TIMESTAMP");
  EXPECT_EQ(rows.types[8], "DATE");
  EXPECT_EQ(rows.rows[1][0].as_text(), "2026-11-18");
  EXPECT_EQ(rows.rows[2][0].as_text(), "2026-11-19");
  EXPECT_EQ(rows.rows[2][3].as_int(), 1'795'046'400'000'500);
  EXPECT_TRUE(rows.rows[0][4].is_null());
  EXPECT_EQ(rows.rows[1][4].as_text(), "tenant1");
  EXPECT_EQ(rows.rows[1][6].as_text(), R"({"p":0,"o":1})");
}

TEST_F(ViewTest, OfNoFilesHasTheSameColumnsAndNoRows) {
  const auto writer = open();
  const auto empty = open_view(*store_, "bronze/logs");
  ASSERT_TRUE(empty);
  const auto none = query("SELECT * FROM " + empty->relation);
  EXPECT_TRUE(none.rows.empty());
  write(*writer, 0, kNow);
  const auto some = query("SELECT * FROM " + open_view(*store_, "bronze/logs")->relation);
  EXPECT_EQ(some.names, none.names);
  EXPECT_EQ(some.types, none.types);
  EXPECT_EQ(none.names.back(), "ingest_date");
}

TEST_F(ViewTest, ReadsNullForAColumnAddedLater) {
  write(*open(), 0, kNow);
  world_.spec.declared.push_back({"region", columns::Type::kTimestamp});
  write(*open(), 4, kNow + 10'000);
  const auto view = open_view(*store_, "bronze/logs");
  ASSERT_TRUE(view);
  const auto rows = query("SELECT region, count(*), typeof(region) FROM " + view->relation + " GROUP BY ALL");
  ASSERT_EQ(rows.rows.size(), 1u);
  EXPECT_TRUE(rows.rows[0][0].is_null());
  EXPECT_EQ(rows.rows[0][1].as_int(), 8);
  EXPECT_EQ(rows.rows[0][2].as_text(), "TIMESTAMP");
  // An older version has neither the file nor the column.
  const auto before = open_view(*store_, "bronze/logs", Version(1));
  EXPECT_EQ(query("SELECT * FROM " + before->relation).rows.size(), 4u);
}

TEST_F(ViewTest, OfNoTableIsNotFoundAndOfARemoteStoreItIsReadThroughTheStore) {
  EXPECT_EQ(open_view(*store_, "bronze/logs").error().kind, base::ErrorKind::kNotFound);
  ASSERT_TRUE(world_.open());
  const auto writer = world_.open();
  write(**writer, 0, kNow);
  const auto remote = open_view(world_.memory, "bronze/logs");
  ASSERT_TRUE(remote) << remote.error().message;
  const auto sql = *sql::Engine::open({}, &world_.memory);
  const auto rows = sql->query("SELECT count(*) FROM " + remote->relation);
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ(rows->rows[0][0].as_int(), 4);
}

TEST_F(ViewTest, QuotesPathsAndNames) {
  EXPECT_EQ(scan_expression({"/a'b/ingest_date=2026-11-18/x.parquet"}, {{"a\"b", "long"}}),
            "(SELECT \"a\"\"b\" FROM (SELECT * FROM (SELECT NULL::BIGINT AS \"a\"\"b\") WHERE false UNION ALL BY NAME SELECT * FROM "
            "read_parquet(['/a''b/ingest_date=2026-11-18/x.parquet'], hive_partitioning=true, hive_types={'ingest_date': DATE}, "
            "union_by_name=true)))");
}

TEST_F(ViewTest, DeepAuditOverTheRealFilesIsCleanAndNamesAFlippedByte) {
  const auto writer = open();
  write(*writer, 0, kNow);
  write(*writer, 4, kNow + 10'000);
  const auto schema = open_view(*store_, "bronze/logs")->schema;
  const auto clean = audit(*store_, "bronze/logs", sql_reader(schema));
  ASSERT_TRUE(clean) << clean.error().message;
  for (const auto& finding : clean->findings) ADD_FAILURE() << finding.what << ": " << finding.where;
  EXPECT_EQ(clean->rows, 8);

  // One bit of the last page, which is raw's.
  const auto victim = "bronze/logs/" + open_view(*store_, "bronze/logs")->files[1].path;
  auto bytes = *store_->get(victim);
  std::uint32_t footer = 0;
  std::memcpy(&footer, bytes.data() + bytes.size() - 8, 4);
  auto& byte = bytes[bytes.size() - 8 - footer - 12];
  byte = static_cast<char>(byte ^ 0x10);
  ASSERT_TRUE(store_->put(victim, bytes));
  const auto damaged = audit(*store_, "bronze/logs", sql_reader(schema));
  ASSERT_TRUE(damaged) << damaged.error().message;
  ASSERT_EQ(damaged->findings.size(), 1u);
  EXPECT_EQ(damaged->findings[0].what, "payload differs") << damaged->findings[0].where;
}

}  // namespace
}  // namespace headpond::bronze
