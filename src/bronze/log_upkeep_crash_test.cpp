// Upkeep of the log that dies, or is refused, or runs twice, at any moment.
#include <cstdlib>

#include "bronze/test_kept_table.h"

namespace headpond::bronze {
namespace {

using testing::expect_readers_arrive;
using testing::Ingester;
using testing::KeptTable;
using testing::kRecords;
using testing::kRoot;
using testing::scratch;
using testing::TestWorld;
using testing::whole_log;

class LogUpkeepCrashTest : public ::testing::Test, protected KeptTable {};

// Dies or is refused at each call that changes something, and at each failpoint; then another runs to its end.
TEST_F(LogUpkeepCrashTest, AfterACrashAtAnyCallTheNextRunGoesOn) {
  const auto prepare = [](KeptTable& test) {
    test.ingest(15);
    test.kept(base::Duration::hours(1));
    test.ingest();
  };
  prepare(*this);
  const auto whole = whole_log(world_.memory);
  const auto from = world_.store.mutations();
  const auto plain = kept();
  const auto calls = world_.store.mutations() - from;
  ASSERT_GT(calls, 20);
  // HEADPOND_TEST_ALL: each call meets each fault; without it those of the checkpoint do, and of the others every second one meets one.
  const std::int64_t stride = std::getenv("HEADPOND_TEST_ALL") != nullptr ? 1 : 6;
  std::int64_t shift = 0;
  for (const auto fault : {env::Fault::kRefuse, env::Fault::kLostReply, env::Fault::kDieAfter}) {
    for (std::int64_t k = 1; k <= calls; ++k) {
      if (k > 3 && k % stride != shift) continue;
      SCOPED_TRACE("fault " + std::to_string(static_cast<int>(fault)) + " at call " + std::to_string(k));
      KeptTable test;
      prepare(test);
      test.world_.store.fail_at(k, fault);
      (void)test.keep();
      test.world_.store.revive();
      test.expect_clean(test.world_.memory);  // at the crash
      if (k % 5 == 0) expect_readers_arrive(test.world_.memory, whole);
      test.kept();
      EXPECT_EQ(test.oldest(), plain.head);
      test.expect_clean(test.world_.memory);
      if (::testing::Test::HasFailure()) return;
    }
    shift = (shift + 2) % stride;
  }
}

TEST_F(LogUpkeepCrashTest, AnotherRunAtAnyMomentDoesNoHarm) {
  for (const auto* moment : {"upkeep.after_checkpoint_file", "upkeep.after_facts", "upkeep.after_checkpoint", "upkeep.after_ledger",
                             "upkeep.after_delete", "upkeep.after_old_facts"}) {
    SCOPED_TRACE(moment);
    KeptTable test;
    test.ingest(15);
    test.kept(base::Duration::hours(1));
    test.ingest(25);
    bool done = false;
    test.world_.failpoints.on_reach = [&](std::string_view name) {
      if (done || name != moment) return;
      done = true;
      test.ingest();  // the table goes on meanwhile
      const auto other = test.keep();
      EXPECT_TRUE(other) << other.error().message;
    };
    const auto report = test.keep();
    EXPECT_TRUE(done) << "never reached";
    EXPECT_TRUE(report || report.error().kind == base::ErrorKind::kRetry) << report.error().message;
    test.world_.failpoints.on_reach = nullptr;
    test.kept({}, false);
    test.expect_clean(test.world_.memory);
    if (::testing::Test::HasFailure()) return;
  }
}

// HEADPOND_TEST_SEED alone, or ten fixed seeds and ten fresh ones.
std::vector<std::uint64_t> seeds() {
  if (const auto* text = std::getenv("HEADPOND_TEST_SEED")) return {std::strtoull(text, nullptr, 10)};
  const auto fresh = static_cast<std::uint64_t>(::testing::UnitTest::GetInstance()->start_timestamp());
  std::vector<std::uint64_t> out;
  for (std::uint64_t i = 1; i <= 10; ++i) out.push_back(i);
  for (std::uint64_t i = 0; i < 10; ++i) out.push_back(fresh + i);
  std::printf("seeds 1-10 and %llu-%llu; HEADPOND_TEST_SEED=N repeats one\n", static_cast<unsigned long long>(fresh),
              static_cast<unsigned long long>(fresh + 9));
  return out;
}

// Whose clean-up removes a checkpoint at the first look at one of its objects.
class VanishingStore final : public testing::ForwardingStore {
 public:
  VanishingStore(env::ObjectStore& from, const std::string& facts, const std::string& file, std::string at)
      : facts_(facts), file_(file), at_(std::move(at)) {
    const auto objects = *from.list("");
    for (const auto& object : objects) EXPECT_TRUE(inner.put(object.path, *from.get(object.path)));
  }
  base::Result<std::string> get(const std::string& path) override { return vanish(path), ForwardingStore::get(path); }
  base::Result<std::string> get_range(const std::string& path, std::int64_t offset, std::int64_t length) override {
    return vanish(path), ForwardingStore::get_range(path, offset, length);
  }
  base::Result<env::ObjectMeta> head(const std::string& path) override { return vanish(path), ForwardingStore::head(path); }
  int vanished = 0;

 private:
  void vanish(const std::string& path) {
    if (path != at_ || vanished++ > 0) return;
    for (const auto& gone : {facts_, file_}) EXPECT_TRUE(inner.remove(gone));
  }
  const std::string facts_, file_, at_;
};

TEST_F(LogUpkeepCrashTest, ACheckpointThatIsRemovedUnderAnAuditIsNoDamage) {
  ingest(15);
  const auto first = kept(base::Duration::hours(1)).head;
  ingest();
  kept(base::Duration::hours(1));
  const std::string root = std::string(kRoot) + "/", facts = root + log_checkpoint_path(first), file = root + delta::checkpoint_path(first);
  for (const auto& at : {facts, file}) {
    VanishingStore store(world_.memory, facts, file, at);
    expect_clean(store);
    EXPECT_GT(store.vanished, 0) << at;
  }
  ASSERT_TRUE(world_.memory.remove(file));  // but with its facts still there
  const auto damaged = audit(world_.memory, kRoot, {});
  ASSERT_TRUE(damaged);
  ASSERT_EQ(damaged->findings.size(), 1u);
  EXPECT_EQ(damaged->findings[0].what, "damaged checkpoint");
}

// Two ingesters that both own everything, two that keep the log, all of them over stores that fail.
TEST_F(LogUpkeepCrashTest, RandomHistoriesSayWhatTheWholeLogSays) {
  for (const auto seed : seeds()) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    TestWorld world;
    env::MemoryStore shadow;  // keeps what is deleted
    std::vector<std::unique_ptr<env::FaultyStore>> stores;
    for (int i = 0; i < 4; ++i) stores.push_back(std::make_unique<env::FaultyStore>(world.memory));
    env::SeededRandom dice(seed);
    Ingester a(world, *stores[0], seed * 2, kRecords, {0, 1, 2}), b(world, *stores[1], seed * 2 + 1, kRecords, {2, 1, 0});
    bool done = false;
    for (int round = 0; round < 3000 && !done; ++round) {
      world.clock.advance(base::Duration::millis(static_cast<std::int64_t>(dice.next() % 2000)));
      const auto who = dice.next() % 16 == 0 ? 2 + dice.next() % 2 : dice.next() % 2;
      auto& store = *stores[who];
      if (dice.next() % 4 == 0) store.fail_at(1 + static_cast<std::int64_t>(dice.next() % 6), static_cast<env::Fault>(dice.next() % 4));
      if (who >= 2) {
        const auto kept = keep_log(store, kRoot,
                                   {.scratch = scratch(),
                                    .log_retention = base::Duration::seconds(static_cast<std::int64_t>(dice.next() % 30)),
                                    .checkpoint_now = dice.next() % 3 != 0,
                                    .block_versions_max = 1 + static_cast<std::int64_t>(dice.next() % 9)},
                                   {world.clock, world.failpoints});
        if (!kept) store.revive();
        EXPECT_TRUE(kept || kept.error().kind != base::ErrorKind::kCorrupt) << kept.error().message;
      } else {
        const auto more = (who == 0 ? a : b).step();
        if (!more) store.revive();
        done = more && !*more;
        const auto objects = world.memory.list(std::string(kRoot) + "/_delta_log/");
        for (const auto& object : *objects)
          if (delta::log_version(object.path)) (void)shadow.put_if_absent(object.path, *world.memory.get(object.path));
      }
    }
    ASSERT_TRUE(done);
    expect_clean(world.memory);
    expect_readers_arrive(world.memory, whole_log(shadow));
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace headpond::bronze
