#include "bronze/delta_stats.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "bronze/tail.h"

namespace headpond::bronze {
namespace {

using Json = nlohmann::json;

template <class T>
std::string plain(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(T)};
}

ParquetChunk chunk(std::int64_t values, std::int64_t nulls, std::optional<std::string> min = {}, std::optional<std::string> max = {}) {
  ParquetChunk out;
  out.values = values;
  out.nulls = nulls;
  out.min = std::move(min);
  out.max = std::move(max);
  return out;
}

// Of one column whose row groups are `chunks`.
Json stats(ParquetField field, std::vector<ParquetChunk> chunks) {
  std::vector<ParquetRowGroup> groups;
  for (auto& c : chunks) groups.push_back({c.values, {std::move(c)}});
  field.name = "x";
  return Json::parse(delta_stats(7, {field}, groups));
}

constexpr auto kText = ParquetAnnotation::kString;
const ParquetField kString{"", ParquetType::kByteArray, kText, true};

TEST(DeltaStats, BoundsAreThoseOfAllRowGroupsAndNullsAreAddedUp) {
  const auto json = stats({"", ParquetType::kInt32, ParquetAnnotation::kNone, true},
                          {chunk(4, 1, plain(-3), plain(5)), chunk(2, 2), chunk(3, 0, plain(-300), plain(4))});
  EXPECT_EQ(json.at("numRecords"), 7);
  EXPECT_EQ(json.at("nullCount").at("x"), 3);
  EXPECT_EQ(json.at("minValues").at("x"), -300);
  EXPECT_EQ(json.at("maxValues").at("x"), 5);
}

TEST(DeltaStats, AColumnWithoutAValueHasNoBounds) {
  const auto json = stats(kString, {chunk(4, 4)});
  EXPECT_EQ(json.at("nullCount").at("x"), 4);
  EXPECT_TRUE(json.at("minValues").empty() && json.at("maxValues").empty());
}

TEST(DeltaStats, LongTextIsCutTheGreatestUpwards) {
  const std::string low(40, 'a'), high = std::string(31, 'y') + "\u00fc" + "tail";
  const auto json = stats(kString, {chunk(2, 0, low, high)});
  EXPECT_EQ(json.at("minValues").at("x"), std::string(32, 'a'));
  EXPECT_EQ(json.at("maxValues").at("x"), std::string(31, 'y') + "\u00fc\U0010FFFF");
  EXPECT_EQ(stats(kString, {chunk(2, 0, "a", std::string(32, 'z'))}).at("maxValues").at("x"), std::string(32, 'z'));
}

TEST(DeltaStats, OfTextTooLongForTheFooterItsBeginningServes) {
  auto long_one = chunk(2, 0);
  long_one.min_beginning = std::string(256, 'b');
  long_one.max_beginning = std::string(256, 'c');
  const auto json = stats(kString, {long_one, chunk(1, 0, "a", "b")});
  EXPECT_EQ(json.at("minValues").at("x"), "a");
  EXPECT_EQ(json.at("maxValues").at("x"), std::string(32, 'c') + "\U0010FFFF");
}

TEST(DeltaStats, WhatCannotBeStatedIsLeftOut) {
  EXPECT_TRUE(stats(kString, {chunk(1, 0, "\xff", "\xff")}).at("minValues").empty());
  const auto no_number = plain(std::numeric_limits<double>::infinity());
  EXPECT_TRUE(
      stats({"", ParquetType::kDouble, ParquetAnnotation::kNone, true}, {chunk(1, 0, plain(1.5), no_number)}).at("maxValues").empty());
  EXPECT_TRUE(stats({"", ParquetType::kDouble, ParquetAnnotation::kNone, true}, {chunk(1, 0), chunk(1, 0, plain(1.0), plain(2.0))})
                  .at("maxValues")
                  .empty());
  EXPECT_TRUE(stats({"", ParquetType::kByteArray, ParquetAnnotation::kNone, true}, {chunk(1, 0, "a", "b")}).at("minValues").empty());
  const ParquetField time{"", ParquetType::kInt64, ParquetAnnotation::kTimestampMicrosUtc, true};
  EXPECT_TRUE(stats(time, {chunk(1, 0, plain(INT64_MIN), plain(INT64_MAX))}).at("minValues").empty());
  EXPECT_EQ(stats(time, {chunk(1, 0, plain(INT64_C(0)), plain(INT64_C(1)))}).at("maxValues").at("x"), "1970-01-01T00:00:00.000001Z");
}

TEST(DeltaStats, OurReaderTakesTheGreatestDoublesThereAre) {
  constexpr auto kTime = ParquetAnnotation::kTimestampMicrosUtc;
  const std::vector<ParquetField> fields{{"ts", ParquetType::kInt64, kTime, false},
                                         {"arrival", ParquetType::kInt64, kTime, false},
                                         {"x", ParquetType::kDouble, ParquetAnnotation::kNone, true}};
  const auto time = plain<std::int64_t>(1'795'564'800'000'000);
  const auto most = std::numeric_limits<double>::max();
  for (const auto& [low, high] : {std::pair(-most, most), std::pair(9223372036854775808.0, 1e300), std::pair(-5e-324, 5e-324)}) {
    delta::AddFile add;
    add.path = "ingest_date=2026-11-25/x.parquet";
    add.partition_values["ingest_date"] = "2026-11-25";
    add.stats = delta_stats(1, fields, {{1, {chunk(1, 0, time, time), chunk(1, 0, time, time), chunk(1, 0, plain(low), plain(high))}}});
    const auto file = data_file(add);
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->rows, 1);
    EXPECT_EQ(Json::parse(add.stats).at("maxValues").at("x").get<double>(), high);
    EXPECT_EQ(Json::parse(add.stats).at("minValues").at("x").get<double>(), low);
  }
}

TEST(DeltaStats, TruthValuesAreTruthValues) {
  const auto json =
      stats({"", ParquetType::kBoolean, ParquetAnnotation::kNone, true}, {chunk(2, 0, std::string(1, '\0'), std::string(1, '\1'))});
  EXPECT_EQ(json.at("minValues").at("x"), false);
  EXPECT_EQ(json.at("maxValues").at("x"), true);
}

}  // namespace
}  // namespace headpond::bronze
