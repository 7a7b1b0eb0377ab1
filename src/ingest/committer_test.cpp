#include "ingest/committer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <future>
#include <latch>
#include <thread>

#include "env/fake.h"

namespace headpond::ingest {
namespace {

using testing::ElementsAre;

const std::vector<columns::ColumnSpec> kDeclared = {{"tenant", columns::Type::kString}};

// Notes what it is asked for; publishing waits until it may, and fails where it is told to.
class FakeWriter final : public bronze::Writer {
 public:
  struct Notes {
    std::mutex mutex;
    std::vector<std::string> calls;
    std::promise<void> release;
    std::shared_future<void> released = release.get_future().share();
    std::atomic<bool> append_fails = false, publish_fails = false;
    std::atomic<std::int64_t> appended = 0, follows = 0;
    std::atomic<base::ErrorKind> follow_fails = base::ErrorKind::kConflict;  // stands for none
    std::atomic<int> closing = 0;
    std::atomic<bool> close_together = false, close_fails = false;
    std::latch both_closing{2};
    std::promise<void> begin;  // of encoding a row at offset kHeldOffset
    std::shared_future<void> begun = begin.get_future().share();
  };
  static constexpr std::int64_t kHeldOffset = 777;
  FakeWriter(Notes& notes, std::size_t lanes) : notes_(notes) {
    for (std::size_t i = 0; i < lanes; ++i) stages_.emplace_back(notes_, i == 0 ? "" : " in lane " + std::to_string(i));
  }

  const bronze::TableClock& table_clock() const override { return clock_; }
  base::Version version() const override { return version_; }
  Stage& stage(std::size_t lane) override { return stages_.at(lane); }
  base::Result<bronze::CommitResult> publish(std::vector<std::unique_ptr<Cut>> cuts, const bronze::CommitRequest&) override {
    notes_.released.wait();
    if (notes_.publish_fails) return base::fail(base::ErrorKind::kFenced, "another writer owns partition 0");
    version_ = version_.next();
    bronze::CommitResult result{version_};
    for (const auto& cut : cuts) result.rows += static_cast<Rows&>(*cut).rows;
    return result;
  }
  base::Result<void> follow() override {
    ++notes_.follows;
    if (notes_.follow_fails != base::ErrorKind::kConflict) return base::fail(notes_.follow_fails, "while following");
    return {};
  }

 private:
  struct Rows final : Cut {
    explicit Rows(Notes& all) : notes(all) {}
    base::Result<void> close() override {
      ++notes.closing;
      if (notes.close_together) notes.both_closing.arrive_and_wait();
      if (notes.close_fails) return base::fail(base::ErrorKind::kRetry, "the bucket is gone");
      return {};
    }
    Notes& notes;
    std::int64_t rows = 0;
  };
  class FakeStage final : public Stage {
   public:
    FakeStage(Notes& notes, std::string where) : notes_(notes), where_(std::move(where)) {}
    std::int64_t rows() const override { return rows_; }
    std::size_t memory() const override { return static_cast<std::size_t>(rows_) * 100; }
    base::Result<void> append(const columns::Batch& batch) override {
      if (batch.kafka_offset[0] == kHeldOffset) notes_.begun.wait();
      if (notes_.append_fails) return base::fail(base::ErrorKind::kRetry, "the store is full");
      rows_ += static_cast<std::int64_t>(batch.rows());
      note("append " + std::to_string(batch.kafka_offset[0]));
      ++notes_.appended;
      return {};
    }
    void declare_gap(const std::string&, base::PartitionId, base::Offset first, base::Offset, const std::string&, base::Micros) override {
      note("gap " + std::to_string(first.value()));
    }
    std::unique_ptr<Cut> cut() override {
      auto cut = std::make_unique<Rows>(notes_);
      cut->rows = std::exchange(rows_, 0);
      note("cut");
      return cut;
    }

   private:
    void note(const std::string& call) {
      const std::lock_guard lock(notes_.mutex);
      notes_.calls.push_back(call + where_);
    }
    Notes& notes_;
    std::string where_;
    std::int64_t rows_ = 0;
  };

  Notes& notes_;
  std::deque<FakeStage> stages_;
  bronze::TableClock clock_;
  base::Version version_{0};
};

class CommitterTest : public testing::Test {
 protected:
  std::unique_ptr<Committer> committer(const env::Workers& workers, std::size_t lanes = 1) {
    return std::make_unique<Committer>(std::make_unique<FakeWriter>(notes_, lanes), kDeclared, workers, clock_, lanes);
  }
  columns::Batch& filled(std::int64_t offset) {
    const auto row = batch_.begin_row("{}");
    batch_.kafka_offset[row.index] = offset;
    return batch_;
  }
  std::vector<std::string> calls() {
    const std::lock_guard lock(notes_.mutex);
    return notes_.calls;
  }
  // Until `there` holds, at most 20 s.
  template <class Condition>
  bool reached(Condition there) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!there())
      if (std::chrono::steady_clock::now() > deadline) return false;
    return true;
  }

  env::FakeClock clock_;
  FakeWriter::Notes notes_;
  columns::Batch batch_{kDeclared};
};

TEST_F(CommitterTest, WithoutWorkersEverythingIsDoneAtOnceAndInOrder) {
  notes_.release.set_value();
  auto c = committer({});
  batch_.source = "logs@0";
  ASSERT_TRUE(c->append(filled(0)));
  EXPECT_TRUE(batch_.empty());
  EXPECT_EQ(batch_.source, "logs@0");
  c->declare_gap("logs@0", base::PartitionId(0), base::Offset(1), base::Offset(1), "control", {});
  ASSERT_TRUE(c->append(filled(2)));
  EXPECT_FALSE(c->take());
  c->commit({});
  const auto done = c->take();
  ASSERT_TRUE(done && *done);
  EXPECT_EQ((*done)->result.rows, 2);
  EXPECT_FALSE(c->committing());
  EXPECT_THAT(calls(), ElementsAre("append 0", "gap 1", "append 2", "cut"));
}

TEST_F(CommitterTest, RowsGoOnBeingEncodedWhileACommitIsUnderWay) {
  auto c = committer(env::thread_worker);
  ASSERT_TRUE(c->append(filled(0)));
  c->commit({});
  // More than the batches that may wait: they can only go in because they are encoded meanwhile.
  for (std::int64_t i = 1; i <= 8; ++i) ASSERT_TRUE(c->append(filled(i)));
  ASSERT_TRUE(reached([&] { return notes_.appended == 9; }));
  EXPECT_FALSE(c->take());  // the store has not answered
  EXPECT_TRUE(c->committing());
  notes_.release.set_value();
  const auto first = c->wait();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->result.rows, 1);
  c->commit({});
  const auto second = c->wait();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->result.rows, 8);
  EXPECT_EQ(second->result.version, base::Version(2));
}

TEST_F(CommitterTest, ACommitHasOfEachLaneWhatWasAppendedBeforeIt) {
  notes_.release.set_value();
  auto c = committer(env::thread_worker, 2);
  ASSERT_TRUE(c->append(filled(FakeWriter::kHeldOffset), 1));  // lane 1 is slow
  ASSERT_TRUE(c->append(filled(0), 0));
  c->commit({});
  ASSERT_TRUE(c->append(filled(1), 0));
  ASSERT_TRUE(c->append(filled(2), 1));
  ASSERT_TRUE(reached([&] { return notes_.appended == 2; }));  // lane 0 goes on
  EXPECT_FALSE(c->take());                                     // the commit waits for lane 1
  notes_.begin.set_value();
  const auto first = c->wait();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->result.rows, 2);
  c->commit({});
  const auto second = c->wait();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->result.rows, 2);
}

TEST_F(CommitterTest, FilesOfLanesAreClosedSideBySide) {
  notes_.release.set_value();
  notes_.close_together = true;  // none returns before the other is at it
  auto c = committer(env::thread_worker, 2);
  c->commit({});
  ASSERT_TRUE(c->wait());
  EXPECT_EQ(notes_.closing, 2);
}

TEST_F(CommitterTest, AFileThatCannotBeClosedFailsTheCommit) {
  notes_.release.set_value();
  notes_.close_fails = true;
  auto c = committer(env::thread_worker, 2);
  c->commit({});
  const auto done = c->wait();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "the bucket is gone");
}

TEST_F(CommitterTest, AFailedCommitIsToldAndNothingGoesInAfterIt) {
  notes_.publish_fails = true;
  notes_.release.set_value();
  auto c = committer(env::thread_worker);
  c->commit({});
  const auto done = c->wait();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, base::ErrorKind::kFenced);
  const auto appended = c->append(filled(0));
  ASSERT_FALSE(appended);
  EXPECT_EQ(appended.error().kind, base::ErrorKind::kFenced);
}

TEST_F(CommitterTest, ARowThatCannotBeEncodedFailsTheCommitBehindIt) {
  notes_.append_fails = true;
  notes_.release.set_value();
  auto c = committer(env::thread_worker);
  ASSERT_TRUE(c->append(filled(0)));
  c->commit({});
  const auto done = c->wait();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "the store is full");
}

TEST_F(CommitterTest, KeepingUpBetweenCommitsForgivesABusyStoreAndTellsWhatIsFinal) {
  notes_.release.set_value();
  auto c = committer({});
  notes_.follow_fails = base::ErrorKind::kUnknown;
  c->keep_up();
  EXPECT_EQ(notes_.follows, 1);
  EXPECT_FALSE(c->committing());
  ASSERT_TRUE(c->append(filled(0)));
  notes_.follow_fails = base::ErrorKind::kFenced;
  c->keep_up();
  const auto appended = c->append(filled(1));
  ASSERT_FALSE(appended);
  EXPECT_EQ(appended.error().kind, base::ErrorKind::kFenced);
}

TEST_F(CommitterTest, EndsWithACommitUnderWayAndBatchesWaiting) {
  auto c = committer(env::thread_worker);
  ASSERT_TRUE(c->append(filled(0)));
  c->commit({});
  ASSERT_TRUE(c->append(filled(1)));
  std::thread later([&] { notes_.release.set_value(); });
  c.reset();
  later.join();
  EXPECT_LE(calls().size(), 3u);
}

}  // namespace
}  // namespace headpond::ingest
