#include "bronze/parquet_values.h"

#include <gtest/gtest.h>

#include <random>

namespace headpond::bronze {
namespace {

TEST(TextBounds, AreSmallestAndLargestByBytes) {
  std::mt19937 random(11);
  const std::string_view letters("\0a\x7f\xff", 4);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::string> texts(1 + random() % 6);
    for (auto& text : texts)
      for (auto size = random() % 3 == 0 ? random() % 3 : 7 + random() % 4; size > 0; --size) text += letters[random() % letters.size()];
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    Bounds<std::string_view> bounds;
    const auto half = views.size() / 2;
    bounds.extend(views.data(), half);
    bounds.extend(views.data() + half, views.size() - half);
    ParquetChunk chunk;
    bounds.write(chunk);
    EXPECT_EQ(chunk.min, std::ranges::min(texts));
    EXPECT_EQ(chunk.max, std::ranges::max(texts));
  }
}

}  // namespace
}  // namespace headpond::bronze
