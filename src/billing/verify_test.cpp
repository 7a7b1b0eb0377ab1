#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "billing/billing.h"
#include "billing/test_world.h"
#include "sql/engine.h"

namespace headpond::billing {
namespace {

using testing::day;
using testing::TestLake;

const std::string kRoot = "billing/billing-capacity/";

// A lake with both days billed, and the tools to damage it behind Headpond's back.
class Verify : public ::testing::Test {
 protected:
  void SetUp() override {
    lake_.fill_two_days();
    const auto done = run_day(lake_.settings, lake_.world(), day("2026-11-24"), false);
    ASSERT_TRUE(done) << done.error().message;
  }
  // All findings, one a line.
  std::string findings(bool deep = false, const std::string& date = "2026-11-24") {
    const auto report = verify_day(lake_.settings, lake_.world(), day(date), deep);
    if (!report) return "error: " + report.error().message;
    std::string out;
    for (const auto& [what, where] : report->findings) out += what + ": " + where + "\n";
    return out;
  }
  void replace(const std::string& path, const std::string& from, const std::string& to) {
    auto text = lake_.read(path);
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << path << " lacks " << from;
    text.replace(at, from.size(), to);
    ASSERT_TRUE(lake_.local->put(path, text));
  }
  // The only object below `prefix` that ends in `suffix`.
  std::string object(const std::string& prefix, const std::string& suffix) {
    const auto listed = lake_.local->list(prefix);
    for (const auto& object : *listed) {
      if (object.path.ends_with(suffix)) return object.path;
    }
    ADD_FAILURE() << "nothing below " << prefix;
    return "";
  }
  // Rewrites a Parquet file by a SELECT over it ($ stands for the file).
  void rewrite(const std::string& path, std::string select) {
    const auto file = *lake_.local->local_path(path), other = file + ".new";
    select.replace(select.find('$'), 1, "read_parquet(" + sql::quote_literal(file) + ")");
    auto sql = sql::Engine::open({});
    const auto done = (*sql)->query("COPY (" + select + ") TO " + sql::quote_literal(other) + " (FORMAT parquet)");
    ASSERT_TRUE(done) << done.error().message;
    std::filesystem::rename(other, file);
  }
  bool has(const std::string& all, const std::string& what) { return all.find(what) != std::string::npos; }

  TestLake lake_;
};

TEST_F(Verify, AnUntouchedBillStands) {
  EXPECT_EQ(findings(), "");
  EXPECT_EQ(findings(true), "");
  EXPECT_EQ(findings(true, "2026-11-23"), "");
}

TEST_F(Verify, ADayNeverBilledIsNotFound) {
  EXPECT_EQ(findings(false, "2026-11-25"), "error: 2026-11-25 has no bill yet; run `headpond bill run --day 2026-11-25`");
}

TEST_F(Verify, NamesAMissingCertificate) {
  ASSERT_TRUE(lake_.local->remove(kRoot + "certificates/2026-11-24.json"));
  EXPECT_EQ(findings(), "certificate missing: billing/billing-capacity/certificates/2026-11-24.json\n");
}

TEST_F(Verify, NamesAnUnreadableCertificate) {
  ASSERT_TRUE(lake_.local->put(kRoot + "certificates/2026-11-24.json", "{\"format\":1"));
  EXPECT_TRUE(findings().starts_with("certificate unreadable: ")) << findings();
}

TEST_F(Verify, NamesAChangedRange) {
  replace(kRoot + "certificates/2026-11-24.json", "\"last\": 599", "\"last\": 600");
  EXPECT_TRUE(has(findings(), "range differs from the log: logs@0 partition 0: certificate 300-600, log 300-599")) << findings();
}

TEST_F(Verify, NamesAChangedFingerprint) {
  const auto text = lake_.read(kRoot + "certificates/2026-11-24.json");
  const auto at = text.rfind("\"fingerprint\"", text.find("\"peak\"")) + 16;
  replace(kRoot + "certificates/2026-11-24.json", text.substr(at, 16), "0123456789abcdef");
  EXPECT_TRUE(has(findings(), "fingerprint differs from the log: logs@0 partition 1: certificate 0123456789abcdef")) << findings();
  EXPECT_TRUE(has(findings(true), "fingerprint differs from the rows: logs@0 partition 1")) << findings(true);
}

TEST_F(Verify, NamesABrokenChainFromBothSides) {
  replace(kRoot + "certificates/2026-11-23.json", "\"tenants\": 3", "\"tenants\": 4");
  EXPECT_TRUE(has(findings(), "chain broken: the certificate of 2026-11-23 is not the one this day was chained to")) << findings();
  EXPECT_TRUE(has(findings(false, "2026-11-23"), "chain broken: the certificate of 2026-11-24 is chained to another certificate"));
  ASSERT_TRUE(lake_.local->remove(kRoot + "certificates/2026-11-23.json"));
  EXPECT_TRUE(has(findings(), "chain broken: the certificate of 2026-11-23 is missing"));
}

TEST_F(Verify, NamesAlteredAndMissingOutputs) {
  replace(kRoot + "reports/2026-11-24.csv", "0.32", "0.33");
  ASSERT_TRUE(lake_.local->remove(kRoot + "reports/2026-11-24.html"));
  EXPECT_EQ(findings(),
            "output altered: billing/billing-capacity/reports/2026-11-24.csv\n"
            "output missing: billing/billing-capacity/reports/2026-11-24.html\n");
}

TEST_F(Verify, NamesAChangedInvoiceLine) {
  rewrite(object(kRoot + "invoice_lines/day=2026-11-24/", ".parquet"),
          "SELECT * REPLACE (CASE WHEN tenant = 'acme' THEN amount + 1 ELSE amount END::DECIMAL(28,2) AS amount) FROM $");
  const auto all = findings();
  EXPECT_TRUE(has(all, "table altered: invoice_lines")) << all;
  EXPECT_TRUE(has(all, "line differs from usage and prices: ")) << all;
  EXPECT_TRUE(has(all, "total differs: certificate 0.81, lines 2.81")) << all;
}

TEST_F(Verify, NamesUsageMovedBetweenTenants) {
  rewrite(object(kRoot + "usage_15m/day=2026-11-24/", ".parquet"),
          "SELECT * REPLACE (CASE WHEN tenant = 'acme' THEN 'globex' ELSE tenant END AS tenant) FROM $");
  const auto all = findings();
  EXPECT_TRUE(has(all, "table altered: usage_15m")) << all;
  EXPECT_FALSE(has(all, "usage does not add up")) << all;
}

TEST_F(Verify, NamesLostUsage) {
  rewrite(object(kRoot + "usage_15m/day=2026-11-24/", ".parquet"), "SELECT * FROM $ WHERE slot <> 50");
  EXPECT_TRUE(has(findings(), "usage does not add up with the log: at 12:30 usage has 0 events")) << findings();
}

TEST_F(Verify, NamesAChangedPeak) {
  rewrite(object(kRoot + "usage_peak/day=2026-11-24/", ".parquet"), "SELECT tenant, slot, peak_epm + 1 AS peak_epm FROM $");
  EXPECT_TRUE(has(findings(), "table altered: usage_peak")) << findings();
}

TEST_F(Verify, NamesADroppedCommitAndALostFileOfATable) {
  ASSERT_TRUE(lake_.local->remove(object(kRoot + "usage_peak/day=2026-11-24/", ".parquet")));
  ASSERT_TRUE(lake_.local->remove(kRoot + "usage_15m/_delta_log/00000000000000000002.json"));
  const auto all = findings();
  EXPECT_TRUE(has(all, "table file unreadable: usage_peak")) << all;
  EXPECT_TRUE(has(all, "day missing from a table: usage_15m")) << all;
}

TEST_F(Verify, NamesADayAddedTwice) {
  auto commit = lake_.read(kRoot + "usage_15m/_delta_log/00000000000000000002.json");
  const auto file = object(kRoot + "usage_15m/day=2026-11-24/", ".parquet");
  const auto name = file.substr(file.rfind('/') + 1), copy = "copy-" + name;
  std::filesystem::copy_file(*lake_.local->local_path(file), *lake_.local->local_path(file.substr(0, file.rfind('/') + 1) + copy));
  commit.replace(commit.find(name), name.size(), copy);
  ASSERT_TRUE(lake_.local->put(kRoot + "usage_15m/_delta_log/00000000000000000003.json", commit));
  EXPECT_TRUE(has(findings(), "usage does not add up with the log")) << findings();
}

TEST_F(Verify, NamesRowsLostFromBronze) {
  rewrite(object("bronze/logs/ingest_date=2026-11-24/", ".parquet"), "SELECT * FROM $ WHERE kafka_offset % 50 <> 10");
  EXPECT_TRUE(has(findings(), "rows differ: logs@0 partition ")) << findings();
}

TEST_F(Verify, DeepNamesRowsThatChangedTheirTenant) {
  rewrite(object("bronze/logs/ingest_date=2026-11-24/", ".parquet"),
          "SELECT * REPLACE (CASE WHEN kafka_offset % 50 = 11 THEN 'globex' ELSE tenant END AS tenant) FROM $");
  EXPECT_EQ(findings(), "");
  const auto all = findings(true);
  EXPECT_TRUE(has(all, "fingerprint differs from the rows: logs@0 partition")) << all;
  EXPECT_TRUE(has(all, "usage differs from the rows: usage_15m")) << all;
}

TEST_F(Verify, NamesALogThatIsDamaged) {
  ASSERT_TRUE(lake_.local->remove("bronze/logs/_delta_log/00000000000000000002.json"));
  EXPECT_TRUE(has(findings(), "log unreadable: ")) << findings();
}

}  // namespace
}  // namespace headpond::billing
