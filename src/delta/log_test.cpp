#include "delta/log.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "delta/upload.h"
#include "env/fake.h"
#include "env/real.h"
#include "sql/engine.h"

namespace headpond::delta {
namespace {

using base::ErrorKind;
using base::Version;

Metadata metadata() {
  Metadata m;
  m.id = make_uuid(1, 2);
  m.name = "t";
  m.schema = {{"id", "long"}, {"at", "timestamp"}, {"amount", "decimal(28,2)"}, {"day", "date"}, {"note", "string"}, {"kind", "string"}};
  m.partition_columns = {"kind"};
  m.created_ms = 1'795'000'000'000;
  return m;
}

Commit add_commit(const std::string& path) {
  Commit c;
  c.operation = "WRITE";
  c.adds.push_back({.path = path, .partition_values = {{"kind", "a"}}, .size = 1, .stats = "", .tags = {}});
  return c;
}

TEST(DeltaCommit, SurvivesSerializeAndParse) {
  Commit c;
  c.timestamp_ms = 7;
  c.operation = "STREAMING UPDATE";
  c.blind_append = true;
  c.headpond = R"({"format":1,"z":18446744073709551615,"a":[1,2]})";
  c.protocol = Protocol{1, 7, {}, {"headpond"}};
  c.metadata = metadata();
  c.txns = {{"logs-t@0-3", 41}};
  c.adds = {{.path = "kind=a b/100%.parquet",
             .partition_values = {{"kind", "a b"}, {"other", std::nullopt}},
             .size = 9,
             .modification_ms = 8,
             .data_change = false,
             .stats = R"({"numRecords":3})",
             .tags = {{"headpond.versions", "1-2"}}}};
  c.removes = {{"kind=a b/old.parquet", 5, false}};
  const std::string text = serialize(c);
  EXPECT_NE(text.find(R"("path":"kind=a%20b/100%25.parquet")"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("engineInfo":"headpond/0.1.0")"), std::string::npos);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 6);
  const Commit back = parse(text, "x").value();
  EXPECT_EQ(back.headpond, c.headpond);
  EXPECT_EQ(back.adds[0].path, c.adds[0].path);
  EXPECT_EQ(back.adds[0].partition_values, c.adds[0].partition_values);
  EXPECT_EQ(back.metadata->schema[2].type, "decimal(28,2)");
  EXPECT_EQ(back.protocol->writer_features, std::vector<std::string>{"headpond"});
  EXPECT_EQ(serialize(back), text);
}

TEST(DeltaCommit, BrokenLineIsCorruptAndNamesItsPlace) {
  const auto result = parse("{\"commitInfo\":{}}\n{\"add\":{\"path\":", "t/_delta_log/3.json");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kCorrupt);
  EXPECT_NE(result.error().message.find("t/_delta_log/3.json:2:"), std::string::npos) << result.error().message;
}

TEST(DeltaCommit, ANumberBeyond64BitsIsCorrupt) {
  for (const std::string number : {"1e400", "-1e19", "166666666666666666666666666", "9223372036854775808.0"}) {
    const auto result = parse("{\"commitInfo\":{\"timestamp\":" + number + "}}", "0.json");
    ASSERT_FALSE(result) << number;
    EXPECT_EQ(result.error().kind, ErrorKind::kCorrupt);
  }
  EXPECT_TRUE(parse("{\"commitInfo\":{\"timestamp\":9223372036854775807,\"more\":0.5}}", "0.json"));
}

class DeltaTableTest : public testing::Test {
 protected:
  env::MemoryStore memory_;
  env::FaultyStore store_{memory_};
  Table table_{store_, "gold/t"};
};

TEST_F(DeltaTableTest, ReplaysAddsRemovesAndTransactions) {
  EXPECT_EQ(table_.snapshot()->version, Version(-1));
  EXPECT_EQ(table_.latest().value(), Version(-1));
  ASSERT_TRUE(open_or_create(table_, metadata(), 1));
  Commit one = add_commit("one");
  one.txns = {{"app", 5}};
  ASSERT_TRUE(table_.put(Version(1), one));
  EXPECT_EQ(table_.put(Version(1), one).error().kind, ErrorKind::kConflict);
  Snapshot s = table_.snapshot().value();
  Commit two = add_commit("two");
  two.removes = {{"one", 2, true}};
  two.txns = {{"app", 6}};
  ASSERT_TRUE(table_.put(Version(2), two));
  EXPECT_TRUE(table_.refresh(s).value());
  EXPECT_FALSE(table_.refresh(s).value());
  EXPECT_EQ(s.version, Version(2));
  EXPECT_EQ(s.files.size(), 1u);
  EXPECT_TRUE(s.files.contains("two"));
  EXPECT_EQ(s.txns.at("app"), 6);
  EXPECT_EQ(table_.latest(Version(1)).value(), Version(2));
  EXPECT_TRUE(table_.snapshot(Version(1))->files.contains("one"));
  EXPECT_EQ(table_.snapshot(Version(9)).error().kind, ErrorKind::kNotFound);
}

TEST_F(DeltaTableTest, MissingInnerVersionIsCorrupt) {
  ASSERT_TRUE(open_or_create(table_, metadata(), 1));
  ASSERT_TRUE(table_.put(Version(1), add_commit("one")));
  ASSERT_TRUE(table_.put(Version(2), add_commit("two")));
  ASSERT_TRUE(memory_.remove("gold/t/" + log_path(Version(1))));
  const auto result = table_.snapshot();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kCorrupt);
  EXPECT_NE(result.error().message.find("00000000000000000001.json is missing although version 2 exists"), std::string::npos);
}

TEST_F(DeltaTableTest, NewerReaderProtocolIsRefusedWithTheMend) {
  Commit c;
  c.protocol = Protocol{3, 7, {"deletionVectors"}, {"deletionVectors"}};
  c.metadata = metadata();
  ASSERT_TRUE(table_.put(Version(0), c));
  const auto result = table_.snapshot();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kInvalid);
  EXPECT_NE(result.error().message.find("reader version 3 (deletionVectors)"), std::string::npos) << result.error().message;
}

TEST_F(DeltaTableTest, CreateSurvivesALostReplyAndAnotherCreatorAndRefusesAnotherSchema) {
  store_.fail_at(1, env::Fault::kLostReply);
  EXPECT_EQ(open_or_create(table_, metadata(), 1)->version, Version(0));
  Metadata other = metadata();
  other.id = make_uuid(3, 4);
  EXPECT_EQ(open_or_create(table_, other, 1)->metadata.id, metadata().id);
  other.schema[0].type = "string";
  const auto refused = open_or_create(table_, other, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalid);
}

TEST(DeltaUuid, HasVersionAndVariant) {
  EXPECT_EQ(make_uuid(~0ull, ~0ull), "ffffffff-ffff-4fff-bfff-ffffffffffff");
}

// A table made by this folder is read the same by deltalake and by DuckDB's delta extension.
TEST(DeltaOracle, OtherReadersSeeTheSameRows) {
  namespace fs = std::filesystem;
  std::string pattern = (fs::temp_directory_path() / "headpond-delta-XXXXXX").string();
  const std::string directory = ::mkdtemp(pattern.data());
  auto store = env::open_local_store(directory).value();
  Table table(*store, "gold/t");
  ASSERT_TRUE(open_or_create(table, metadata(), 1'795'000'000'000));
  auto sql = sql::Engine::open({}).value();
  std::ofstream expected(directory + "/expected.json");
  const char* kinds[] = {"a", "b c%/:=", ""};
  for (int i = 0; i < 3; ++i) {
    const std::string local = directory + "/part.parquet";
    const auto copied = sql->query(
        "COPY (SELECT r::BIGINT AS id, TIMESTAMPTZ '2026-11-25 10:00:00.000001Z' + r * INTERVAL 1 SECOND AS at, "
        "(r * 1.25)::DECIMAL(28,2) AS amount, DATE '2026-11-25' AS day, CASE WHEN r % 2 = 0 THEN 'n' || r END AS note FROM range(" +
        std::to_string(i * 10) + ", " + std::to_string(i * 10 + 10) + ") t(r)) TO " + sql::quote_literal(local) + " (FORMAT parquet)");
    ASSERT_TRUE(copied) << copied.error().message;
    const std::optional<std::string> kind = i == 2 ? std::nullopt : std::optional<std::string>(kinds[i]);
    Commit commit;
    commit.timestamp_ms = 1'795'000'000'000 + i;
    commit.operation = "WRITE";
    commit.blind_append = true;
    commit.headpond = R"({"format":1})";
    commit.txns = {{"t", i}};
    commit.adds.push_back(upload_file(table, local, "kind=x y/part " + std::to_string(i) + "%.parquet", {{"kind", kind}}, 10, 1).value());
    if (i == 2) commit.removes.push_back({"kind=x y/part 0%.parquet", 1'795'000'000'003, true});
    ASSERT_TRUE(table.put(Version(i + 1), commit));
  }
  const std::string command = std::string("\"${HEADPOND_CACHE:-$HOME/.cache/headpond}/python/bin/python\" ") + HEADPOND_SOURCE_DIR +
                              "/tests/oracle/delta_readers.py " + directory + "/gold/t";
  EXPECT_EQ(std::system(command.c_str()), 0) << command << "\n(tools/setup python installs the readers)";
  fs::remove_all(directory);
}

}  // namespace
}  // namespace headpond::delta
