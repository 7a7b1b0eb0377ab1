#include "env/read_many.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "env/fake.h"
#include "env/read_ahead.h"

namespace headpond::env {
namespace {

// Each read waits until `meet` of them are under way, or a deadline is over.
class MeetingStore final : public ObjectStore {
 public:
  MeetingStore(ObjectStore& inner, int at_once, int meet) : inner_(inner), at_once_(at_once), meet_(meet) {}
  base::Result<std::string> get(const std::string& path) override {
    std::unique_lock lock(mutex_);
    most = std::max(most, ++under_way_);
    if (under_way_ == meet_) met_ = true, arrived_.notify_all();
    arrived_.wait_for(lock, std::chrono::seconds(10), [&] { return met_; });
    --under_way_;
    return inner_.get(path);
  }
  base::Result<std::string> get_range(const std::string& path, std::int64_t offset, std::int64_t length) override {
    return inner_.get_range(path, offset, length);
  }
  base::Result<ObjectMeta> head(const std::string& path) override { return inner_.head(path); }
  base::Result<void> put(const std::string& path, std::string_view text) override { return inner_.put(path, text); }
  base::Result<void> put_if_absent(const std::string& path, std::string_view text) override { return inner_.put_if_absent(path, text); }
  base::Result<std::vector<ObjectMeta>> list(const std::string& prefix, const std::string& after, std::size_t limit) override {
    return inner_.list(prefix, after, limit);
  }
  base::Result<void> remove(const std::string& path) override { return inner_.remove(path); }
  base::Result<std::unique_ptr<WriteStream>> open_write(const std::string& path) override { return inner_.open_write(path); }
  std::string describe() const override { return "s3://far/"; }
  std::optional<std::string> local_path(const std::string&) const override { return std::nullopt; }
  int reads_at_once() const override { return at_once_; }

  int most = 0;

 private:
  ObjectStore& inner_;
  const int at_once_, meet_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  int under_way_ = 0;
  bool met_ = false;
};

class ReadManyTest : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 40; ++i) {
      paths_.push_back("o/" + std::to_string(i));
      if (i == 17) continue;
      ASSERT_TRUE(memory_.put(paths_.back(), "text " + std::to_string(i)));
    }
  }
  MemoryStore memory_;
  std::vector<std::string> paths_;
};

TEST_F(ReadManyTest, AFarStoreIsAskedForSeveralAtOnceAndForNoMore) {
  MeetingStore far(memory_, 8, 8);
  const auto read = get_many(far, paths_);
  EXPECT_EQ(far.most, 8);
  ASSERT_EQ(read.size(), paths_.size());
  for (std::size_t i = 0; i < read.size(); ++i) {
    if (i == 17) continue;
    ASSERT_TRUE(read[i]);
    EXPECT_EQ(*read[i], "text " + std::to_string(i));
  }
}

TEST_F(ReadManyTest, WhatIsMissingIsSaidInItsPlace) {
  MeetingStore far(memory_, 8, 1);
  const auto read = get_many(far, paths_);
  ASSERT_FALSE(read[17]);
  EXPECT_EQ(read[17].error().kind, base::ErrorKind::kNotFound);
  EXPECT_TRUE(read[16] && read[18]);
}

TEST_F(ReadManyTest, OtherStoresAreAskedForOneAfterTheOther) {
  MeetingStore near(memory_, 1, 1);
  EXPECT_EQ(get_many(near, paths_).size(), paths_.size());
  EXPECT_EQ(near.most, 1);
}

TEST_F(ReadManyTest, WhatIsExpectedIsReadOnceAndWhatCouldNotBeReadHasItsOwnError) {
  MeetingStore far(memory_, 8, 1);
  ReadAhead ahead(far);
  ahead.expect({paths_[1], paths_[2], paths_[17]});
  ASSERT_TRUE(memory_.remove(paths_[1]));
  EXPECT_EQ(ahead.get(paths_[1]).value(), "text 1");
  EXPECT_EQ(ahead.get_range(paths_[2], 5, 99).value(), "2");
  EXPECT_EQ(ahead.head(paths_[2]).value().size, 6);
  EXPECT_EQ(ahead.get(paths_[17]).error().kind, base::ErrorKind::kNotFound);
  EXPECT_EQ(ahead.get(paths_[3]).value(), "text 3");
  ahead.expect({paths_[2]});
  EXPECT_EQ(ahead.get(paths_[1]).error().kind, base::ErrorKind::kNotFound) << "what is no longer expected is let go";
}

}  // namespace
}  // namespace headpond::env
