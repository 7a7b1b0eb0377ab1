// Two writers of one table, and replies that get lost.
#include <gtest/gtest.h>

#include "bronze/test_world.h"
#include "bronze/writer.h"

namespace headpond::bronze {
namespace {

using base::ErrorKind;
using base::Micros;
using base::Offset;
using base::Version;
using testing::add_rows;
using testing::clock_at;
using testing::kNow;
using testing::part;
using testing::TestWorld;

// Loses data files, and does not know it.
class ForgetfulStore final : public testing::ForwardingStore {
 public:
  base::Result<std::unique_ptr<env::WriteStream>> open_write(const std::string& path) override {
    TRY(auto stream, inner.open_write(path));
    return std::make_unique<Stream>(std::move(stream));
  }

 private:
  class Stream final : public env::WriteStream {
   public:
    explicit Stream(std::unique_ptr<env::WriteStream> to) : to_(std::move(to)) {}
    base::Result<void> append(std::string_view bytes) override { return to_->append(bytes); }
    base::Result<void> close() override { return base::fail(ErrorKind::kUnknown, "no answer"); }

   private:
    std::unique_ptr<env::WriteStream> to_;
  };
};

// An object store's own client that retried a conditional put which had won: "it exists already".
class RetryingStore final : public testing::ForwardingStore {
 public:
  base::Result<void> put_if_absent(const std::string& path, std::string_view bytes) override {
    TRY_VOID(inner.put_if_absent(path, bytes));
    if (path.find("_delta_log/") == std::string::npos) return {};
    return base::fail(ErrorKind::kConflict, path + " exists already");
  }
};

class WriterRaceTest : public ::testing::Test {
 protected:
  WriterRaceTest() {
    auto writer = world_.open();
    EXPECT_TRUE(writer) << writer.error().message;
    CommitRequest naming;
    naming.partitions = {part(0), part(1)};
    EXPECT_TRUE((*writer)->commit(naming));
  }
  std::unique_ptr<Writer> open() {
    auto writer = world_.open();
    EXPECT_TRUE(writer) << writer.error().message;
    return std::move(*writer);
  }
  void append(Writer& writer, int partition, std::int64_t first, int count, std::int64_t arrival = kNow) {
    columns::Batch batch(world_.spec.declared);
    add_rows(batch, partition, first, count, arrival);
    ASSERT_TRUE(writer.append(batch));
  }
  void commits_as(Writer& writer, int version, const CommitRequest& request = {}) {
    const auto done = writer.commit(request);
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(done->version, Version(version));
  }
  void fenced(Writer& writer, const std::string& why, const CommitRequest& request = {}) {
    const auto done = writer.commit(request);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::kFenced) << done.error().message;
    EXPECT_NE(done.error().message.find(why), std::string::npos) << done.error().message;
  }
  std::vector<Step> steps() {
    auto all = testing::all_steps(world_.memory);
    EXPECT_TRUE(all) << all.error().message;
    return all ? std::move(*all) : std::vector<Step>{};
  }
  TestWorld world_;
};

TEST_F(WriterRaceTest, TheSlowerWriterOfAPartitionIsFenced) {
  const auto a = open(), b = open();
  append(*a, 0, 0, 5);
  append(*b, 0, 0, 3);
  commits_as(*a, 2);
  fenced(*b, "begins at offset 0, the table is at offset 4: another ingester has taken it over");
  const auto c = open();
  append(*c, 0, 5, 1, kNow + 10'000);
  commits_as(*c, 3);
  EXPECT_EQ(steps().back().clock.partitions().at(part(0)).position, Offset(5));
}

TEST_F(WriterRaceTest, AWriterOfOtherPartitionsOnlyPutsItsJsonAgain) {
  const auto a = open(), b = open();
  append(*a, 0, 0, 5);
  append(*b, 1, 0, 3);
  int data_puts = 0;
  world_.failpoints.on_reach = [&](std::string_view name) { data_puts += name == "ingest.before_data_put" ? 1 : 0; };
  commits_as(*a, 2);
  commits_as(*b, 3);
  EXPECT_EQ(data_puts, 2);
  const auto commit = delta::Table(world_.memory, "bronze/logs").read(Version(3));
  EXPECT_EQ(commit->adds.at(0).tags.at("headpond.versions"), "3-3");  // restated for the version it became
  const auto all = steps();
  EXPECT_EQ(all.at(3).clock.partitions().at(part(0)).position, Offset(4));
  EXPECT_EQ(all.at(3).clock.partitions().at(part(1)).position, Offset(2));
}

TEST_F(WriterRaceTest, AWriterLongOvertakenFollowsAllVersionsFirst) {
  const auto a = open(), b = open();
  append(*b, 1, 0, 1);
  for (int i = 0; i < 5; ++i) {
    append(*a, 0, i, 1, kNow + i * 10'000);
    commits_as(*a, 2 + i);
  }
  commits_as(*b, 7);
  EXPECT_EQ(b->table_clock().positions(), steps().back().clock.positions());
}

TEST_F(WriterRaceTest, AWriterThatSharesTheTablePutsItsLogEntryOnce) {
  const auto a = open();
  WriterOptions shared;
  shared.shared = true;
  auto b = world_.open(shared);
  ASSERT_TRUE(b) << b.error().message;
  append(**b, 1, 0, 1);
  for (int i = 0; i < 5; ++i) {
    append(*a, 0, i, 1, kNow + i * 10'000);
    commits_as(*a, 2 + i);
  }
  int log_puts = 0;
  world_.failpoints.on_reach = [&](std::string_view name) { log_puts += name == "ingest.after_log_put" ? 1 : 0; };
  commits_as(**b, 7);
  EXPECT_EQ(log_puts, 1);
  // What is overtaken between reading and putting is put again.
  append(**b, 1, 1, 1, kNow + 60'000);
  append(*a, 0, 5, 1, kNow + 60'000);
  log_puts = 0;
  world_.failpoints.on_reach = [&](std::string_view name) {
    if (name == "ingest.after_data_put" && log_puts++ == 0) {
      EXPECT_TRUE(a->commit({}));
    }
  };
  commits_as(**b, 9);
}

TEST_F(WriterRaceTest, AZombieBelowAPublishedClockIsRefused) {
  const auto zombie = open(), owner = open();
  append(*zombie, 0, 0, 5, kNow);
  CommitRequest beat;
  beat.clocks = {clock_at(0, kNow + 1, -1)};  // "until then nothing had arrived", at the very position the zombie writes behind
  commits_as(*owner, 2, beat);
  fenced(*zombie, "below the published clock");
  EXPECT_EQ(steps().size(), 3u);
}

TEST_F(WriterRaceTest, AClockProvenBeforeAnothersRowsIsLeftOut) {
  const auto a = open(), b = open();
  append(*b, 0, 0, 2);
  commits_as(*b, 2);
  CommitRequest beat;
  beat.clocks = {clock_at(0, kNow + 60'000'000, -1), clock_at(1, kNow, -1)};
  commits_as(*a, 3, beat);
  const auto last = steps().back();
  ASSERT_EQ(last.facts.clocks.size(), 1u);
  EXPECT_EQ(last.facts.clocks[0].partition, part(1));
  EXPECT_EQ(last.clock.partitions().at(part(0)).clock, Micros(kNow + 1000));
}

TEST_F(WriterRaceTest, StalledIsRecomputedOnTheVersionThatOvertook) {
  const auto a = open(), b = open();
  append(*a, 0, 0, 2);
  append(*b, 1, 0, 2);
  bool once = true;
  world_.failpoints.on_reach = [&](std::string_view name) {
    if (name != "ingest.after_data_put" || !once) return;
    once = false;
    commits_as(*b, 2);  // partition 1 moves while A is about to call it stalled
  };
  CommitRequest request;
  request.stalled = {{part(1), "no owner"}};
  commits_as(*a, 3, request);
  EXPECT_TRUE(steps().back().facts.stalled.empty());
  EXPECT_TRUE(steps().back().clock.stalled().empty());
}

TEST_F(WriterRaceTest, StalledOfWhatDidNotMoveIsKept) {
  const auto a = open(), b = open();
  append(*a, 0, 0, 2);
  CommitRequest beat;
  beat.leader_epochs = {{part(1), 4}};
  commits_as(*b, 2, beat);
  CommitRequest request;
  request.stalled = {{part(1), "no owner"}};
  commits_as(*a, 3, request);
  ASSERT_EQ(steps().back().clock.stalled().size(), 1u);
  commits_as(*a, 3, request);  // saying it again is no news
}

TEST_F(WriterRaceTest, ALostReplyOfAWonCommitIsRecognised) {
  const auto a = open();
  append(*a, 0, 0, 5);
  world_.store.fail_at(2, env::Fault::kLostReply);  // 1: the data file, 2: the log
  commits_as(*a, 2);
  append(*a, 0, 5, 1, kNow + 10'000);
  commits_as(*a, 3);
  EXPECT_EQ(steps().size(), 4u);
}

TEST_F(WriterRaceTest, ALostReplyOfAHeartbeatIsNoSecondVersion) {
  const auto a = open();
  CommitRequest beat;
  beat.clocks = {clock_at(0, kNow, -1)};
  world_.store.fail_at(1, env::Fault::kLostReply);
  commits_as(*a, 2, beat);
  EXPECT_EQ(a->table_clock().partitions().at(part(0)).clock, Micros(kNow));
  EXPECT_EQ(steps().size(), 3u);
}

TEST_F(WriterRaceTest, ALostReplyOfADataFileIsSettledByLookingAtIt) {
  const auto a = open();
  append(*a, 0, 0, 5);
  world_.store.fail_at(1, env::Fault::kLostReply);
  commits_as(*a, 2);
}

TEST_F(WriterRaceTest, ADataFileThatIsNotThereIsNeverCommitted) {
  ForgetfulStore store;
  const auto writer = Writer::open(world_.spec, {}, {store, world_.clock, world_.random, world_.failpoints});
  ASSERT_TRUE(writer);
  append(**writer, 0, 0, 5);
  const auto done = (*writer)->commit({});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kRetry);
  EXPECT_EQ(testing::all_steps(store)->size(), 1u);
}

TEST_F(WriterRaceTest, AWonCommitThatIsSaidToExistIsRecognised) {
  RetryingStore store;
  const auto writer = Writer::open(world_.spec, {}, {store, world_.clock, world_.random, world_.failpoints});
  ASSERT_TRUE(writer) << writer.error().message;
  append(**writer, 0, 0, 5);
  commits_as(**writer, 1);
  append(**writer, 0, 5, 1, kNow + 10'000);
  commits_as(**writer, 2);
  EXPECT_EQ(testing::all_steps(store)->size(), 3u);
}

TEST_F(WriterRaceTest, ARefusedLogPutPublishesNothing) {
  const auto a = open();
  append(*a, 0, 0, 5);
  world_.store.fail_at(2, env::Fault::kRefuse);
  const auto done = a->commit({});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kRetry);
  EXPECT_EQ(steps().size(), 2u);
}

TEST_F(WriterRaceTest, AnUnknownOutcomeThatCannotBeReadIsSaidToBeUnknown) {
  const auto a = open();
  append(*a, 0, 0, 5);
  world_.store.fail_at(2, env::Fault::kDieAfter);
  const auto done = a->commit({});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kUnknown);
  world_.store.revive();
  EXPECT_EQ(open()->table_clock().partitions().at(part(0)).position, Offset(4));  // the table tells
}

TEST_F(WriterRaceTest, ColumnsAddedMeanwhileAreFollowed) {
  const auto a = open();
  append(*a, 0, 0, 5);
  TestWorld wider;
  wider.spec.declared.push_back({"user_id", columns::Type::kString});
  env::SeededRandom random(99);
  ASSERT_TRUE(Writer::open(wider.spec, {}, {world_.store, world_.clock, random, world_.failpoints}));
  commits_as(*a, 3);
}

TEST_F(WriterRaceTest, AColumnTypeAnotherIntroducedMeanwhileStops) {
  world_.spec.declared.push_back({"user_id", columns::Type::kString});
  delta::Table table(world_.memory, "bronze/logs");
  const auto a = open();  // adds the column as version 2
  append(*a, 0, 0, 5);
  auto commit = *table.read(Version(2));
  for (auto& field : commit.metadata->schema)
    if (field.name == "user_id") field.type = "long";
  ASSERT_TRUE(table.put(Version(3), commit));
  const auto done = a->commit({});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kInvalid);
  EXPECT_NE(done.error().message.find("column 'user_id' is long in the table"), std::string::npos) << done.error().message;
}

TEST_F(WriterRaceTest, APartitionNamedByTwoIsNamedOnce) {
  const auto a = open(), b = open();
  CommitRequest grown;
  grown.partitions = {part(0), part(1), part(2)};
  commits_as(*a, 2, grown);
  append(*b, 2, 0, 1);
  commits_as(*b, 3, grown);
  EXPECT_TRUE(steps().back().facts.partitions.empty());
}

}  // namespace
}  // namespace headpond::bronze
