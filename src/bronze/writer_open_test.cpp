// What a Writer refuses to open, and what it changes in order to open.
#include <gtest/gtest.h>

#include "bronze/test_world.h"
#include "bronze/writer.h"

namespace headpond::bronze {
namespace {

using base::ErrorKind;
using base::Version;
using testing::TestWorld;

class WriterOpenTest : public ::testing::Test {
 protected:
  void refused(ErrorKind kind, const std::string& why) {
    const auto writer = world_.open();
    ASSERT_FALSE(writer);
    EXPECT_EQ(writer.error().kind, kind) << writer.error().message;
    EXPECT_NE(writer.error().message.find(why), std::string::npos) << writer.error().message;
  }
  TestWorld world_;
  delta::Table table_{world_.memory, "bronze/logs"};
};

TEST_F(WriterOpenTest, RefusesAStoreThatLetsTwoConditionalWritesWin) {
  testing::CarelessStore store;
  const auto writer = Writer::open(world_.spec, {}, {store, world_.clock, world_.random, world_.failpoints});
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().kind, ErrorKind::kInvalid);
  EXPECT_NE(writer.error().message.find("bent:// does not honour put-if-absent"), std::string::npos) << writer.error().message;
  EXPECT_EQ(store.list("bronze/", "", 0)->size(), 0u);  // and leaves nothing behind
}

TEST_F(WriterOpenTest, LeavesNoProbeBehind) {
  ASSERT_TRUE(world_.open());
  EXPECT_TRUE(world_.memory.list("bronze/logs/_headpond/probe/")->empty());
}

TEST_F(WriterOpenTest, RefusesATableOfAnotherProtocol) {
  delta::Commit foreign;
  foreign.operation = "CREATE TABLE";
  foreign.protocol.emplace();
  foreign.metadata.emplace();
  foreign.metadata->id = "x";
  foreign.metadata->schema = {{"a", "string"}};
  ASSERT_TRUE(table_.put(Version(0), foreign));
  refused(ErrorKind::kInvalid, "it was not written by Headpond; point `bronze.location` at an empty place");
}

TEST_F(WriterOpenTest, RefusesATableThatAnotherProgramCommittedTo) {
  ASSERT_TRUE(world_.open());
  delta::Commit foreign;
  foreign.operation = "WRITE";
  ASSERT_TRUE(table_.put(Version(1), foreign));
  refused(ErrorKind::kCorrupt, "00000000000000000001.json: another program committed to this table");
}

TEST_F(WriterOpenTest, RefusesANewerFormatWithTheVersionToInstall) {
  ASSERT_TRUE(world_.open());
  delta::Commit newer;
  newer.operation = "WRITE";
  newer.headpond = R"({"format":2,"needs":"3.1.0"})";
  ASSERT_TRUE(table_.put(Version(1), newer));
  refused(ErrorKind::kInvalid, "install Headpond 3.1.0 or later");
}

TEST_F(WriterOpenTest, RefusesATableWithAHole) {
  auto writer = world_.open();
  ASSERT_TRUE(writer);
  for (int i = 0; i < 3; ++i) {
    CommitRequest request;
    request.partitions = {testing::part(i)};
    ASSERT_TRUE((*writer)->commit(request));
  }
  ASSERT_TRUE(world_.memory.remove("bronze/logs/" + delta::log_path(Version(2))));
  refused(ErrorKind::kCorrupt, "00000000000000000002.json is missing, though version 3 exists");
}

TEST_F(WriterOpenTest, AddsDeclaredColumnsInACommitOfTheirOwn) {
  ASSERT_TRUE(world_.open());
  world_.spec.declared.push_back({"user_id", columns::Type::kString});
  const auto writer = world_.open();
  ASSERT_TRUE(writer) << writer.error().message;
  EXPECT_EQ((*writer)->version(), Version(1));
  const auto commit = table_.read(Version(1));
  ASSERT_TRUE(commit);
  EXPECT_TRUE(commit->adds.empty());
  ASSERT_TRUE(commit->metadata);
  const auto& schema = commit->metadata->schema;
  EXPECT_EQ(schema.at(schema.size() - 2).name, "user_id");
  EXPECT_EQ(schema.back().name, "ingest_date");
  EXPECT_EQ(commit->metadata->id, table_.read(Version(0))->metadata->id);
}

TEST_F(WriterOpenTest, KeepsColumnsThatAreNoLongerDeclared) {
  ASSERT_TRUE(world_.open());
  world_.spec.declared.pop_back();
  const auto writer = world_.open();
  ASSERT_TRUE(writer) << writer.error().message;
  EXPECT_EQ((*writer)->version(), Version(0));
}

TEST_F(WriterOpenTest, RefusesAChangedColumnTypeWithTheMend) {
  ASSERT_TRUE(world_.open());
  world_.spec.declared.back().type = columns::Type::kString;
  refused(ErrorKind::kInvalid, "column 'status' is integer in the table at memory://bronze/logs and string in the topology");
  refused(ErrorKind::kInvalid, "give the new one another name");
}

TEST_F(WriterOpenTest, PassesOnWhyTheStoreDoesNotAnswer) {
  world_.store.refuse("bronze/");
  refused(ErrorKind::kRetry, "the store does not answer");
}

}  // namespace
}  // namespace headpond::bronze
