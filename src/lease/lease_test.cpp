#include "lease/lease.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <utility>

#include "env/fake.h"

namespace headpond::lease {
namespace {

using base::Duration;
using base::ErrorKind;

class LeaseTest : public testing::Test {
 protected:
  Lease make(const std::string& holder) { return Lease(store_, clock_, random_, {.root = "l", .holder = holder}); }
  env::MemoryStore memory_;
  env::FaultyStore store_{memory_};
  env::FakeClock clock_;
  env::SeededRandom random_;
};

TEST_F(LeaseTest, ASuccessorWaitsLeaseAndGraceFromTheLastRenewal) {
  Lease a = make("a"), b = make("b");
  EXPECT_TRUE(a.acquire().value());
  EXPECT_FALSE(b.acquire().value());
  clock_.advance(Duration::seconds(2));
  ASSERT_TRUE(a.keep());
  EXPECT_FALSE(b.acquire().value());
  clock_.advance(Duration::millis(4999));
  EXPECT_EQ(a.remaining(), Duration(0));
  EXPECT_FALSE(b.acquire().value());
  clock_.advance(Duration::millis(1));
  EXPECT_TRUE(b.acquire().value());
  EXPECT_EQ(b.epoch(), 2);
  EXPECT_EQ(a.keep().error().kind, ErrorKind::kFenced);
  EXPECT_FALSE(a.acquire().value());
}

TEST_F(LeaseTest, AReleaseAndAnEarlierProcessOfTheSameDirectoryNeedNoWait) {
  Lease a = make("a"), b = make("b");
  EXPECT_TRUE(a.acquire().value());
  ASSERT_TRUE(a.release());
  EXPECT_TRUE(b.acquire().value());
  Lease b_again = make("b");
  EXPECT_TRUE(b_again.acquire().value());
  EXPECT_EQ(b_again.epoch(), 3);
  EXPECT_EQ(b.remaining() > Duration(0), true) << "dead processes do not notice";
}

TEST_F(LeaseTest, AHolderThatSleptThroughTakeoversIsFencedThoughItsNumberIsFree) {
  Lease a = make("a"), b = make("b");
  EXPECT_TRUE(a.acquire().value());
  EXPECT_FALSE(b.acquire().value());
  clock_.advance(Duration::seconds(5));
  EXPECT_TRUE(b.acquire().value());
  for (int i = 0; i < 10; ++i) {
    clock_.advance(Duration::seconds(2));
    ASSERT_TRUE(b.keep());
  }
  EXPECT_EQ(memory_.list("l/")->size(), 2u);
  EXPECT_EQ(a.keep().error().kind, ErrorKind::kFenced);
  ASSERT_TRUE(b.keep());
}

// Answers the next put_if_absent with `says`; `lands` tells whether it is carried out nevertheless. A get that follows may fail too.
class BusyStore : public env::ObjectStore {
 public:
  explicit BusyStore(env::ObjectStore& inner) : inner_(inner) {}
  std::optional<ErrorKind> says;
  bool lands = false, get_fails = false;

  base::Result<void> put_if_absent(const std::string& path, std::string_view bytes) override {
    if (!says) return inner_.put_if_absent(path, bytes);
    if (lands) TRY_VOID(inner_.put_if_absent(path, bytes));
    return base::fail(*std::exchange(says, std::nullopt), "409 ConditionalRequestConflict");
  }
  base::Result<std::string> get(const std::string& path) override {
    if (std::exchange(get_fails, false)) return base::fail(ErrorKind::kRetry, "503");
    return inner_.get(path);
  }
  base::Result<std::string> get_range(const std::string& path, std::int64_t offset, std::int64_t length) override {
    return inner_.get_range(path, offset, length);
  }
  base::Result<env::ObjectMeta> head(const std::string& path) override { return inner_.head(path); }
  base::Result<void> put(const std::string& path, std::string_view bytes) override { return inner_.put(path, bytes); }
  base::Result<std::vector<env::ObjectMeta>> list(const std::string& prefix, const std::string& after, std::size_t limit) override {
    return inner_.list(prefix, after, limit);
  }
  base::Result<void> remove(const std::string& path) override { return inner_.remove(path); }
  base::Result<std::unique_ptr<env::WriteStream>> open_write(const std::string& path) override { return inner_.open_write(path); }
  std::string describe() const override { return inner_.describe(); }
  std::optional<std::string> local_path(const std::string& path) const override { return inner_.local_path(path); }

 private:
  env::ObjectStore& inner_;
};

TEST_F(LeaseTest, AConflictThatNobodyCausedIsTriedAgainAndFencesNobody) {
  BusyStore busy(memory_);
  Lease a(busy, clock_, random_, {.root = "l", .holder = "a"});
  ASSERT_TRUE(*a.acquire());
  clock_.advance(Duration::seconds(2));
  busy.says = ErrorKind::kConflict;
  EXPECT_EQ(a.keep().error().kind, ErrorKind::kRetry);
  EXPECT_TRUE(a.held());
  ASSERT_TRUE(a.keep());
  EXPECT_EQ(a.remaining(), Duration::seconds(3));
}

TEST_F(LeaseTest, ARenewalWhoseReplyCameNeverIsOursAtTheNextOne) {
  BusyStore busy(memory_);
  Lease a(busy, clock_, random_, {.root = "l", .holder = "a"});
  ASSERT_TRUE(*a.acquire());
  clock_.advance(Duration::seconds(2));
  busy.says = ErrorKind::kUnknown;
  busy.lands = busy.get_fails = true;
  EXPECT_EQ(a.keep().error().kind, ErrorKind::kRetry);
  ASSERT_TRUE(a.keep());
  EXPECT_EQ(a.remaining(), Duration::seconds(3));
  ASSERT_TRUE(a.release());
  EXPECT_TRUE(make("b").acquire().value());
}

TEST_F(LeaseTest, ALostReplyIsStillOurs) {
  Lease a = make("a");
  store_.fail_at(1, env::Fault::kLostReply);
  EXPECT_TRUE(a.acquire().value());
  EXPECT_EQ(a.remaining(), Duration::seconds(3));
}

// The listing is older than what is read behind it: the holder renews twice in between.
class OldListing final : public BusyStore {
 public:
  using BusyStore::BusyStore;
  std::function<void()> then;

  base::Result<std::vector<env::ObjectMeta>> list(const std::string& prefix, const std::string& after, std::size_t limit) override {
    auto listed = BusyStore::list(prefix, after, limit);
    if (auto now = std::exchange(then, nullptr)) now();
    return listed;
  }
};

TEST_F(LeaseTest, ALeaseThatIsRenewedTwiceBehindAListingIsListedAgain) {
  Lease a = make("a");
  ASSERT_TRUE(*a.acquire());
  OldListing old(memory_);
  Lease b(old, clock_, random_, {.root = "l", .holder = "b"});
  old.then = [&] {
    for (int i = 0; i < 2; ++i) {
      clock_.advance(Duration::seconds(2));
      ASSERT_TRUE(a.keep());
    }
  };
  const auto mine = b.acquire();
  ASSERT_TRUE(mine) << mine.error().message;
  EXPECT_FALSE(*mine);
}

}  // namespace
}  // namespace headpond::lease
