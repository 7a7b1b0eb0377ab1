#include "pager/engine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <set>

#include "base/time.h"
#include "bronze/log_upkeep.h"
#include "bronze/writer.h"
#include "columns/batch.h"
#include "env/fake.h"
#include "env/fake_remote.h"
#include "env/real.h"

namespace headpond::pager {
namespace {

constexpr std::int64_t kStart = 1'795'000'000;  // s
constexpr char kRoot[] = "bronze/logs", kSource[] = "logs@0";

base::Micros at(std::int64_t second) {
  return base::Micros((kStart + second) * 1'000'000);
}

std::string rules_file(const std::string& rules) {
  return "groups:\n  - name: g\n    rules:\n" + rules;
}
const std::string kBurst =
    "      - alert: Burst\n        expr: count(status >= 500)[10s] > 2\n        by: [host]\n        annotations: {summary: \"{{ "
    "$labels.host }}: {{ $value }}\"}\n";
const std::string kCalm = "      - alert: Calm\n        expr: count(status >= 500)[10s] > 2 and count()[10s] < 1000\n        by: [host]\n";
const std::string kLost =
    "      - alert: Lost\n        expr: absent(status < 500)[20s]\n        by: [host]\n        expect: {seen_within: 1h}\n";

// A pond with one bronze table by the real writer, a fake clock, and one pager.
class PagerEngineTest : public ::testing::Test {
 protected:
  PagerEngineTest() : directory((std::filesystem::temp_directory_path() / ("headpond-pager-" + std::to_string(::getpid()))).string()) {
    std::filesystem::remove_all(directory);
    lake = std::move(*env::open_local_store(directory + "/lake"));
    clock.set(at(-3600));
    for (const auto& [name, type] : {std::pair{"status", "int32"}, {"host", "string"}}) {
      spec::ColumnDecl column;
      column.name = name;
      column.type = type;
      topology.bronze.columns.push_back(column);
    }
    branch.name = "pager";
  }
  ~PagerEngineTest() override {
    engine.reset();
    std::filesystem::remove_all(directory);
  }

  struct Row {
    std::int64_t ts;
    std::string host = "h1";
    int status = 500;
    std::int64_t arrival = -1;  // ts unless set
  };
  // One version: these rows of partition 0, and its clock.
  void commit(const std::vector<Row>& rows, std::int64_t clock_second, bool stalled_other = false) {
    const std::vector<columns::ColumnSpec> declared = {{"status", columns::Type::kInt32}, {"host", columns::Type::kString}};
    if (writer == nullptr) writer = std::move(*bronze::Writer::open({kRoot, "test", declared}, {}, {*lake, clock, random, failpoints}));
    columns::Batch batch(declared);
    batch.source = kSource;
    for (const auto& row : rows) {
      const auto i = batch.begin_row("{}").index;
      batch.ts[i] = at(row.ts).value();
      batch.arrival[i] = batch.kafka_timestamp[i] = at(row.arrival < 0 ? row.ts : row.arrival).value();
      batch.kafka_partition[i] = 0;
      batch.kafka_offset[i] = next_offset++;
      batch.record_index[i] = 0;
      batch.bytes[i] = 2;
      batch.declared[0].set_int(i, row.status);
      batch.declared[1].set_string(i, batch.arena.copy(row.host));
    }
    if (!batch.empty()) {
      ASSERT_TRUE(writer->append(batch));
    }
    bronze::CommitRequest request;
    if (next_version++ == 0) request.topic = bronze::Topic{.name = "logs", .id = "x", .generation = 0};
    request.partitions = {{kSource, base::PartitionId(0)}};
    if (two_partitions) request.partitions.push_back({kSource, base::PartitionId(1)});
    if (two_partitions && !stalled_other) request.clocks.push_back({{kSource, base::PartitionId(1)}, at(clock_second), base::Offset(-1)});
    if (stalled_other) {
      request.stalled.push_back({{kSource, base::PartitionId(1)}, "no leader"});
    }
    request.clocks.push_back({{kSource, base::PartitionId(0)}, at(clock_second), base::Offset(next_offset - 1)});
    const auto done = writer->commit(request);
    ASSERT_TRUE(done) << done.error().message;
  }

  base::Result<std::unique_ptr<Engine>> try_open(const std::string& rules, Settings settings = {}) {
    return Engine::open(topology, branch, {{"r.yaml", rules_file(rules)}},
                        {*lake, {"", kRoot}, clock, random, failpoints, directory + "/" + local}, settings);
  }
  void open(const std::string& rules, Settings settings = {}) {
    engine.reset();
    auto opened = try_open(rules, settings);
    ASSERT_TRUE(opened) << opened.error().message;
    engine = std::move(*opened);
  }
  void run() {
    while (true) {
      const auto more = engine->step();
      ASSERT_TRUE(more) << more.error().message;
      if (!*more) return;
    }
  }

  // Runs, and takes what is to be sent (or only recorded, or both) as a target that answers at once.
  std::vector<rules::Transition> pages(std::optional<bool> sent = true) {
    run();
    std::vector<rules::Transition> out;
    while (true) {
      auto due = engine->outbox().due("stdout", 1000);
      const auto settled = engine->outbox().due("", 1000);
      due.insert(due.end(), settled.begin(), settled.end());
      if (due.empty()) return out;
      std::vector<notify::Receipt> receipts;
      for (const auto& delivery : due) {
        notify::Receipt receipt;
        receipt.transition = delivery.transition;
        receipt.target = delivery.target;
        receipt.status = delivery.decision.value_or(notify::ReceiptStatus::kDelivered);
        receipts.push_back(receipt);
        const bool was_sent = !delivery.decision;
        if (!sent || was_sent == *sent) out.push_back(delivery.transition);
      }
      engine->outbox().apply({1, ++receipt_objects}, receipts);
    }
  }
  static std::string text(const std::vector<rules::Transition>& transitions) {
    std::string out;
    for (const auto& t : transitions)
      out += (out.empty() ? "" : " ") + t.id.rule + t.id.key + "#" + std::to_string(t.id.seq) + "@" +
             std::to_string(t.boundary.value() / 1'000'000 - kStart);
    return out;
  }

  std::string directory, local = "local";
  std::unique_ptr<env::ObjectStore> lake;
  env::FakeClock clock;
  env::SeededRandom random;
  env::FakeFailpoints failpoints;
  spec::Topology topology;
  spec::Branch branch;
  std::unique_ptr<bronze::Writer> writer;
  std::unique_ptr<Engine> engine;
  bool two_partitions = false;
  std::int64_t next_offset = 0, next_version = 0, receipt_objects = 0;
};

TEST_F(PagerEngineTest, ABurstIsPagedFromItsVersionWithItsEvidence) {
  commit({{1, "h1", 200}}, 10);
  open(kBurst);
  EXPECT_EQ(text(pages()), "");
  commit({{11}, {11}, {12}, {12, "h2"}}, 13);
  const auto made = pages();
  EXPECT_EQ(text(made), "g/Burst{\"host\":\"h1\"}#1@13");
  const auto& page = made.at(0);
  EXPECT_TRUE(page.announced);
  EXPECT_EQ(page.value, 3);
  EXPECT_EQ(page.labels, (std::map<std::string, std::string>{{"alertname", "Burst"}, {"host", "h1"}}));
  EXPECT_EQ(page.annotations.at("summary"), "h1: 3");
  EXPECT_EQ(page.window, base::Duration::seconds(10));
  EXPECT_EQ(page.evidence_last, page.version);
  ASSERT_EQ(page.samples.size(), 3u);
  EXPECT_NE(page.samples[0].find("\"status\":500"), std::string::npos) << page.samples[0];
  EXPECT_NE(page.sql.find("headpond sql \"SELECT * FROM bronze WHERE ts >= TIMESTAMP '"), std::string::npos) << page.sql;
  EXPECT_NE(page.sql.find("\\\"host\\\" = 'h1'"), std::string::npos) << page.sql;
}

TEST_F(PagerEngineTest, ALakeThatIsNoFolderIsReadThroughItsStore) {
  env::FakeRemoteStore remote(*lake);
  for (std::int64_t s = 0; s < 3; ++s) commit({{s}, {s}}, s + 1);
  engine = std::move(*Engine::open(topology, branch, {{"r.yaml", rules_file(kBurst)}},
                                   {remote, {"", kRoot}, clock, random, failpoints, directory + "/remote"}));
  const auto found = pages();
  EXPECT_EQ(text(found), "g/Burst{\"host\":\"h1\"}#1@2");
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].samples.size(), 3u) << "evidence is read through the store, too";
}

TEST_F(PagerEngineTest, OnAFarStoreItsCursorStandsForTenSecondsWhileItsStatusGoesOn) {
  env::FakeRemoteStore remote(*lake);
  commit({{0}}, 1);
  engine = std::move(*Engine::open(topology, branch, {{"r.yaml", rules_file(kBurst)}},
                                   {remote, {"", kRoot}, clock, random, failpoints, directory + "/remote"}));
  run();
  const auto cursor = [&] { return bronze::read_statuses(*lake, kRoot)->at(0).updated_at; };
  const auto first = cursor();
  clock.advance(base::Duration::seconds(2));
  run();
  EXPECT_EQ(engine->status().updated_at, clock.now());
  EXPECT_EQ(cursor(), first);
  clock.advance(base::Duration::seconds(8));
  run();
  EXPECT_EQ(cursor(), clock.now());
}

TEST_F(PagerEngineTest, WhatSettledBeforeTheClaimIsRecordedAndWhatFiresAtItIsSent) {
  clock.set(at(100));
  commit({{10}, {10}, {10}}, 60);                // fires at 11, resolves at 21
  commit({{95}, {95}, {95}, {150, "h2"}}, 200);  // fires at 96, is firing at 100, resolves at 106
  open(kCalm);
  const auto sent = pages();
  EXPECT_EQ(text(sent), "g/Calm{\"host\":\"h1\"}#3@96 g/Calm{\"host\":\"h1\"}#4@106");
  EXPECT_EQ(engine->generation(), 1);
}

// Each engine ends between two pieces of the gap; the next begins the gap again, and what its positions say it has does not count.
TEST_F(PagerEngineTest, AGapIsCrossedInPiecesWhoeverEndsBetweenThem) {
  const auto said = [](const std::vector<rules::Transition>& transitions) {
    std::set<std::string> out;
    for (const auto& t : transitions) EXPECT_TRUE(out.insert(text({t}) + "=" + std::to_string(static_cast<int>(t.value))).second);
    return out;
  };
  for (std::int64_t v = 0; v < 8; ++v)
    commit({{30 * v}, {30 * v}, {30 * v}, {30 * v + 1, "h2", v < 3 ? 200 : 500}, {30 * v + 6}}, 30 * v + 7);
  open(kCalm + kLost);
  const auto expected = said(pages(std::nullopt));
  ASSERT_GT(expected.size(), 12u);
  ASSERT_TRUE(engine->drain());
  const auto kept =
      bronze::keep_log(*lake, kRoot, {.scratch = directory + "/upkeep", .log_retention = {}, .checkpoint_now = true}, {clock, failpoints});
  ASSERT_TRUE(kept && kept->log_begins == base::Version(8));
  commit({{300}}, 301);

  branch.name = "fresh";
  local = "fresh";
  const Settings pieces{.batch_versions_max = 1, .gap_piece = {.files_max = 2}};
  for (int steps = 1; steps <= 3; ++steps) {
    SCOPED_TRACE(steps);
    open(kCalm + kLost, pieces);
    for (int i = 0; i < steps; ++i) {
      const auto more = engine->step();
      ASSERT_TRUE(more) << more.error().message;
    }
    EXPECT_EQ(engine->status().version, base::Version(-1));
    EXPECT_LT(engine->status().complete_until.value_or(base::Micros(0)), at(60 * steps)) << "rows of it are still to come";
    clock.advance(base::Duration::seconds(30));  // the lease of the one that ended
  }
  open(kCalm + kLost, pieces);
  auto found = said(pages(std::nullopt));
  for (const auto& one : found) EXPECT_TRUE(expected.contains(one) || one.find("@2") != std::string::npos) << one << " is not of the gap";
  for (const auto& one : expected) EXPECT_TRUE(found.contains(one)) << one << " is missing";
  ASSERT_TRUE(engine->drain());
  EXPECT_EQ(engine->status().figures.at("missed_rows"), 0);
  EXPECT_EQ(engine->status().version, base::Version(9));
}

TEST_F(PagerEngineTest, AfterACrashTheVersionsSinceTheLastBatchGiveTheSameTransitions) {
  open(kCalm, {.batch_versions_max = 2});
  commit({{10}, {10}, {10}}, 20);
  commit({}, 30);
  const auto before = text(pages());
  EXPECT_EQ(before, "g/Calm{\"host\":\"h1\"}#1@11 g/Calm{\"host\":\"h1\"}#2@21");
  commit({{40}, {40}, {40}}, 47);
  EXPECT_EQ(text(pages()), "g/Calm{\"host\":\"h1\"}#3@41");  // in no batch yet
  open(kCalm);
  EXPECT_EQ(text(pages()), "g/Calm{\"host\":\"h1\"}#3@41");
  EXPECT_EQ(engine->generation(), 1);
}

TEST_F(PagerEngineTest, AMachineWithoutItsDiskGoesOnFromTheCheckpointAndAnOlderGenerationIsRefused) {
  open(kCalm, {.batch_versions_max = 1, .checkpoint_every = base::Duration(0)});
  commit({{10}, {10}, {10}}, 20);
  EXPECT_EQ(text(pages()), "g/Calm{\"host\":\"h1\"}#1@11");
  engine.reset();
  local = "other-machine";
  open(kCalm);
  commit({}, 40);
  EXPECT_FALSE(engine->step().value());  // the lost machine's lease must run out first
  clock.advance(base::Duration::seconds(13));
  // The firing may have been heard: its resolve is sent, itself it is passed over.
  EXPECT_EQ(text(pages()), "g/Calm{\"host\":\"h1\"}#2@21");
  EXPECT_EQ(engine->generation(), 1);
  ASSERT_TRUE(engine->drain());
  engine.reset();
  local = "third";
  open(kCalm, {.new_generation = true});
  EXPECT_EQ(engine->generation(), 2);
  ASSERT_TRUE(engine->drain());
  engine.reset();
  local = "local";
  const auto refused = try_open(kCalm);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, base::ErrorKind::kInvalid);
  EXPECT_NE(refused.error().message.find("generation 1 but the newest claimed"), std::string::npos) << refused.error().message;
}

TEST_F(PagerEngineTest, AnEditKeepsTheStateOfAnUnchangedFoldAndResolvesTheOpenPagesOfARemovedRule) {
  open(kCalm + kLost);
  commit({{1, "h9", 200}, {10}, {10}, {10}}, 17);
  EXPECT_EQ(text(pages()), "g/Calm{\"host\":\"h1\"}#1@11");
  ASSERT_TRUE(engine->drain());
  open(kLost);
  EXPECT_EQ(text(pages()), "g/Calm{\"host\":\"h1\"}#2@12");
  commit({}, 40);
  EXPECT_EQ(text(pages()), "g/Lost{\"host\":\"h9\"}#1@22");  // presence seen before the edit
  ASSERT_TRUE(engine->drain());
  open(kLost + kCalm);  // comes back: its seq goes on, and it is blind for its window
  run();
  EXPECT_EQ(engine->status().figures.at("blind_rules"), 1);
  commit({{200}, {200}, {200}}, 210);
  EXPECT_EQ(text(pages()), "g/Calm{\"host\":\"h1\"}#3@201");
}

TEST_F(PagerEngineTest, ARuleWithOtherLabelsResolvesItsPageAndStartsAnew) {
  open(kCalm);
  commit({{10}, {10}, {10}}, 17);
  EXPECT_EQ(text(pages()), "g/Calm{\"host\":\"h1\"}#1@11");
  ASSERT_TRUE(engine->drain());
  std::string by_status = kCalm;
  by_status.replace(by_status.find("[host]"), 6, "[status]");
  open(by_status);
  EXPECT_EQ(text(pages()), "g/Calm{\"host\":\"h1\"}#2@12");
}

TEST_F(PagerEngineTest, ARuleWithAnotherIntervalResolvesItsPageAndGoesOnBehindItsSeq) {
  open(kCalm);
  commit({{10}, {10}, {10}}, 17);
  EXPECT_EQ(text(pages()), "g/Calm{\"host\":\"h1\"}#1@11");
  ASSERT_TRUE(engine->drain());
  engine.reset();
  auto opened = Engine::open(topology, branch, {{"r.yaml", "groups:\n  - name: g\n    interval: 2s\n    rules:\n" + kCalm}},
                             {*lake, {"", kRoot}, clock, random, failpoints, directory + "/" + local});
  ASSERT_TRUE(opened) << opened.error().message;
  engine = std::move(*opened);
  EXPECT_EQ(text(pages()), "g/Calm{\"host\":\"h1\"}#2@12");
  commit({{200}, {200}, {200}}, 207);
  EXPECT_EQ(text(pages()), "g/Calm{\"host\":\"h1\"}#3@202");
}

TEST_F(PagerEngineTest, WithoutAnIngesterThePipelineIsLateOnceAndNoHostIsAbsent) {
  open(kLost);
  commit({{1, "h1", 200}, {1, "h2", 200}}, 8);
  EXPECT_EQ(text(pages()), "");
  clock.set(at(500));
  clock.advance(base::Duration::seconds(31));
  const auto late = pages();
  ASSERT_EQ(late.size(), 1u);
  EXPECT_EQ(late[0].id.rule, "headpond/PipelineLate");
  EXPECT_EQ(late[0].id.seq, 1);
  clock.advance(base::Duration::seconds(100));
  EXPECT_EQ(text(pages()), "");
  commit({{530, "h1", 200}, {530, "h2", 200}}, 531);
  const auto resolved = pages();
  ASSERT_GE(resolved.size(), 1u);
  EXPECT_EQ(resolved.back().id.rule, "headpond/PipelineLate");
  EXPECT_EQ(resolved.back().kind, rules::TransitionKind::kResolved);
}

TEST_F(PagerEngineTest, AStalledPartitionIsNamedOnThePage) {
  two_partitions = true;
  commit({}, 5);
  open(kCalm);
  commit({{10}, {10}, {10}}, 17, true);
  const auto made = pages();
  ASSERT_EQ(text(made), "g/Calm{\"host\":\"h1\"}#1@11");
  EXPECT_EQ(made[0].incomplete, std::vector<std::string>{"partition 1: no leader"});
  commit({}, 60, true);
  EXPECT_EQ(text(pages()), "");  // a false verdict leaves firing as it is
}

TEST_F(PagerEngineTest, LateRowsAreCountedByRuleAndNotInIt) {
  open(kBurst);
  commit({{10, "h1", 500, 16}, {10, "h1", 500, 16}, {11, "h1", 500, 17}}, 18);
  EXPECT_EQ(text(pages()), "");
  clock.advance(base::Duration::seconds(2));
  run();
  EXPECT_EQ(engine->status().figures.at("late_rows.g/Burst"), 3);
  EXPECT_EQ(engine->status().complete_until, at(13));
}

TEST_F(PagerEngineTest, ASecondEngineOfTheBranchWaitsForTheLease) {
  commit({{10}, {10}, {10}}, 17);
  open(kCalm);
  run();
  const auto first = std::move(engine);
  local = "second";
  open(kCalm, {.new_generation = false});
  EXPECT_FALSE(engine->step().value());
  EXPECT_EQ(engine->status().state, "waiting for the lease");
  EXPECT_EQ(engine->generation(), 0);  // nothing claimed, nothing opened
  EXPECT_FALSE(std::filesystem::exists(directory + "/second/state"));
}

TEST_F(PagerEngineTest, ABadRuleIsSaidWithItsPlaceBeforeAnythingIsTouched) {
  const auto opened = try_open("      - alert: A\n        expr: count(statu > 1)[1m] > 1\n");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, base::ErrorKind::kInvalid);
  EXPECT_EQ(opened.error().message, "r.yaml:5:21: there is no column `statu`; did you mean status?");
  EXPECT_FALSE(std::filesystem::exists(directory + "/local"));
}

}  // namespace
}  // namespace headpond::pager
