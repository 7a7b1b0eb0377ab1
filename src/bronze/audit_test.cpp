// Each kind of damage, planted in a table that was clean, must be named; the control must stay clean.
#include "bronze/audit.h"

#include <gtest/gtest.h>

#include <functional>

#include "bronze/test_world.h"
#include "bronze/writer.h"

namespace headpond::bronze {
namespace {

using base::ErrorKind;
using base::Micros;
using base::Offset;
using base::PartitionId;
using base::Version;
using testing::add_rows;
using testing::clock_at;
using testing::kNow;
using testing::kSource;
using testing::part;
using testing::TestWorld;

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from << " in " << text;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// Versions: 0 create, 1 names partitions 0 and 1, 2 and 3 and 5 rows, 4 a heartbeat.
class AuditTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto writer = world_.open();
    ASSERT_TRUE(writer) << writer.error().message;
    CommitRequest naming;
    naming.topic = Topic{"logs", "id", 0};
    naming.partitions = {part(0), part(1)};
    ASSERT_TRUE((*writer)->commit(naming));
    commit_rows(**writer, 2, 0, kNow);
    commit_rows(**writer, 3, 4, kNow + 1'000'000);
    CommitRequest beat;
    beat.clocks = {clock_at(0, kNow + 1'500'000, 7), clock_at(1, kNow + 1'500'000, 7)};
    ASSERT_TRUE((*writer)->commit(beat));
    (*writer)->declare_gap(kSource, PartitionId(0), Offset(8), Offset(8), "control", Micros(kNow + 2'000'000));
    commit_rows(**writer, 5, 9, kNow + 2'000'000, 8);
  }
  // Four rows from `first` on of both partitions (of partition 1 from `first_of_1`).
  void commit_rows(Writer& writer, int version, std::int64_t first, std::int64_t arrival, std::int64_t first_of_1 = -1) {
    columns::Batch batch(world_.spec.declared);
    add_rows(batch, 0, first, 4, arrival);
    add_rows(batch, 1, first_of_1 < 0 ? first : first_of_1, 4, arrival);
    const auto from = facts_.size();
    for (std::size_t i = 0; i < batch.rows(); ++i) {
      RowFact row{{kSource, PartitionId(batch.kafka_partition[i])},
                  Offset(batch.kafka_offset[i]),
                  0,
                  Micros(batch.arrival[i]),
                  std::nullopt,
                  batch.bytes[i],
                  batch.error[i].data() != nullptr,
                  std::string(batch.payload[i])};
      if (batch.declared[1].valid[i] != 0) row.tenant = batch.declared[1].strings[i];
      facts_.push_back(row);
    }
    ASSERT_TRUE(writer.append(batch));
    const auto done = writer.commit({});
    ASSERT_TRUE(done) << done.error().message;
    ASSERT_EQ(done->version, Version(version));
    const auto steps = testing::all_steps(world_.memory);
    rows_of_[steps->back().files.at(0).path] = {from, facts_.size()};
  }
  std::string log(int version) const { return "bronze/logs/" + delta::log_path(Version(version)); }
  void edit(int version, const std::string& from, const std::string& to) {
    ASSERT_TRUE(world_.memory.put(log(version), replaced(*world_.memory.get(log(version)), from, to)));
  }
  std::string file_of(int version) { return delta::Table(world_.memory, "bronze/logs").read(Version(version))->adds.at(0).path; }
  RowReader reader() {
    return [this](const std::string& path, const std::function<void(const RowFact&)>& row) -> base::Result<void> {
      const auto [from, to] = rows_of_.at(path);
      for (auto i = from; i < to; ++i)
        if (i != hidden_) row(facts_[i]);
      return {};
    };
  }
  void names(const AuditReport& report, const std::string& what, const std::string& where) {
    for (const auto& finding : report.findings)
      if (finding.what == what && finding.where.find(where) != std::string::npos) return;
    std::string all;
    for (const auto& finding : report.findings) all += "\n  " + finding.what + ": " + finding.where;
    ADD_FAILURE() << "'" << what << "' with '" << where << "' is not among:" << all;
  }
  void log_names(const std::string& what, const std::string& where) {
    const auto report = audit(world_.memory, "bronze/logs", {});
    ASSERT_TRUE(report) << report.error().message;
    names(*report, what, where);
  }
  void deep_names(const std::string& what, const std::string& where) {
    const auto shallow = audit(world_.memory, "bronze/logs", {});
    EXPECT_TRUE(shallow->clean()) << "the log alone already shows it: " << shallow->findings[0].what;
    const auto report = audit(world_.memory, "bronze/logs", reader());
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->findings.size(), 1u);
    names(*report, what, where);
  }
  TestWorld world_;
  std::vector<RowFact> facts_;
  std::map<std::string, std::pair<std::size_t, std::size_t>> rows_of_;
  std::optional<std::size_t> hidden_;
};

TEST_F(AuditTest, OfACleanTableFindsNothingAndSumsItUp) {
  for (const auto& rows : {RowReader(), reader()}) {
    const auto report = audit(world_.memory, "bronze/logs", rows);
    ASSERT_TRUE(report) << report.error().message;
    for (const auto& finding : report->findings) ADD_FAILURE() << finding.what << ": " << finding.where;
    EXPECT_EQ(report->version, Version(5));
    EXPECT_EQ(report->files, 3);
    EXPECT_TRUE(report->accepted.empty());
    EXPECT_EQ(report->rows, 24);
    EXPECT_EQ(report->deep, static_cast<bool>(rows));
    const auto& totals = report->partitions.at(part(0));
    EXPECT_EQ(totals.first, Offset(0));
    EXPECT_EQ(totals.last, Offset(12));
    EXPECT_EQ(totals.rows, 12);
    EXPECT_EQ(totals.gaps, 1);
    std::uint64_t expected = 0;
    for (const auto& row : facts_)
      if (row.partition == part(0))
        expected +=
            row_fingerprint(kSource, 0, row.offset.value(), 0, row.tenant ? std::string_view(*row.tenant) : std::string_view(), row.bytes);
    EXPECT_EQ(totals.fingerprint, expected);
  }
}

TEST_F(AuditTest, OfNoTableIsNotFound) {
  EXPECT_EQ(audit(world_.memory, "elsewhere", {}).error().kind, ErrorKind::kNotFound);
}

TEST_F(AuditTest, NamesADroppedAdd) {
  auto text = *world_.memory.get(log(3));
  const auto at = text.find("{\"add\"");
  text.erase(at, text.find('\n', at) + 1 - at);
  ASSERT_TRUE(world_.memory.put(log(3), text));
  log_names("dropped add", "version 3: ingest_date=2026-11-18/");
}

TEST_F(AuditTest, NamesAMissingObject) {
  const auto path = file_of(3);
  ASSERT_TRUE(world_.memory.remove("bronze/logs/" + path));
  log_names("missing object", "version 3: " + path);
  // The rows of the other files are still held against their ranges, and the lost file is not asked for.
  rows_of_.erase(path);
  (*facts_[1].raw)[3] ^= 1;
  const auto deep = audit(world_.memory, "bronze/logs", reader());
  ASSERT_TRUE(deep) << deep.error().message;
  ASSERT_EQ(deep->findings.size(), 2u);
  names(*deep, "payload differs", "version 2, logs@0 partition 0");
}

TEST_F(AuditTest, NamesAnUnreadableFile) {
  const RowReader broken = [](const std::string&, const auto&) -> base::Result<void> {
    return base::fail(ErrorKind::kInvalid, "no magic bytes");
  };
  const auto report = audit(world_.memory, "bronze/logs", broken);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->findings.size(), 3u);
  names(*report, "unreadable file", "no magic bytes");
}

TEST_F(AuditTest, AStoreThatDoesNotAnswerIsNoDamage) {
  const RowReader away = [](const std::string&, const auto&) -> base::Result<void> { return base::fail(ErrorKind::kRetry, "no answer"); };
  EXPECT_EQ(audit(world_.memory, "bronze/logs", away).error().kind, ErrorKind::kRetry);
  world_.store.refuse("bronze/logs/ingest_date=");
  EXPECT_EQ(audit(world_.store, "bronze/logs", {}).error().kind, ErrorKind::kRetry);
}

TEST_F(AuditTest, NamesAFileOfAnotherSize) {
  const auto path = "bronze/logs/" + file_of(2);
  ASSERT_TRUE(world_.memory.put(path, *world_.memory.get(path) + "x"));
  log_names("file size differs", "version 2: ");
}

TEST_F(AuditTest, NamesAMissingVersion) {
  ASSERT_TRUE(world_.memory.remove(log(4)));
  log_names("missing version", "version 4");
}

TEST_F(AuditTest, NamesADoubledRange) {
  edit(3, "[[0,1994444,4,7,4,", "[[0,1994444,3,7,5,");
  log_names("doubled range", "version 3, logs@0 partition 0, offsets 3-3");
}

TEST_F(AuditTest, NamesALostRange) {
  edit(3, "[[0,1994444,4,7,4,", "[[0,1994444,6,7,2,");
  log_names("lost range", "version 3, logs@0 partition 0, offsets 4-5");
}

TEST_F(AuditTest, NamesAnIllegalGap) {
  edit(3, "[[0,1994444,4,7,4,", "[[0,1994444,4,7,3,");
  log_names("illegal gap", "version 3, logs@0 partition 0, offsets 4-7");
}

TEST_F(AuditTest, NamesAGapWithoutAKind) {
  edit(5, R"(,"gap_kinds":["control"])", "");
  log_names("illegal gap", "gaps without a kind");
}

TEST_F(AuditTest, TellsOfAcceptedLossesThoughTheyAreLegal) {
  edit(5, R"("gap_kinds":["control"])", R"x("gap_kinds":["retention (accepted)"])x");
  const auto report = audit(world_.memory, "bronze/logs", {});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->clean());
  ASSERT_EQ(report->accepted.size(), 1u);
  EXPECT_EQ(report->accepted[0].where, "version 5, logs@0 partition 0, offsets 8-12: up to 1 records, retention (accepted)");
}

TEST_F(AuditTest, NamesAForeignCommit) {
  delta::Commit foreign;
  foreign.operation = "DELETE";
  foreign.removes.push_back({.path = file_of(2)});
  ASSERT_TRUE(delta::Table(world_.memory, "bronze/logs").put(Version(6), foreign));
  log_names("foreign commit", "version 6: DELETE by another program");
}

TEST_F(AuditTest, NamesAForeignFileInOurOwnCommit) {
  delta::Commit commit = *delta::Table(world_.memory, "bronze/logs").read(Version(2));
  ASSERT_TRUE(world_.memory.remove(log(2)));
  auto extra = commit.adds.at(0);
  extra.path = "ingest_date=2026-11-18/intruder.parquet";
  commit.adds.push_back(extra);
  ASSERT_TRUE(delta::Table(world_.memory, "bronze/logs").put(Version(2), commit));
  log_names("undeclared file", "intruder.parquet");
}

TEST_F(AuditTest, NamesAForeignProtocol) {
  edit(0, R"("minWriterVersion":7)", R"("minWriterVersion":2)");
  log_names("foreign protocol", "version 0");
}

TEST_F(AuditTest, NamesAClockThatGoesBack) {
  edit(4, std::to_string(kNow + 1'500'000), std::to_string(kNow));
  log_names("clock goes back", "version 4, logs@0 partition 0");
}

TEST_F(AuditTest, NamesAClockProvenAtAnotherPosition) {
  edit(4, std::to_string(kNow + 1'500'000) + ",7]", std::to_string(kNow + 1'500'000) + ",6]");
  log_names("clock proven elsewhere", "the table is at offset 7");
}

TEST_F(AuditTest, NamesATxnThatDoesNotMatchItsRanges) {
  edit(3, R"("version":7)", R"("version":6)");
  log_names("txn position differs", "acme-logs-logs@0-0 says 6, its ranges end at 7");
}

TEST_F(AuditTest, NamesRowCountsThatDiffer) {
  edit(3, R"(\"numRecords\":8)", R"(\"numRecords\":9)");
  log_names("row counts differ", "version 3: 9 in its files, 8 in its ranges");
}

TEST_F(AuditTest, NamesSecondsThatDiffer) {
  edit(3, R"("seconds":[[1795000001,8]])", R"("seconds":[[1795000001,7]])");
  log_names("seconds differ", "7 rows by second, 8 by range");
}

TEST_F(AuditTest, NamesADamagedLogEntry) {
  auto text = *world_.memory.get(log(3));
  ASSERT_TRUE(world_.memory.put(log(3), text.substr(0, text.size() / 2)));
  log_names("damaged log entry", "version 3");
}

TEST_F(AuditTest, NamesRowsOfAPartitionThatWasNeverNamed) {
  edit(1, R"("partitions":{"logs@0":[0,1]})", R"("partitions":{"logs@0":[0]})");
  log_names("inconsistent facts", "version 2: logs@0 partition 1 has rows but was never named");
}

TEST_F(AuditTest, NamesALostRow) {
  hidden_ = 9;  // version 3, partition 0, offset 5
  deep_names("lost rows", "version 3, logs@0 partition 0, offsets 4-7: 3 found, 4 in the log");
}

TEST_F(AuditTest, NamesASwappedFingerprint) {
  const auto text = *world_.memory.get(log(3));
  const auto ranges = delta::Table(world_.memory, "bronze/logs").read(Version(3))->headpond;
  const auto facts = *parse_facts(ranges, "3");
  const auto a = fingerprint_text(facts.batches[0].ranges[0].fingerprint), b = fingerprint_text(facts.batches[0].ranges[1].fingerprint);
  auto swapped = replaced(replaced(replaced(text, a, "#"), b, a), "#", b);
  ASSERT_TRUE(world_.memory.put(log(3), swapped));
  const auto report = audit(world_.memory, "bronze/logs", reader());
  ASSERT_TRUE(report);
  EXPECT_EQ(report->findings.size(), 2u);
  names(*report, "fingerprint differs", "version 3, logs@0 partition 0, offsets 4-7: rows give " + a + ", the log says " + b);
}

TEST_F(AuditTest, NamesAChangedPayload) {
  (*facts_[9].raw)[3] ^= 1;
  deep_names("payload differs", "version 3, logs@0 partition 0, offsets 4-7");
}

TEST_F(AuditTest, NamesExchangedPayloads) {
  std::swap(facts_[8].raw, facts_[9].raw);
  deep_names("payload differs", "version 3, logs@0 partition 0, offsets 4-7");
}

TEST_F(AuditTest, NamesAChangedTenant) {
  facts_[9].tenant = "somebody else";
  deep_names("fingerprint differs", "version 3, logs@0 partition 0, offsets 4-7");
}

TEST_F(AuditTest, NamesAnArrivalThatFalls) {
  std::swap(facts_[9].arrival, facts_[10].arrival);
  deep_names("arrival falls", "version 3, logs@0 partition 0, offsets 6-6");
}

TEST_F(AuditTest, NamesARowBelowAPublishedClock) {
  facts_[16].arrival = Micros(kNow + 1'400'000);  // version 5; the heartbeat before said 1.5 s
  deep_names("row below a published clock", "version 5, logs@0 partition 0, offsets 9-9");
}

TEST_F(AuditTest, NamesADoubledRow) {
  hidden_ = 9;
  facts_[10] = facts_[11];  // two rows gone, one twice: the count does not differ by the doubling alone
  const auto report = audit(world_.memory, "bronze/logs", reader());
  ASSERT_TRUE(report);
  names(*report, "doubled row", "version 3, logs@0 partition 0, offsets 7-7");
}

TEST_F(AuditTest, NamesAStrayRow) {
  facts_[11].offset = Offset(70);
  const auto report = audit(world_.memory, "bronze/logs", reader());
  ASSERT_TRUE(report);
  names(*report, "stray row", "version 3, logs@0 partition 0, offsets 70-70");
}

TEST_F(AuditTest, OfANewerFormatIsRefusedNotGuessed) {
  edit(5, R"("format":1)", R"("format":2)");
  const auto report = audit(world_.memory, "bronze/logs", {});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, ErrorKind::kInvalid);
}

}  // namespace
}  // namespace headpond::bronze
