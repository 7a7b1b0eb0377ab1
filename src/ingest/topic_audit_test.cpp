// What `audit --kafka` finds, over a fake broker and a table that ingest wrote.
#include "ingest/topic_audit.h"

#include "ingest/test_world.h"

namespace headpond::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TopicAuditTest : public testing::IngestTest {
 protected:
  // Ingests what was produced and goes away.
  void ingest() {
    must_open();
    must_run(2.5);
    engine_.reset();
  }
  base::Result<TopicAudit> audit(TopicAuditOptions options = {}) {
    Source source(broker_, clock_);
    return audit_topic(source, memory_, "bronze/logs", clock_, options);
  }
  TopicAudit must_audit(TopicAuditOptions options = {}) {
    auto report = audit(std::move(options));
    EXPECT_TRUE(report) << report.error().message;
    return report ? std::move(*report) : TopicAudit{};
  }
  static std::vector<std::string> names(const TopicAudit& report) {
    std::vector<std::string> all;
    for (const auto& finding : report.findings) all.push_back(finding.what);
    return all;
  }

 private:
  // Time passes while it is asked.
  class Source final : public testing::FakeSource {
   public:
    Source(testing::FakeBroker& broker, env::FakeClock& clock) : FakeSource(broker), clock_(clock) {}
    std::size_t poll(base::Duration timeout, const kafka::Handler& handler) override {
      clock_.advance(timeout);
      return FakeSource::poll(timeout, handler);
    }

   private:
    env::FakeClock& clock_;
  };
};

TEST_F(TopicAuditTest, EveryRecordIsReadAgainAndGapsOfTransactionsAreNone) {
  broker_.transactions = true;
  produce(0, 4);
  broker_.hide(0, 2);
  produce(0, 3);
  broker_.hide(0);
  produce(1, 5);
  broker_.partitions[1].log[2].tombstone = true;
  ingest();
  produce(1, 7);
  const auto report = must_audit();
  EXPECT_THAT(names(report), IsEmpty());
  EXPECT_EQ(report.records, 12);
  EXPECT_EQ(report.behind, 7);
  EXPECT_EQ(report.partitions.at(base::PartitionId(0)).position, base::Offset(9));
}

TEST_F(TopicAuditTest, AChangedPayloadIsFoundWithItsPlace) {
  produce(0, 4);
  produce(1, 4);
  ingest();
  broker_.partitions[1].log[2].payload[0] = ' ';
  const auto report = must_audit();
  ASSERT_THAT(names(report), ElementsAre("payload differs"));
  EXPECT_THAT(report.findings[0].where, HasSubstr("logs@0 partition 1, offsets 0-3"));
  EXPECT_THAT(names(must_audit({.raw_kept = false})), IsEmpty());
}

TEST_F(TopicAuditTest, TwoExchangedPayloadsAreFound) {
  broker_.produce(0, R"({"tenant":"a"})", clock_.now().value());
  broker_.produce(0, R"({"tenant":"b"})", clock_.now().value());
  ingest();
  std::swap(broker_.partitions[0].log[0].payload, broker_.partitions[0].log[1].payload);
  EXPECT_THAT(names(must_audit()), ElementsAre("payload differs"));
}

TEST_F(TopicAuditTest, ARecordThatBronzeTookForAGapIsFound) {
  broker_.transactions = true;
  produce(0, 3);
  broker_.hide(0, 1);
  produce(0, 3);
  ingest();
  broker_.partitions[0].log[3] = {.payload = "{}", .timestamp_us = clock_.now().value(), .key = {}};
  const auto report = must_audit();
  ASSERT_THAT(names(report), ElementsAre("records differ"));
  EXPECT_THAT(report.findings[0].where, HasSubstr("the broker hands over 7 records, bronze has 6"));
}

TEST_F(TopicAuditTest, WhatTheBrokerHasDeletedIsNotHeldAgainstIt) {
  produce(0, 5);
  ingest();
  broker_.partitions[0].start = 5;
  auto report = must_audit();
  EXPECT_THAT(names(report), IsEmpty());
  EXPECT_EQ(report.partitions.at(base::PartitionId(0)).expired, 5);
  produce(0, 4);
  broker_.partitions[0].start = 8;
  report = must_audit();
  ASSERT_THAT(names(report), ElementsAre("lost range"));
  EXPECT_THAT(report.findings[0].where, HasSubstr("offsets 5-7"));
  EXPECT_EQ(report.behind, 1);
}

TEST_F(TopicAuditTest, ALogThatWasCutAndATopicCreatedAnewAreFound) {
  produce(0, 5);
  ingest();
  broker_.partitions[0].log.resize(2);
  const auto report = must_audit();
  ASSERT_THAT(names(report), ElementsAre("log cut"));
  EXPECT_THAT(report.findings[0].where, HasSubstr("offsets 2-4"));
  broker_.topic_id = "id-2";
  EXPECT_THAT(names(must_audit()), ElementsAre("another topic"));
}

TEST_F(TopicAuditTest, WhatLiesBeforeTheStartIsNotAskedFor) {
  topology_.source.start = spec::StartAt::kLatest;
  produce(0, 5);
  must_open();
  must_run(1);
  produce(0, 4);
  must_run(2.5);
  engine_.reset();
  const auto report = must_audit();
  EXPECT_THAT(names(report), IsEmpty());
  EXPECT_EQ(report.records, 4);
}

TEST_F(TopicAuditTest, ABrokerThatFallsSilentIsNamedWithWhatIsMissing) {
  produce(0, 5);
  ingest();
  broker_.partitions[0].has_leader = false;
  const auto report = audit();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, base::ErrorKind::kRetry);
  EXPECT_THAT(report.error().message, HasSubstr("logs@0 partition 0, offsets 0-4"));
}

TEST_F(TopicAuditTest, NoTableIsSaid) {
  const auto report = audit();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, base::ErrorKind::kNotFound);
}

}  // namespace
}  // namespace headpond::ingest
