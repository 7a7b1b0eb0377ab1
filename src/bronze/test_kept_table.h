// A table whose log is kept small, and what must be true of it then. Only tests include this.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "bronze/audit.h"
#include "bronze/cursor.h"
#include "bronze/log_checkpoint.h"
#include "bronze/log_upkeep.h"
#include "bronze/test_ingester.h"

namespace headpond::bronze::testing {

inline constexpr char kRoot[] = "bronze/logs";
inline constexpr int kRecords = 40;

inline std::string scratch() {
  return (std::filesystem::path(::testing::TempDir()) / ("headpond-upkeep-" + std::to_string(getpid()))).string();
}

struct KeptTable {
  ~KeptTable() { std::filesystem::remove_all(scratch()); }

  // Commits until each partition has `records`; a version a second.
  void ingest(int records = kRecords) {
    Ingester ingester(world_, world_.store, ++ingesters_, records, {0, 1, 2});
    for (bool more = true; more;) {
      world_.clock.advance(base::Duration::seconds(1));
      const auto step = ingester.step();
      ASSERT_TRUE(step) << step.error().message;
      more = *step;
    }
  }
  base::Result<UpkeepReport> keep(base::Duration retention = {}, bool now = true, env::ObjectStore* store = nullptr) {
    return keep_log(store != nullptr ? *store : world_.store, kRoot,
                    {.scratch = scratch(), .log_retention = retention, .checkpoint_now = now, .block_versions_max = 4},
                    {world_.clock, world_.failpoints});
  }
  UpkeepReport kept(base::Duration retention = {}, bool now = true) {
    auto report = keep(retention, now);
    EXPECT_TRUE(report) << report.error().message;
    return report.value_or(UpkeepReport{});
  }
  void cursor(const std::string& branch, std::int64_t durable, base::Micros at, const std::string& kind = "pager",
              const std::string& state = "running") {
    BranchStatus status;
    status.branch = branch;
    status.kind = kind;
    status.state = state;
    status.version = status.durable_version = base::Version(durable);
    status.updated_at = at;
    ASSERT_TRUE(publish_status(world_.store, kRoot, status));
  }
  base::Version oldest() { return delta::Table(world_.memory, kRoot).oldest().value_or(base::Version(-2)); }
  void expect_clean(env::ObjectStore& store) {
    const auto report = audit(store, kRoot, {});
    ASSERT_TRUE(report) << report.error().message;
    for (const auto& finding : report->findings) ADD_FAILURE() << finding.what << " at " << finding.where;
    std::int64_t covered = 0;
    for (const auto& [id, totals] : report->partitions) covered += totals.rows + totals.gaps;
    EXPECT_EQ(covered, std::int64_t{kPartitions} * kRecords);
    const delta::Table table(store, kRoot);
    const auto named = delta::last_checkpoint(table);
    ASSERT_TRUE(named) << named.error().message;
    if (!*named) return;
    EXPECT_TRUE(read_log_checkpoint(table, (*named)->version)) << "`_last_checkpoint` names one without facts";
  }

  TestWorld world_;
  std::uint64_t ingesters_ = 0;  // so far: the seed of the next
};

// What the log was before any of it went: every step of it.
inline std::vector<Step> whole_log(env::ObjectStore& store) {
  auto steps = testing::all_steps(store);
  EXPECT_TRUE(steps) << steps.error().message;
  return steps.value_or(std::vector<Step>{});
}

// A reader at each version of a cleaned log comes to where the whole log leads, by the same clocks, and misses no file.
inline void expect_readers_arrive(env::ObjectStore& cleaned, const std::vector<Step>& whole) {
  for (std::int64_t after = -1; after < static_cast<std::int64_t>(whole.size()); ++after) {
    SCOPED_TRACE("a reader at version " + std::to_string(after));
    auto tail = Tail::open(cleaned, kRoot, base::Version(after));
    ASSERT_TRUE(tail) << tail.error().message;
    std::set<std::string> files, expected;
    auto at = base::Version(after);
    for (auto step = tail->next();; step = tail->next()) {
      ASSERT_TRUE(step) << step.error().message;
      if (!*step) break;
      EXPECT_TRUE((*step)->gap || (*step)->version == at.next());
      at = (*step)->version;
      EXPECT_EQ((*step)->clock.partitions(), whole.at(static_cast<std::size_t>(at.value())).clock.partitions());
      for (const auto& file : (*step)->files) EXPECT_TRUE(files.insert(file.path).second) << file.path << " comes twice";
    }
    EXPECT_EQ(at.value() + 1, static_cast<std::int64_t>(whole.size()));
    for (const auto& step : whole)
      if (step.version > base::Version(after))
        for (const auto& file : step.files) expected.insert(file.path);
    EXPECT_EQ(files, expected);
  }
}

}  // namespace headpond::bronze::testing
