#include "lease/lease.h"

#include <gtest/gtest.h>

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

TEST_F(LeaseTest, ALostReplyIsStillOurs) {
  Lease a = make("a");
  store_.fail_at(1, env::Fault::kLostReply);
  EXPECT_TRUE(a.acquire().value());
  EXPECT_EQ(a.remaining(), Duration::seconds(3));
}

}  // namespace
}  // namespace headpond::lease
