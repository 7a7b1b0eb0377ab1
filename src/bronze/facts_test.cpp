#include "bronze/facts.h"

#include <gtest/gtest.h>

namespace headpond::bronze {
namespace {

using base::ErrorKind;
using base::Micros;
using base::Offset;
using base::PartitionId;
using base::SourcePartition;

CommitFacts example() {
  CommitFacts facts;
  facts.topic = Topic{"logs", "mTcLvIUlQTeSJ1YzGdCGKA", 0};
  facts.partitions = {{"logs@0", PartitionId(0)}, {"logs@0", PartitionId(1)}};
  facts.clocks = {{{"logs@0", PartitionId(0)}, Micros(1'795'000'000'000'001), Offset(41)}};
  facts.stalled = {{{"logs@0", PartitionId(1)}, "no \"leader\""}};
  facts.leader_epochs = {{{"logs@0", PartitionId(0)}, 7}};
  facts.batches = {{.txn_id = "a-1",
                    .writer = "ingest",
                    .source = "logs@0",
                    .files = {"ingest_date=2026-11-18/f.parquet"},
                    .ranges = {{PartitionId(0), 1'994'444, Offset(0), Offset(41), 40, 17'200, 1, 2, 0xfedcba9876543210, 0x0f}},
                    .seconds = {{1'795'000'000, 39}, {1'795'000'001, 1}},
                    .gap_kinds = {"control"}}};
  return facts;
}

// Frozen: later versions must read it, and the bytes stand in docs/formats/bronze.md.
constexpr char kGolden[] =
    R"({"format":1,"needs":"0.1.0","topic":{"name":"logs","id":"mTcLvIUlQTeSJ1YzGdCGKA","generation":0},"partitions":{"logs@0":[0,1]},)"
    R"("clocks":{"logs@0":[[0,1795000000000001,41]]},"stalled":{"logs@0":[[1,"no \"leader\""]]},"leader_epochs":{"logs@0":[[0,7]]},)"
    R"("batches":[{"txnId":"a-1","writer":"ingest","source":"logs@0","files":["ingest_date=2026-11-18/f.parquet"],)"
    R"("ranges":[[0,1994444,0,41,40,17200,1,2,"fedcba9876543210","000000000000000f"]],"seconds":[[1795000000,39],[1795000001,1]],)"
    R"("gap_kinds":["control"]}]})";

TEST(Facts, AreWrittenInTheFrozenForm) {
  EXPECT_EQ(to_json(example()), kGolden);
}

TEST(Facts, ReadBackEveryField) {
  const auto facts = parse_facts(kGolden, "7.json");
  ASSERT_TRUE(facts) << facts.error().message;
  EXPECT_EQ(to_json(*facts), kGolden);
  const auto& range = facts->batches.at(0).ranges.at(0);
  EXPECT_EQ(range.fingerprint, 0xfedcba9876543210u);
  EXPECT_EQ(range.payload_fingerprint, 0x0fu);
  EXPECT_EQ(range.last, Offset(41));
  EXPECT_EQ(facts->clocks.at(0).position, Offset(41));
  EXPECT_EQ(facts->topic->source(), "logs@0");
}

TEST(Facts, OfAHeartbeatHoldOnlyClocks) {
  CommitFacts facts;
  facts.clocks = {{{"logs@0", PartitionId(3)}, Micros(5), Offset(-1)}};
  EXPECT_EQ(to_json(facts), R"({"format":1,"needs":"0.1.0","clocks":{"logs@0":[[3,5,-1]]}})");
}

TEST(Facts, OfANewerFormatAreRefusedWithTheVersionToInstall) {
  const auto facts = parse_facts(R"({"format":2,"needs":"1.4.0","batches":"packed"})", "12.json");
  ASSERT_FALSE(facts);
  EXPECT_EQ(facts.error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(facts.error().message, "12.json: written in bronze format 2, this Headpond reads up to 1; install Headpond 1.4.0 or later");
}

TEST(Facts, ThatAreDamagedAreCorruptAndNameTheEntry) {
  const std::string golden = kGolden;
  const auto with = [&](const std::string& from, const std::string& to) {
    auto text = golden;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  for (const auto& text : {std::string("{"), std::string("[]"), std::string("{}"), with("fedcba9876543210", "fedcba987654321"),
                           with("fedcba9876543210", "fedcba98765432xx"), with("[0,1994444,0,", "[0,1994444,"), with("\"txnId\"", "\"id\""),
                           with("[[0,1795000000000001,41]]", "[[0,1795000000000001]]"), with("\"generation\":0", "\"generation\":\"0\"")}) {
    const auto facts = parse_facts(text, "12.json");
    ASSERT_FALSE(facts) << text;
    EXPECT_EQ(facts.error().kind, ErrorKind::kCorrupt) << text;
    EXPECT_TRUE(facts.error().message.starts_with("12.json: ")) << facts.error().message;
  }
}

TEST(Facts, TxnAppIdNamesTableSourceAndPartition) {
  EXPECT_EQ(txn_app_id("acme-logs", {"logs@0", PartitionId(7)}), "acme-logs-logs@0-7");
}

}  // namespace
}  // namespace headpond::bronze
