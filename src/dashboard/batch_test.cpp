#include "dashboard/batch.h"

#include <gtest/gtest.h>

#include "bronze/view.h"
#include "dashboard/bronze_fixture.h"

namespace headpond::dashboard {
namespace {

TEST(RangeScan, HoldsExactlyTheRowsBeyondOneVectorUpToTheOther) {
  BronzeFixture bronze;
  std::vector<Row> rows;
  for (int i = 0; i < 20; ++i) rows.push_back({.partition = i % 2, .ts = at("11:59:00")});
  bronze.commit(rows, at("12:00:00"));
  auto view = bronze::open_view(*bronze.store, BronzeFixture::kRoot);
  ASSERT_TRUE(view) << view.error().message;
  const auto partition = [](int p) { return base::SourcePartition{"logs@0", base::PartitionId(p)}; };
  const auto offsets = [&](base::PositionVector before, base::PositionVector after) {
    BatchRange range;
    range.before = std::move(before);
    range.after = std::move(after);
    range.schema = view->schema;
    range.files = bronze::scan_paths(*bronze.store, BronzeFixture::kRoot, view->files);
    auto result = bronze.sql->query(
        "SELECT coalesce(string_agg(kafka_partition || ':' || kafka_offset, ' ' ORDER BY kafka_partition, kafka_offset), '') FROM " +
        range_scan(range));
    EXPECT_TRUE(result) << result.error().message;
    return result->rows[0][0].as_text();
  };
  EXPECT_EQ(offsets({{partition(0), base::Offset(7)}, {partition(1), base::Offset(3)}},
                    {{partition(0), base::Offset(9)}, {partition(1), base::Offset(5)}}),
            "0:8 0:9 1:4 1:5");
  EXPECT_EQ(offsets({}, {{partition(1), base::Offset(1)}}), "1:0 1:1");  // a partition that is not in the vector has nothing consumed
  EXPECT_EQ(offsets({}, {}), "");
}

}  // namespace
}  // namespace headpond::dashboard
