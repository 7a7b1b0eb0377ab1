#include "bronze/cursor.h"

#include <gtest/gtest.h>

#include "base/time.h"
#include "env/fake.h"

namespace headpond::bronze {
namespace {

BranchStatus example() {
  BranchStatus status;
  status.branch = "incident-pager";
  status.kind = "pager";
  status.engine = "embedded";
  status.state = "running";
  status.message = "it's \"fine\"";
  status.version = base::Version(17);
  status.durable_version = base::Version(9);
  status.updated_at = *base::parse_rfc3339("2026-11-25T10:15:00.000001Z");
  status.complete_until = *base::parse_rfc3339("2026-11-25T10:14:55Z");
  status.promise_s = 30;
  status.figures = {{"firing", 2}, {"rows_per_s", 1234.5}};
  return status;
}

constexpr char kGolden[] =
    R"({"format":1,"needs":"0.1.0","branch":"incident-pager","kind":"pager","engine":"embedded","state":"running","message":"it's \"fine\"",)"
    R"("version":17,"durable_version":9,"updated_at":"2026-11-25T10:15:00.000001Z","complete_until":"2026-11-25T10:14:55Z","promise_s":30.0,)"
    R"("figures":{"firing":2.0,"rows_per_s":1234.5}})";

TEST(Cursor, IsWrittenInTheFrozenForm) {
  EXPECT_EQ(to_json(example()), kGolden);
}

TEST(Cursor, ReadsBackWhatWasPublished) {
  env::MemoryStore store;
  ASSERT_TRUE(publish_status(store, "bronze/logs", example()));
  auto ingest = example();
  ingest.branch = "ingest";
  ingest.complete_until.reset();
  ASSERT_TRUE(publish_status(store, "bronze/logs", ingest));
  ingest.version = base::Version(18);
  ASSERT_TRUE(publish_status(store, "bronze/logs", ingest));  // replaces
  const auto all = read_statuses(store, "bronze/logs");
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ(to_json((*all)[0]), kGolden);
  EXPECT_EQ(to_json((*all)[1]), to_json(ingest));
}

TEST(Cursor, ThoseOfIngestersComeByPartition) {
  env::MemoryStore store;
  for (const char* name : {"ingest-10", "pager", "ingest", "ingest-2", "bill", "7"}) {
    auto status = example();
    status.branch = name;
    ASSERT_TRUE(publish_status(store, "", status));
  }
  std::vector<std::string> names;
  const auto all = read_statuses(store, "");
  ASSERT_TRUE(all);
  for (const auto& status : *all) names.push_back(status.branch);
  EXPECT_EQ(names, (std::vector<std::string>{"7", "bill", "ingest", "ingest-2", "ingest-10", "pager"}));
}

TEST(Cursor, OfATableWithoutBranchesIsNone) {
  env::MemoryStore store;
  const auto all = read_statuses(store, "");
  ASSERT_TRUE(all);
  EXPECT_TRUE(all->empty());
}

TEST(Cursor, OfANewerFormatIsRefusedWithTheVersionToInstall) {
  env::MemoryStore store;
  ASSERT_TRUE(store.put("_headpond/cursors/x.json", R"({"format":3,"needs":"2.0.0"})"));
  const auto all = read_statuses(store, "");
  ASSERT_FALSE(all);
  EXPECT_EQ(all.error().kind, base::ErrorKind::kInvalid);
  EXPECT_NE(all.error().message.find("install Headpond 2.0.0 or later"), std::string::npos);
}

TEST(Cursor, ThatIsDamagedNamesTheObjectAndTheMend) {
  env::MemoryStore store;
  ASSERT_TRUE(store.put("_headpond/cursors/x.json", "{"));
  const auto all = read_statuses(store, "");
  ASSERT_FALSE(all);
  EXPECT_EQ(all.error().kind, base::ErrorKind::kCorrupt);
  EXPECT_NE(all.error().message.find("_headpond/cursors/x.json: not a cursor"), std::string::npos);
}

TEST(Cursor, RefusesABranchNameThatIsNoObjectName) {
  env::MemoryStore store;
  auto status = example();
  status.branch = "a/b";
  EXPECT_EQ(publish_status(store, "", status).error().kind, base::ErrorKind::kInvalid);
}

}  // namespace
}  // namespace headpond::bronze
