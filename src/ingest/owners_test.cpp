// Several ingesters on one topic: shares, a group that deals partitions out, two that believe to own the same.
#include <deque>

#include "ingest/test_world.h"

namespace headpond::ingest {
namespace {

using ::testing::ElementsAre;
using testing::FakeSource;
using ::testing::HasSubstr;
using testing::IngestTest;
using testing::kSecond;
using Kind = kafka::GroupChange::Kind;

struct FakeGroup final : kafka::Group {
  struct World {
    std::deque<kafka::GroupChange> changes;
    std::function<void()> on_done = [] {};
    int done = 0;
    std::vector<kafka::Assignment> published;
    std::optional<base::Error> trouble;
  };
  explicit FakeGroup(World& w) : world(w) {}
  std::optional<kafka::GroupChange> take() override {
    if (world.changes.empty()) return std::nullopt;
    const auto change = world.changes.front();
    world.changes.pop_front();
    return change;
  }
  base::Result<void> done() override {
    world.on_done();
    ++world.done;
    return {};
  }
  std::optional<base::Error> trouble() const override { return world.trouble; }
  void publish_offsets(const std::vector<kafka::Assignment>& next) override { world.published = next; }
  World& world;
};

std::vector<base::PartitionId> ids(std::initializer_list<int> numbers) {
  std::vector<base::PartitionId> out;
  for (const int n : numbers) out.emplace_back(n);
  return out;
}

class OwnersTest : public IngestTest {
 protected:
  struct Ingester {
    std::unique_ptr<Engine> engine;
    FakeSource* source = nullptr;
    FakeGroup::World group;
  };

  void open_ingester(Ingester& ingester, Settings settings, bool grouped) {
    auto source = std::make_unique<FakeSource>(broker_);
    ingester.source = source.get();
    std::vector<std::unique_ptr<kafka::Source>> sources;
    sources.push_back(std::move(source));
    for (int i = 1; i < lanes_; ++i) sources.push_back(std::make_unique<FakeSource>(broker_));
    auto engine = Engine::open_over(std::move(sources), topology_, world(), settings,
                                    grouped ? std::make_unique<FakeGroup>(ingester.group) : nullptr);
    ASSERT_TRUE(engine) << engine.error().message;
    ingester.engine = std::move(*engine);
  }
  void open_share(Ingester& ingester, const char* instance) {
    Settings settings;
    settings.share = *parse_instance(instance);
    open_ingester(ingester, settings, false);
  }
  void open_member(Ingester& ingester, std::initializer_list<int> gained) {
    ingester.group.changes.push_back({Kind::kGained, ids(gained)});
    open_ingester(ingester, {}, true);
  }
  // All of them step in turn while `seconds` pass; none may fail.
  void go(std::initializer_list<Ingester*> ingesters, double seconds) {
    for (int t = 0; t < static_cast<int>(seconds * 20); ++t) {
      clock_.advance(base::Duration::millis(50));
      for (auto* ingester : ingesters) {
        const auto stepped = ingester->engine->step();
        ASSERT_TRUE(stepped) << stepped.error().message;
      }
    }
  }
  // The cursors there are, and which ingester they are of: by the rows it has read.
  std::map<std::string, double> cursors() {
    std::map<std::string, double> out;
    const auto statuses = bronze::read_statuses(store_, world().paths.bronze);
    EXPECT_TRUE(statuses);
    for (const auto& status : *statuses) out[status.branch] = status.figures.at("rows");
    return out;
  }
  static double figure(const Ingester& ingester, const char* name) { return ingester.engine->status().figures.at(name); }

  Ingester a_, b_;
};

TEST_F(OwnersTest, SharesReadEachTheirPartitionsAndTheLagIsTheTopics) {
  open_share(a_, "0/2");
  open_share(b_, "1/2");
  produce(0, 5);
  produce(1, 7);
  go({&a_, &b_}, 3);
  EXPECT_EQ(covered(0).rows, 5);
  EXPECT_EQ(covered(1).rows, 7);
  EXPECT_EQ(figure(a_, "rows"), 5);
  EXPECT_EQ(figure(b_, "rows"), 7);
  EXPECT_EQ(figure(a_, "fenced") + figure(b_, "fenced"), 0);
  produce(1, 4);
  go({&a_}, 3);
  EXPECT_EQ(figure(a_, "kafka_lag"), 4) << "of the partition it does not read as well";
}

TEST_F(OwnersTest, EachHasACursorOfItsOwnAndNoneIsLeftOfThoseThatWere) {
  using Cursors = std::map<std::string, double>;
  open_share(a_, "0/2");
  open_share(b_, "1/2");
  produce(0, 5);
  produce(1, 7);
  go({&a_, &b_}, 11);
  EXPECT_EQ(cursors(), (Cursors{{"ingest", 5}, {"ingest-1", 7}}));
  EXPECT_EQ(a_.engine->status().branch, "ingest");
  EXPECT_EQ(b_.engine->status().branch, "ingest");
  ASSERT_TRUE(a_.engine->drain());
  ASSERT_TRUE(b_.engine->drain());

  open_member(a_, {0, 1});
  open_member(b_, {});
  go({&a_, &b_}, 11);
  EXPECT_EQ(cursors(), (Cursors{{"ingest", 0}})) << "one reads everything by now, the other nothing";
  a_.group.changes.push_back({Kind::kGiven, ids({0})});
  go({&a_, &b_}, 1);
  b_.group.changes.push_back({Kind::kGained, ids({0})});
  produce(0, 2);
  produce(1, 3);
  go({&a_, &b_}, 11);
  EXPECT_EQ(cursors(), (Cursors{{"ingest", 2}, {"ingest-1", 3}}));
}

TEST_F(OwnersTest, EachInstanceCommitsAtItsOwnMomentOfTheInterval) {
  open_share(a_, "0/2");
  open_share(b_, "1/2");
  for (auto* ingester : {&a_, &b_}) {
    std::int64_t moment = -1;
    for (int commits = 0; commits < 2; ++commits) {  // the first may have been due for long
      const auto before = ingester->engine->status().version;
      produce(ingester == &a_ ? 0 : 1, 1);
      while (ingester->engine->status().version == before) {
        clock_.advance(base::Duration::millis(10));
        ASSERT_TRUE(ingester->engine->step());
      }
      moment = clock_.now().value() % kSecond;
    }
    EXPECT_EQ(moment / 20'000, ingester == &a_ ? 0 : 25) << moment;
  }
}

TEST_F(OwnersTest, TwoThatBelieveToOwnTheSameNeitherRepeatNorSkip) {
  open_member(a_, {0, 1});
  open_member(b_, {0, 1});
  for (int round = 0; round < 30; ++round) {
    produce(0, 3);
    produce(1, 2);
    go({&a_, &b_}, 0.5);
  }
  go({&a_, &b_}, 4);
  EXPECT_EQ(covered(0).rows, 90);
  EXPECT_EQ(covered(1).rows, 60);
  EXPECT_GT(figure(a_, "fenced") + figure(b_, "fenced"), 0);
}

TEST_F(OwnersTest, WhatWasReadIsCommittedBeforeAPartitionIsGivenAway) {
  open_member(a_, {0, 1});
  go({&a_}, 1.5);
  produce(0, 5);
  produce(1, 2);
  go({&a_}, 0.1);  // read, and far from the next commit
  ASSERT_EQ(covered(0).rows, 0);
  std::int64_t in_table = -1;
  a_.group.on_done = [&] { in_table = covered(0).rows; };
  a_.group.changes.push_back({Kind::kGiven, ids({0})});
  go({&a_}, 0.05);
  EXPECT_EQ(in_table, 5);
  EXPECT_EQ(failpoints_.hits["ingest.mid_revoke"], 1);
  produce(0, 1);
  go({&a_}, 3);
  EXPECT_EQ(covered(0).rows, 5) << "it is another's";
  EXPECT_EQ(covered(1).rows, 2);
  EXPECT_EQ(figure(a_, "partitions"), 1);
}

TEST_F(OwnersTest, TheNextOwnerGoesOnWhereTheTableIsByNow) {
  open_member(a_, {0, 1});
  open_member(b_, {});
  go({&a_, &b_}, 1);
  produce(0, 5);
  go({&a_}, 3);  // without b: it has not seen these versions
  const auto clock = *state(0).clock;
  a_.group.changes.push_back({Kind::kGiven, ids({0})});
  go({&a_}, 0.05);
  b_.group.changes.push_back({Kind::kGained, ids({0})});
  produce(0, 2, 600 * kSecond);  // older than the clock that b must learn of
  go({&b_, &a_}, 3);
  EXPECT_EQ(covered(0).rows, 7);
  EXPECT_GE(*state(0).clock, clock);
  EXPECT_EQ(figure(b_, "rows"), 2);
  EXPECT_EQ(figure(b_, "fenced"), 0) << "it began where the table was";
  EXPECT_THAT(b_.group.published, ::testing::SizeIs(1));
  EXPECT_EQ(b_.group.published.at(0).next.value(), 7);
}

TEST_F(OwnersTest, TheEpochOfRowsThatAreDroppedIsDroppedWithThem) {
  broker_.partitions[0].leader_epoch = 4;
  open_member(a_, {0, 1});
  produce(0, 2);
  go({&a_}, 2);
  EXPECT_EQ(state(0).leader_epoch, 4);
  broker_.partitions[0].leader_epoch = 5;
  produce(0, 1);
  go({&a_}, 0.1);  // read, and not committed
  a_.group.changes.push_back({Kind::kLost, ids({0})});
  go({&a_}, 3);
  EXPECT_EQ(covered(0).rows, 2);
  EXPECT_EQ(state(0).leader_epoch, 4);
}

TEST_F(OwnersTest, WhatIsLostIsDroppedAndReadByTheNextOwner) {
  open_member(a_, {0, 1});
  go({&a_}, 1.5);
  produce(0, 5);
  go({&a_}, 0.1);
  a_.group.changes.push_back({Kind::kLost, ids({0, 1})});
  go({&a_}, 3);
  EXPECT_EQ(covered(0).rows, 0);
  EXPECT_EQ(figure(a_, "partitions"), 0);
  open_member(b_, {0, 1});
  go({&a_, &b_}, 3);
  EXPECT_EQ(covered(0).rows, 5);
}

TEST_F(OwnersTest, AMemberThatDiesInTheMiddleOfARebalanceLeavesNothingBehind) {
  open_member(a_, {0, 1});
  go({&a_}, 1.5);
  produce(0, 5);
  go({&a_}, 0.1);
  a_.group.on_done = [&] { ADD_FAILURE() << "it died before it could say so"; };
  struct Died {};
  failpoints_.on_reach = [](std::string_view name) {
    if (name == "ingest.mid_revoke") throw Died();
  };
  a_.group.changes.push_back({Kind::kGiven, ids({0})});
  EXPECT_THROW(static_cast<void>(a_.engine->step()), Died);
  failpoints_.on_reach = nullptr;
  a_.engine.reset();
  open_member(b_, {0, 1});
  produce(0, 1);
  go({&b_}, 3);
  EXPECT_EQ(covered(0).rows, 6);
}

TEST_F(OwnersTest, APartitionThatNobodyReadsIsNamedByALiveIngester) {
  open_share(a_, "0/2");
  produce(1, 3);
  go({&a_}, 8);
  EXPECT_FALSE(state(1).stalled);
  go({&a_}, 4);
  EXPECT_EQ(state(1).stalled, "no owner");
  EXPECT_FALSE(state(0).stalled);
  EXPECT_THAT(a_.engine->status().message, HasSubstr("partition 1 is stalled: no owner"));
  open_share(b_, "1/2");
  go({&a_, &b_}, 3);
  EXPECT_FALSE(state(1).stalled);
  EXPECT_EQ(covered(1).rows, 3);
}

TEST_F(OwnersTest, AnIngesterWithoutPartitionsNamesNobodyWhoIsAlive) {
  open_member(a_, {0, 1});
  open_member(b_, {});
  go({&a_, &b_}, 25);
  for (const auto& step : steps()) EXPECT_TRUE(step.clock.stalled().empty());
}

TEST_F(OwnersTest, APartitionAddedLaterIsReadByTheShareItBelongsTo) {
  open_share(a_, "0/2");
  open_share(b_, "1/2");
  go({&a_, &b_}, 2);
  broker_.partitions[2];
  broker_.partitions[3];
  produce(2, 4);
  produce(3, 5);
  go({&a_, &b_}, 6);
  EXPECT_EQ(covered(2).rows, 4);
  EXPECT_EQ(covered(3).rows, 5);
  EXPECT_EQ(figure(a_, "rows"), 4);
  EXPECT_EQ(figure(b_, "rows"), 5);
}

TEST_F(OwnersTest, APartitionDealtOutBeforeTheTableKnowsItIsReadOnceItDoes) {
  open_member(a_, {0, 1});
  go({&a_}, 2);
  broker_.partitions[2];
  produce(2, 4);
  a_.group.changes.push_back({Kind::kGained, ids({2})});
  go({&a_}, 3);
  EXPECT_EQ(covered(2).rows, 4);
}

TEST_F(OwnersTest, StartLatestIsSettledOnceWhenSeveralBeginTogether) {
  topology_.source.start = spec::StartAt::kLatest;
  produce(0, 3);
  produce(1, 3);
  open_share(a_, "0/2");
  produce(1, 1);
  open_share(b_, "1/2");
  go({&a_, &b_}, 3);
  EXPECT_EQ(covered(0).gaps, 3);
  EXPECT_EQ(covered(1).gaps, 3);
  EXPECT_EQ(covered(1).rows, 1);
}

TEST_F(OwnersTest, WhatKeepsAMemberOutOfItsGroupEndsIt) {
  open_member(a_, {0});
  a_.group.trouble = base::Error{base::ErrorKind::kRetry, "consumer group 'g': not authorized"};
  go({&a_}, 0.05);  // what it was dealt comes first
  const auto stepped = a_.engine->step();
  ASSERT_FALSE(stepped);
  EXPECT_EQ(stepped.error().message, "consumer group 'g': not authorized");
  EXPECT_EQ(stepped.error().kind, base::ErrorKind::kRetry);
}

TEST_F(OwnersTest, AMemberWhoseIdAnotherHasTakenStops) {
  open_member(a_, {0});
  a_.group.trouble = base::Error{base::ErrorKind::kInvalid, "another ingester has joined with the same group.instance.id"};
  go({&a_}, 0.05);
  const auto stepped = a_.engine->step();
  ASSERT_FALSE(stepped);
  EXPECT_EQ(stepped.error().kind, base::ErrorKind::kInvalid);  // one that is opened again would throw the other out
}

TEST_F(OwnersTest, UntilEndReadsWhatWasThereAndThenIsFinished) {
  broker_.transactions = true;
  produce(0, 5);
  broker_.hide(0);  // a commit marker at the end
  produce(1, 3);
  Settings settings;
  settings.until_end = true;
  open_ingester(a_, settings, false);
  EXPECT_FALSE(a_.engine->finished());
  for (int i = 0; i < 50 && !a_.engine->finished(); ++i) {
    produce(1, 1);  // more comes all the time
    go({&a_}, 0.05);
  }
  ASSERT_TRUE(a_.engine->finished());
  ASSERT_TRUE(a_.engine->drain());
  EXPECT_EQ(covered(0).rows, 5);
  EXPECT_GE(covered(1).rows, 3);
}

TEST_F(OwnersTest, UntilEndDoesNotWaitForAPartitionThatHasStopped) {
  produce(0, 3);
  broker_.hide(0, 2);  // on a topic that cannot have gaps
  produce(0, 2);
  Settings settings;
  settings.until_end = true;
  open_ingester(a_, settings, false);
  base::Result<bool> stepped = true;
  for (int i = 0; i < 200 && stepped && !a_.engine->finished(); ++i) {
    clock_.advance(base::Duration::millis(50));
    stepped = a_.engine->step();
  }
  ASSERT_FALSE(stepped);
  EXPECT_THAT(stepped.error().message, HasSubstr("offsets 3-4 are missing"));
}

TEST_F(OwnersTest, UntilEndWaitsForTheGroupToSayWhatIsOurs) {
  produce(0, 5);
  Settings settings;
  settings.until_end = true;
  open_ingester(a_, settings, true);
  go({&a_}, 1);
  EXPECT_FALSE(a_.engine->finished());
  a_.group.changes.push_back({Kind::kGained, ids({0})});
  go({&a_}, 1);
  EXPECT_TRUE(a_.engine->finished());
}

}  // namespace
}  // namespace headpond::ingest
