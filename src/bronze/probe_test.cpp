#include "bronze/probe.h"

#include <gtest/gtest.h>

#include "bronze/test_world.h"
#include "env/fake.h"

namespace headpond::bronze {
namespace {

class ProbeTest : public ::testing::Test {
 protected:
  env::FakeClock clock_;
  env::MemoryStore memory_{&clock_};
  env::FaultyStore store_{memory_};
  env::SeededRandom random_{7};
};

TEST_F(ProbeTest, ALostReplyAtAnyOfItsStepsIsNotTheStoresFault) {
  for (const int step : {1, 2, 3}) {
    store_.fail_at(step, env::Fault::kLostReply);
    EXPECT_TRUE(probe_put_if_absent(store_, "lake", random_)) << step;
  }
}

// An object store's own client repeats what got no answer; the first try had won.
class RetryingStore final : public testing::ForwardingStore {
 public:
  base::Result<void> put_if_absent(const std::string& path, std::string_view bytes) override {
    TRY_VOID(inner.put_if_absent(path, bytes));
    if (--retries < 0) return {};
    return base::fail(base::ErrorKind::kConflict, path + " exists already");
  }
  int retries = 1;
};

TEST_F(ProbeTest, AClientThatRepeatedAPutThatHadWonIsNotTheStoresFault) {
  RetryingStore store;
  EXPECT_TRUE(probe_put_if_absent(store, "lake", random_));
  store.retries = 3;
  const auto probed = probe_put_if_absent(store, "lake", random_);
  ASSERT_FALSE(probed);
  EXPECT_EQ(probed.error().kind, base::ErrorKind::kRetry);
}

TEST_F(ProbeTest, AStoreThatDoesNotAnswerIsToBeTriedLater) {
  store_.refuse("lake");
  const auto probed = probe_put_if_absent(store_, "lake", random_);
  ASSERT_FALSE(probed);
  EXPECT_EQ(probed.error().kind, base::ErrorKind::kRetry);
}

TEST_F(ProbeTest, ALostReplyDoesNotHideAStoreWithoutConditions) {
  testing::CarelessStore careless;
  env::FaultyStore faulty(careless);
  for (const int step : {0, 1, 2, 3}) {  // 0: none
    faulty.fail_at(step, env::Fault::kLostReply);
    const auto probed = probe_put_if_absent(faulty, "lake", random_);
    ASSERT_FALSE(probed) << step;
    EXPECT_EQ(probed.error().kind, base::ErrorKind::kInvalid) << probed.error().message;
  }
}

}  // namespace
}  // namespace headpond::bronze
