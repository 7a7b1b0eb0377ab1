#include "notify/pages_table.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "env/fake.h"
#include "env/real.h"

namespace headpond::notify {
namespace {

namespace fs = std::filesystem;

class PagesTableTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "headpond-pages-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    lake_ = env::open_local_store(root_ + "/lake").value();
    sql_ = sql::Engine::open({}).value();
  }
  void TearDown() override { fs::remove_all(root_); }

  void receipt(std::int64_t number, const std::string& key) {
    Receipt r;
    r.transition.id = {1, "g/R", key, 1};
    r.transition.boundary = base::Micros(1'795'000'000'000'000);
    r.transition.began_at = r.transition.boundary;
    r.transition.value = 2.5;
    r.transition.version = base::Version(9);
    r.transition.labels = {{"alertname", "it's"}};
    r.transition.annotations = {{"summary", "bad \xFF byte"}};
    r.target = "hook";
    r.at = r.transition.boundary + base::Duration::millis(1234);
    r.attempts = 2;
    ASSERT_TRUE(lake_->put_if_absent(receipt_path("pages/p", {1, number}), serialize({r})));
  }

  // The table's rows, in order of key.
  sql::ResultSet rows(const std::string& columns) {
    delta::Table table(*lake_, "pages/p");
    const auto snapshot = table.snapshot().value();
    std::vector<std::string> files;
    for (const auto& [path, add] : snapshot.files) files.push_back(*lake_->local_path(table.path(path)));
    if (files.empty()) return {};
    return sql_->query("SELECT " + columns + " FROM read_parquet(" + sql::list_literal(files) + ") ORDER BY key").value();
  }

  std::string root_;
  std::unique_ptr<env::ObjectStore> lake_;
  std::unique_ptr<sql::Engine> sql_;
  env::FakeClock clock_;
  env::SeededRandom random_;
};

TEST_F(PagesTableTest, HoldsOneRowAReceipt) {
  receipt(1, "a");
  receipt(2, "b");
  PagesTable table(*lake_, "pages/p", root_, clock_, random_);
  EXPECT_FALSE(table.write().value());
  receipt(3, "c");
  EXPECT_FALSE(table.write().value());
  EXPECT_FALSE(table.write().value());
  const auto all = rows("key, rule, kind, value, version, labels, annotations, status, attempts, event_to_page_ms, sent_at, boundary");
  ASSERT_EQ(all.rows.size(), 3u);
  EXPECT_EQ(all.rows[2][0].as_text(), "c");
  EXPECT_EQ(all.rows[0][1].as_text(), "g/R");
  EXPECT_EQ(all.rows[0][2].as_text(), "firing");
  EXPECT_EQ(all.rows[0][3].as_double(), 2.5);
  EXPECT_EQ(all.rows[0][4].as_int(), 9);
  EXPECT_EQ(all.rows[0][5].as_text(), "{\"alertname\":\"it's\"}");
  EXPECT_EQ(all.rows[0][7].as_text(), "delivered");
  EXPECT_EQ(all.rows[0][8].as_int(), 2);
  EXPECT_EQ(all.rows[0][9].as_int(), 1234);
  EXPECT_EQ(all.rows[0][10].as_int() - all.rows[0][11].as_int(), 1'234'000);
  EXPECT_EQ(all.types[11], "TIMESTAMP WITH TIME ZONE") << "an instant, as Delta means it: isAdjustedToUTC";
}

TEST_F(PagesTableTest, ACrashAtAnyStepNeitherLosesNorDoublesARow) {
  std::int64_t number = 0;
  for (const auto fault : {env::Fault::kDieBefore, env::Fault::kDieAfter, env::Fault::kLostReply, env::Fault::kRefuse}) {
    for (int step = 1; step <= 4; ++step) {
      ++number;
      receipt(number, std::to_string(1000 + number));
      {
        env::FaultyStore faulty(*lake_);
        PagesTable table(faulty, "pages/p", root_, clock_, random_);
        faulty.fail_at(step, fault);
        for (int i = 0; i < 3; ++i) {
          if (const auto more = table.write(); more && !*more) break;
        }
      }
      PagesTable next(*lake_, "pages/p", root_, clock_, random_);
      while (next.write().value()) {
      }
      const auto keys = rows("key").rows;
      ASSERT_EQ(keys.size(), static_cast<std::size_t>(number)) << "fault " << static_cast<int>(fault) << " at call " << step;
      for (std::size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(keys[i][0].as_text(), std::to_string(1001 + i));
    }
  }
}

}  // namespace
}  // namespace headpond::notify
