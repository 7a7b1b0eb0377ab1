#include "bronze/tail.h"

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

// What a reader sees when the table is created between its first look and its list.
class CreatedMeanwhile final : public env::ObjectStore {
 public:
  explicit CreatedMeanwhile(env::ObjectStore& inner) : inner_(inner) {}
  base::Result<std::string> get(const std::string& path) override {
    if (!listed_) return base::fail(ErrorKind::kNotFound, path);
    return inner_.get(path);
  }
  base::Result<std::vector<env::ObjectMeta>> list(const std::string& prefix, const std::string& after, std::size_t limit) override {
    listed_ = true;
    return inner_.list(prefix, after, limit);
  }
  base::Result<std::string> get_range(const std::string& path, std::int64_t offset, std::int64_t length) override {
    return inner_.get_range(path, offset, length);
  }
  base::Result<env::ObjectMeta> head(const std::string& path) override { return inner_.head(path); }
  base::Result<void> put(const std::string& path, std::string_view bytes) override { return inner_.put(path, bytes); }
  base::Result<void> put_if_absent(const std::string& path, std::string_view bytes) override { return inner_.put_if_absent(path, bytes); }
  base::Result<void> remove(const std::string& path) override { return inner_.remove(path); }
  base::Result<std::unique_ptr<env::WriteStream>> open_write(const std::string& path) override { return inner_.open_write(path); }
  std::string describe() const override { return inner_.describe(); }
  std::optional<std::string> local_path(const std::string& path) const override { return inner_.local_path(path); }

 private:
  env::ObjectStore& inner_;
  bool listed_ = false;
};

class TailTest : public ::testing::Test {
 protected:
  // Versions 0 create, 1 names, then one of four rows each.
  void write(int versions) {
    auto writer = world_.open();
    ASSERT_TRUE(writer) << writer.error().message;
    writer_ = std::move(*writer);
    CommitRequest naming;
    naming.partitions = {part(0)};
    ASSERT_TRUE(writer_->commit(naming));
    for (int i = 0; i < versions - 2; ++i) {
      columns::Batch batch(world_.spec.declared);
      add_rows(batch, 0, i * 4, 4, kNow + i * 1'000'000);
      ASSERT_TRUE(writer_->append(batch));
      ASSERT_TRUE(writer_->commit({}));
    }
  }
  base::Result<Tail> open(int after) { return Tail::open(world_.store, "bronze/logs", Version(after)); }
  std::string log(int version) const { return "bronze/logs/" + delta::log_path(Version(version)); }
  void edit(int version, const std::string& from, const std::string& to) {
    auto text = *world_.memory.get(log(version));
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << text;
    ASSERT_TRUE(world_.memory.put(log(version), text.replace(at, from.size(), to)));
  }
  void stops(int after, ErrorKind kind, const std::string& why) {
    auto tail = open(after);
    base::Error error{ErrorKind::kRetry, "nothing stopped it"};
    if (!tail) {
      error = tail.error();
    } else {
      for (int i = 0; i < 1000; ++i)
        if (const auto step = tail->next(); !step) {
          error = step.error();
          break;
        }
    }
    EXPECT_EQ(error.kind, kind) << error.message;
    EXPECT_NE(error.message.find(why), std::string::npos) << error.message;
  }
  TestWorld world_;
  std::unique_ptr<Writer> writer_;
};

TEST_F(TailTest, ATableCreatedBetweenTheLookAndTheListIsNotDamaged) {
  write(3);
  CreatedMeanwhile store(world_.store);
  const auto tail = Tail::open(store, "bronze/logs", Version(-1));
  EXPECT_TRUE(tail) << tail.error().message;
}

TEST_F(TailTest, OfNoTableIsNotFound) {
  stops(-1, ErrorKind::kNotFound, "no bronze table at memory://bronze/logs yet");
}

TEST_F(TailTest, YieldsEachVersionOnceWithTheClockBehindIt) {
  write(4);
  auto tail = open(-1);
  ASSERT_TRUE(tail) << tail.error().message;
  for (int version = 0; version < 4; ++version) {
    const auto step = tail->next();
    ASSERT_TRUE(step) << step.error().message;
    ASSERT_TRUE(*step);
    EXPECT_EQ((*step)->version, Version(version));
    EXPECT_EQ((*step)->files.size(), version < 2 ? 0u : 1u);
    if (version >= 2) {
      EXPECT_EQ((*step)->clock.partitions().at(part(0)).position, Offset((version - 1) * 4 - 1));
    }
    EXPECT_EQ((*step)->committed_at, Micros(kNow));
  }
  EXPECT_FALSE(*tail->next());
  EXPECT_EQ(tail->metadata().name, "acme-logs");
}

TEST_F(TailTest, OpensBehindAVersionWithAllThatWasBefore) {
  write(5);
  auto tail = open(3);
  ASSERT_TRUE(tail) << tail.error().message;
  EXPECT_EQ(tail->version(), Version(3));
  EXPECT_EQ(tail->clock().partitions().at(part(0)).position, Offset(7));
  EXPECT_EQ(tail->metadata().schema.back().name, "ingest_date");
  const auto step = tail->next();
  ASSERT_TRUE(step && *step);
  EXPECT_EQ((*step)->version, Version(4));
}

TEST_F(TailTest, SeesAVersionAsSoonAsItIsThere) {
  write(3);
  auto tail = open(2);
  ASSERT_TRUE(tail);
  EXPECT_FALSE(*tail->next());
  CommitRequest beat;
  beat.clocks = {clock_at(0, kNow + 9'000'000, 3)};
  ASSERT_TRUE(writer_->commit(beat));
  const auto step = tail->next();
  ASSERT_TRUE(step && *step);
  EXPECT_TRUE((*step)->files.empty());
  EXPECT_EQ((*step)->clock.smallest_unstalled(), Micros(kNow + 9'000'000));
}

TEST_F(TailTest, SkipsNothingWhenTheStoreDoesNotAnswer) {
  write(4);
  auto tail = open(2);
  ASSERT_TRUE(tail);
  world_.store.refuse("bronze/");
  const auto refused = tail->next();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kRetry);
  world_.store.refuse("");
  const auto step = tail->next();
  ASSERT_TRUE(step && *step);
  EXPECT_EQ((*step)->version, Version(3));
}

TEST_F(TailTest, BehindTheEndOfTheTableIsCorrupt) {
  write(3);
  stops(7, ErrorKind::kCorrupt, "ends at version 2, but version 7 was consumed before");
}

TEST_F(TailTest, StopsAtAMissingVersionWhileReplaying) {
  write(5);
  ASSERT_TRUE(world_.memory.remove(log(2)));
  stops(4, ErrorKind::kCorrupt, "00000000000000000002.json is missing, though version 4 exists");
}

TEST_F(TailTest, StopsAtAMissingVersionWhileWaitingForIt) {
  write(5);
  ASSERT_TRUE(world_.memory.remove(log(3)));
  stops(2, ErrorKind::kCorrupt, "00000000000000000003.json is missing, though version 4 exists");
}

TEST_F(TailTest, StopsAtAMissingFirstVersion) {
  write(3);
  ASSERT_TRUE(world_.memory.remove(log(0)));
  stops(-1, ErrorKind::kCorrupt, "00000000000000000000.json is missing, though version 2 exists");
}

TEST_F(TailTest, StopsAtACommitOfAnotherProgram) {
  write(3);
  delta::Commit foreign;
  foreign.operation = "WRITE";
  ASSERT_TRUE(delta::Table(world_.memory, "bronze/logs").put(Version(3), foreign));
  stops(2, ErrorKind::kCorrupt, "another program committed to this table");
}

TEST_F(TailTest, StopsAtFactsThatContradictTheOnesBefore) {
  write(4);
  edit(3, ",4,7,4,", ",3,7,5,");
  stops(2, ErrorKind::kCorrupt, "logs@0 partition 0: offsets 3-7 do not follow offset 3; run `headpond audit`");
}

TEST_F(TailTest, StopsAtAFileWithoutStats) {
  write(4);
  edit(3, R"(\"numRecords\")", R"(\"records\")");
  stops(2, ErrorKind::kCorrupt, "stats cannot be read");
}

TEST_F(TailTest, OfANewerFormatNamesTheVersionToInstall) {
  write(4);
  edit(3, R"("format":1,"needs":"0.1.0")", R"("format":9,"needs":"9.0.0")");
  stops(2, ErrorKind::kInvalid, "install Headpond 9.0.0 or later");
}

TEST_F(TailTest, FilesThatAddNoRowsAreNotFilesOfAStep) {
  write(4);
  edit(3, R"("dataChange":true)", R"("dataChange":false)");
  auto tail = open(2);
  ASSERT_TRUE(tail);
  const auto step = tail->next();
  ASSERT_TRUE(step && *step);
  EXPECT_TRUE((*step)->files.empty());
}

TEST(StagedDeathTest, OffsetsThatDoNotFollowOneAnotherAreOurOwnBug) {
  TestWorld world;
  auto writer = world.open();
  ASSERT_TRUE(writer);
  columns::Batch batch(world.spec.declared);
  add_rows(batch, 0, 0, 2, kNow);
  add_rows(batch, 0, 3, 1, kNow + 5000);
  EXPECT_DEATH(static_cast<void>((*writer)->append(batch)), "offset == partition->last.next\\(\\)");
}

TEST(StagedDeathTest, AnArrivalThatFallsIsOurOwnBug) {
  TestWorld world;
  auto writer = world.open();
  ASSERT_TRUE(writer);
  columns::Batch batch(world.spec.declared);
  add_rows(batch, 0, 0, 2, kNow);
  add_rows(batch, 0, 2, 1, kNow);
  EXPECT_DEATH(static_cast<void>((*writer)->append(batch)), "arrival >= partition->last_arrival");
}

}  // namespace
}  // namespace headpond::bronze
