#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "billing/billing.h"
#include "billing/certificate.h"
#include "billing/sha256.h"
#include "billing/test_world.h"
#include "bronze/log_upkeep.h"
#include "env/fake_remote.h"
#include "lease/lease.h"

namespace headpond::billing {
namespace {

using base::ErrorKind;
using testing::at;
using testing::day;
using ::testing::HasSubstr;
using testing::TestLake;

// Commits of a Delta log carry the time at which they were made; everything else is the same every time.
bool in_log(const std::string& path) {
  return path.find("_delta_log") != std::string::npos;
}

TEST(RunDay, PricesAClosedDayIntoTablesReportAndCertificate) {
  TestLake lake;
  lake.fill_two_days();
  const auto result = run_day(lake.settings, lake.world(), day("2026-11-24"), false);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->also, std::vector{day("2026-11-23")});
  EXPECT_FALSE(result->stored_before);
  EXPECT_EQ(result->events, 600);
  EXPECT_EQ(result->bytes, 239'700);
  EXPECT_EQ(result->errors, 12);
  EXPECT_EQ(result->tenants, 3);
  EXPECT_EQ(lake.failpoints.hits["billing.mid"], 2);
  const auto certificate = parse_certificate(lake.read(result->certificate), "c");
  ASSERT_TRUE(certificate) << certificate.error().message;
  EXPECT_EQ(certificate->previous->day, day("2026-11-23"));
  EXPECT_EQ(certificate->partitions.at(testing::part(0)).first, base::Offset(300));
  EXPECT_EQ(certificate->partitions.at(testing::part(0)).last, base::Offset(599));
  EXPECT_FALSE(certificate->broker_clock);
  EXPECT_EQ(lake.read(result->csv),
            "day,status,tenant,item,tier,quantity,unit_price,amount,currency\r\n"
            "2026-11-24,closed,(none),gb,1,0.000047700,500.000000000,0.02,USD\r\n"
            "2026-11-24,closed,(none),million_events,1,0.000120000,1000.000000000,0.12,USD\r\n"
            "2026-11-24,closed,acme,gb,1,0.000128000,500.000000000,0.06,USD\r\n"
            "2026-11-24,closed,acme,million_events,1,0.000320000,1000.000000000,0.32,USD\r\n"
            "2026-11-24,closed,globex,gb,0,0.000000500,0.000000000,0.00,USD\r\n"
            "2026-11-24,closed,globex,gb,1,0.000001000,1000.000000000,0.00,USD\r\n"
            "2026-11-24,closed,globex,gb,2,0.000062500,2000.000000000,0.13,USD\r\n"
            "2026-11-24,closed,globex,million_events,1,0.000160000,1000.000000000,0.16,USD\r\n");
  EXPECT_EQ(result->total, "0.81");
  EXPECT_EQ(result->top.front().tenant, "acme");
}

TEST(RunDay, ALakeThatIsNoFolderIsReadThroughItsStore) {
  TestLake lake;
  lake.fill_two_days();
  const auto expected = run_day(lake.settings, lake.world(), day("2026-11-24"), false);
  ASSERT_TRUE(expected) << expected.error().message;
  const auto text = lake.read(expected->csv);
  // The same day again: tables are read, computed and compared through the store alone.
  env::FakeRemoteStore remote(*lake.store);
  const auto world = lake.world();
  const auto again = run_day(lake.settings,
                             {.lake = remote,
                              .paths = world.paths,
                              .clock = world.clock,
                              .random = world.random,
                              .failpoints = world.failpoints,
                              .local_directory = world.local_directory},
                             day("2026-11-24"), false);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(again->stored_before);
  EXPECT_EQ(lake.read(again->csv), text);
}

TEST(RunDay, ARerunOfAClosedDayWritesNothingAndComesToTheSame) {
  TestLake lake;
  lake.fill_two_days();
  ASSERT_TRUE(run_day(lake.settings, lake.world(), day("2026-11-24"), false));
  const auto before = lake.branch_objects();
  const auto mutations = lake.store->mutations();
  lake.clock.advance(base::Duration::hours(5));
  const auto again = run_day(lake.settings, lake.world(), day("2026-11-24"), false);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(again->stored_before);
  EXPECT_EQ(lake.branch_objects(), before);
  EXPECT_EQ(lake.store->mutations(), mutations + 4);  // its turn, taken and given up, each in the place of an older object
}

TEST(RunDay, ARebuiltBranchComesOutByteForByte) {
  TestLake lake;
  lake.fill_two_days();
  ASSERT_TRUE(run_day(lake.settings, lake.world(), day("2026-11-24"), false));
  const auto before = lake.branch_objects();
  std::filesystem::remove_all(lake.directory / "lake" / "billing");
  ASSERT_TRUE(run_day(lake.settings, lake.world(), day("2026-11-24"), false));
  for (const auto& [path, bytes] : before) {
    if (!in_log(path)) {
      EXPECT_EQ(lake.read(path), bytes) << path;
    }
  }
}

// Its log is folded into the ledger in blocks of two versions, and cleaned.
TEST(RunDay, ADayBilledFromTheLedgerComesOutByteForByte) {
  TestLake lake;
  lake.fill_two_days();
  ASSERT_TRUE(run_day(lake.settings, lake.world(), day("2026-11-24"), false));
  const auto before = lake.branch_objects();
  std::filesystem::remove_all(lake.directory / "lake" / "billing");
  const auto kept = bronze::keep_log(
      *lake.local, "bronze/logs",
      {.scratch = (lake.directory / "scratch").string(), .log_retention = {}, .checkpoint_now = true, .block_versions_max = 2},
      {lake.clock, lake.failpoints});
  ASSERT_TRUE(kept) << kept.error().message;
  ASSERT_GT(kept->entries_deleted, 3);
  ASSERT_GT(kept->blocks_written, 2);
  const auto billed = run_day(lake.settings, lake.world(), day("2026-11-24"), false);
  ASSERT_TRUE(billed) << billed.error().message;
  for (const auto& [path, bytes] : before) {
    if (!in_log(path)) {
      EXPECT_EQ(lake.read(path), bytes) << path;
    }
  }
  const auto verified = verify_day(lake.settings, lake.world(), day("2026-11-24"), true);
  ASSERT_TRUE(verified) << verified.error().message;
  for (const auto& finding : verified->findings) ADD_FAILURE() << finding.what << ": " << finding.where;
}

TEST(RunDay, RefusesADayThatIsNotClosedByNameOfThePartition) {
  TestLake lake;
  lake.fill_two_days();
  const auto refused = run_day(lake.settings, lake.world(), day("2026-11-25"), false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, base::ErrorKind::kInvalid);
  EXPECT_EQ(refused.error().message,
            "2026-11-25 is not closed yet: logs@0 partition 0 (clock 2026-11-25T00:00:10Z) and 1 more partitions have not passed "
            "2026-11-26T00:00:00Z; wait for ingest, or use --provisional");
  lake.commit({}, {{0, at("2026-11-26T00:00:00Z")}}, {{testing::part(1), "no leader"}});
  EXPECT_EQ(run_day(lake.settings, lake.world(), day("2026-11-25"), false).error().message,
            "2026-11-25 is not closed yet: logs@0 partition 1 (clock 2026-11-25T00:00:10Z, stalled: no leader) has not passed "
            "2026-11-26T00:00:00Z; wait for ingest, or use --provisional");
  EXPECT_TRUE(lake.branch_objects().empty());
  lake.commit({}, {{1, at("2026-11-26T00:00:00Z")}});
  EXPECT_TRUE(run_day(lake.settings, lake.world(), day("2026-11-25"), false));
}

TEST(RunDay, RefusesDaysOutsideTheTableAndATableWithoutRows) {
  TestLake lake;
  EXPECT_EQ(run_day(lake.settings, lake.world(), day("2026-11-24"), false).error().kind, base::ErrorKind::kNotFound);
  lake.commit({}, {{0, at("2026-11-26T00:00:00Z")}, {1, at("2026-11-26T00:00:00Z")}});
  EXPECT_EQ(run_day(lake.settings, lake.world(), day("2026-11-24"), false).error().message,
            "bronze has no row yet, so there is no day to bill; is `headpond ingest` running?");
  TestLake other;
  other.fill_two_days();
  EXPECT_EQ(run_day(other.settings, other.world(), day("2026-11-22"), false).error().message,
            "2026-11-22 lies before 2026-11-23, the first day with a row in bronze");
}

TEST(RunDay, UsageThatDoesNotAddUpWithTheLogStopsBeforeAnythingIsWritten) {
  TestLake lake;
  lake.fill_two_days();
  const auto listed = lake.local->list("bronze/logs/ingest_date=2026-11-23/");
  const auto file = *lake.local->local_path(listed->front().path), other = file + ".new";
  auto sql = sql::Engine::open({});
  const auto copied = (*sql)->query("COPY (SELECT * FROM read_parquet(" + sql::quote_literal(file) +
                                    ") WHERE kafka_offset % 100 <> 3) TO " + sql::quote_literal(other) + " (FORMAT parquet)");
  ASSERT_TRUE(copied) << copied.error().message;
  std::filesystem::rename(other, file);
  const auto result = run_day(lake.settings, lake.world(), day("2026-11-24"), false);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, base::ErrorKind::kCorrupt);
  EXPECT_TRUE(result.error().message.starts_with("the usage of 2026-11-23 does not add up with bronze's log: at "))
      << result.error().message;
  EXPECT_TRUE(lake.branch_objects().empty());
}

TEST(RunDay, AProvisionalBillIsReportAndCsvOnlyAndSaysSo) {
  TestLake lake;
  lake.fill_two_days();
  const auto result = run_day(lake.settings, lake.world(), day("2026-11-25"), true);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->events, 1);
  EXPECT_TRUE(result->certificate.empty());
  const auto objects = lake.branch_objects();
  ASSERT_EQ(objects.size(), 2u);
  EXPECT_TRUE(objects.contains("billing/billing-capacity/reports/2026-11-25.provisional.csv"));
  const auto& html = objects.at("billing/billing-capacity/reports/2026-11-25.provisional.html");
  EXPECT_NE(html.find("Provisional"), std::string::npos);
  EXPECT_NE(html.find("Kept open by logs@0 partition 0"), std::string::npos);
  EXPECT_EQ(run_day(lake.settings, lake.world(), day("2026-11-24"), true).error().message,
            "2026-11-24 is closed: every partition has passed its midnight; run it without --provisional");
}

TEST(RunDay, ADayWithoutRowsIsClosedTooAndKeepsTheChain) {
  TestLake lake;
  lake.commit({{.partition = 0, .arrival = at("2026-11-20T12:00:00Z")}});
  lake.commit({{.partition = 0, .arrival = at("2026-11-22T12:00:00Z")}},
              {{0, at("2026-11-23T00:00:00Z")}, {1, at("2026-11-23T00:00:00Z")}});
  const auto result = run_day(lake.settings, lake.world(), day("2026-11-22"), false);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->also.size(), 2u);
  const auto empty = parse_certificate(lake.read("billing/billing-capacity/certificates/2026-11-21.json"), "c");
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->partitions.at(testing::part(0)).first, base::Offset(1));
  EXPECT_EQ(empty->partitions.at(testing::part(0)).last, base::Offset(0));
  EXPECT_EQ(empty->total, "0.00");
  EXPECT_TRUE(verify_day(lake.settings, lake.world(), day("2026-11-21"), true)->clean());
  EXPECT_TRUE(verify_day(lake.settings, lake.world(), day("2026-11-22"), true)->clean());
}

TEST(RunDay, OtherPricesForAClosedDayAreRefusedAndLaterOnesAreFine) {
  TestLake lake;
  lake.fill_two_days();
  ASSERT_TRUE(run_day(lake.settings, lake.world(), day("2026-11-23"), false));
  lake.set_prices("version: 1\ncurrency: USD\nprices: [{per_gb: 1}]\n");
  const auto refused = run_day(lake.settings, lake.world(), day("2026-11-23"), false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(
      refused.error().message,
      "prices.yaml now has other prices for 2026-11-23, which is closed and never changes; restore them, and give new prices an entry "
      "with a later `from`");
  lake.set_prices(std::string(testing::kPrices) + "  - {from: 2026-11-24, per_gb: 7}\n");
  EXPECT_TRUE(run_day(lake.settings, lake.world(), day("2026-11-23"), false));
  const auto next = run_day(lake.settings, lake.world(), day("2026-11-24"), false);
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_EQ(next->lines, 3);
  lake.set_prices("version: 1\ncurrency: USD\nprices: [{from: 2026-12-01, per_gb: 1}]\n");
  EXPECT_EQ(run_day(lake.settings, lake.world(), day("2026-11-24"), false).error().message,
            "prices.yaml has no prices for 2026-11-24: its first entry begins later; give that entry an earlier `from`, or none");
}

TEST(RunDay, TheCertificateSaysWhenTheBrokerStampsArrival) {
  TestLake lake;
  lake.broker_clock = true;
  lake.fill_two_days();
  ASSERT_TRUE(run_day(lake.settings, lake.world(), day("2026-11-23"), false));
  const auto certificate = parse_certificate(lake.read("billing/billing-capacity/certificates/2026-11-23.json"), "c");
  EXPECT_TRUE(certificate->broker_clock);
}

TEST(RunDay, AClosedDayKeepsThePageThatAnEarlierLayoutDrew) {
  TestLake lake;
  lake.fill_two_days();
  const auto first = run_day(lake.settings, lake.world(), day("2026-11-23"), false);
  ASSERT_TRUE(first);
  auto certificate = *parse_certificate(lake.read(first->certificate), "c");
  certificate.report_layout = 0;
  certificate.outputs["reports/2026-11-23.html"] = sha256_hex("an old page");
  ASSERT_TRUE(lake.local->put(first->certificate, to_json(certificate)));
  ASSERT_TRUE(lake.local->put(first->report, "an old page"));
  const auto again = run_day(lake.settings, lake.world(), day("2026-11-23"), false);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(again->stored_before);
  EXPECT_EQ(lake.read(first->report), "an old page");
  ASSERT_TRUE(lake.local->put(first->report, "another page"));
  EXPECT_EQ(run_day(lake.settings, lake.world(), day("2026-11-23"), false).error().message,
            "billing/billing-capacity/reports/2026-11-23.html was altered, though 2026-11-23 is closed; run `headpond bill verify --day "
            "2026-11-23`");
}

// One tenant a case, one event each: what the line of its bytes comes to.
TEST(RunDay, RoundsEachLineOnceAndHalfAwayFromZero) {
  struct Case {
    const char *tenant, *per_gb;
    int bytes;
    const char* amount;
  };
  const std::vector<Case> cases = {
      {"a half", "5000", 1000, "0.01"},                                     // 0.005
      {"an even half", "5000", 5000, "0.03"},                               // 0.025
      {"an odd half", "5000", 3000, "0.02"},                                // 0.015
      {"below a half", "4999.999999999", 1000, "0.00"},                     // 0.004999999999999: rounding to nine places first gives 0.01
      {"the least", "0.000000001", 1, "0.00"},                              // 10^-18
      {"the most", "999999999.999999999", 2'000'000'000, "2000000000.00"},  // 1999999999.999999998
      {"nothing", "5000", 0, ""},                                           // no quantity, no line
  };
  TestLake lake;
  std::string prices = "version: 1\ncurrency: USD\nprices:\n  - per_gb: 1\n    tenants:\n";
  std::vector<testing::Row> rows;
  for (const auto& c : cases) {
    prices += "      " + std::string(c.tenant) + ": {per_gb: " + c.per_gb + "}\n";
    rows.push_back({.partition = 0, .arrival = at("2026-11-24T10:00:00Z"), .tenant = c.tenant, .bytes = c.bytes});
  }
  lake.set_prices(prices);
  lake.commit(rows, {{0, at("2026-11-25T00:00:00Z")}, {1, at("2026-11-25T00:00:00Z")}});
  const auto result = run_day(lake.settings, lake.world(), day("2026-11-24"), false);
  ASSERT_TRUE(result) << result.error().message;
  const auto csv = lake.read(result->csv);
  for (const auto& c : cases) {
    const auto line = csv.find("," + std::string(c.tenant) + ",gb,");
    EXPECT_EQ(line == std::string::npos, c.amount[0] == 0) << c.tenant;
    if (c.amount[0] != 0) {
      const auto text = csv.substr(line, csv.find('\r', line) - line);
      EXPECT_TRUE(text.ends_with("," + std::string(c.amount) + ",USD")) << text;
    }
  }
}

TEST(RunDay, ASecondRunIsRefusedInTheSameDirectoryAndElsewhere) {
  TestLake lake;
  lake.fill_two_days();
  int seen = 0;
  lake.failpoints.on_reach = [&](std::string_view) {
    if (++seen > 1) return;
    const auto here = run_day(lake.settings, lake.world(), day("2026-11-23"), false);
    ASSERT_FALSE(here);
    EXPECT_THAT(here.error().message, HasSubstr("another run is under way in " + lake.world().local_directory));
    auto other = lake.world();
    other.local_directory += "-elsewhere";
    const auto there = run_day(lake.settings, other, day("2026-11-23"), false);
    ASSERT_FALSE(there);
    EXPECT_EQ(there.error().kind, ErrorKind::kRetry);
    EXPECT_THAT(there.error().message, HasSubstr("branch billing-capacity is run by embedded:"));
  };
  const auto result = run_day(lake.settings, lake.world(), day("2026-11-23"), false);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(seen, 1);
}

TEST(RunDay, ARunThatSleptThroughItsLeaseStoresNothingMoreAndTheDayIsStoredOnce) {
  TestLake lake;
  lake.fill_two_days();
  int seen = 0;
  lake.failpoints.on_reach = [&](std::string_view) {
    if (++seen > 1) return;
    auto other = lake.world();
    other.local_directory += "-elsewhere";
    lease::Lease waiting(*lake.store, lake.clock, lake.random,
                         {.root = "billing/billing-capacity/_leases/engine", .holder = "dbt:elsewhere"});
    ASSERT_FALSE(*waiting.acquire());
    lake.clock.advance(base::Duration::minutes(3));
    ASSERT_TRUE(*waiting.acquire());
    ASSERT_TRUE(waiting.release());
    const auto second = run_day(lake.settings, other, day("2026-11-23"), false);
    ASSERT_TRUE(second) << second.error().message;
  };
  const auto first = run_day(lake.settings, lake.world(), day("2026-11-23"), false);
  ASSERT_FALSE(first);
  EXPECT_THAT(first.error().message, HasSubstr("another engine took over branch billing-capacity; this one was stopped"));
  EXPECT_EQ(seen, 2);
  const auto verified = verify_day(lake.settings, lake.world(), day("2026-11-23"), true);
  EXPECT_TRUE(verified->clean()) << verified->findings[0].what;
}

TEST(RunDay, ACrashAtAnyWriteLeavesADayThatTheNextRunCompletes) {
  TestLake whole;
  whole.fill_two_days();
  ASSERT_TRUE(run_day(whole.settings, whole.world(), day("2026-11-23"), false));
  const auto expected = whole.branch_objects();
  const auto writes = whole.store->mutations();
  ASSERT_GE(writes, 12);  // three tables created, three files, three commits, CSV, report, certificate
  for (const auto fault : {env::Fault::kDieBefore, env::Fault::kDieAfter, env::Fault::kRefuse, env::Fault::kLostReply}) {
    const bool died = fault == env::Fault::kDieBefore || fault == env::Fault::kDieAfter;
    for (std::int64_t k = 1; k <= writes; k += died ? 1 : 3) {
      std::filesystem::remove_all(whole.directory / "lake" / "billing");
      whole.store->fail_at(k, fault);
      const auto first = run_day(whole.settings, whole.world(), day("2026-11-23"), false);
      EXPECT_TRUE(!died || !first || k == writes) << "write " << k;  // the last one gives up the lease
      whole.store->revive();
      const auto second = run_day(whole.settings, whole.world(), day("2026-11-23"), false);
      ASSERT_TRUE(second) << "write " << k << ": " << second.error().message;
      const auto objects = whole.branch_objects();
      for (const auto& [path, bytes] : expected) {
        if (!in_log(path)) {
          EXPECT_EQ(whole.read(path), bytes) << path;
        }
      }
      EXPECT_EQ(objects.size(), expected.size()) << "write " << k;
    }
  }
  const auto verified = verify_day(whole.settings, whole.world(), day("2026-11-23"), true);
  ASSERT_TRUE(verified);
  EXPECT_TRUE(verified->clean());
}

}  // namespace
}  // namespace headpond::billing
