// A checkpoint of a large table is written and merged in the memory that upkeep has.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "delta/checkpoint.h"
#include "delta/log.h"
#include "env/real.h"

namespace headpond::delta {
namespace {

using base::Version;

constexpr int kFiles = 20'000, kCommits = 40;

// As bronze writes them: some 2 KiB of statistics a file, no two alike.
Commit commit_of(int number, std::mt19937_64& random) {
  Commit commit;
  commit.operation = "WRITE";
  for (int i = 0; i < kFiles / kCommits; ++i) {
    std::string stats = R"({"numRecords":7,"minValues":{)";
    for (int c = 0; c < 50; ++c)
      stats += (c == 0 ? "\"c" : ",\"c") + std::to_string(c) + "\":\"" + std::to_string(random()) + std::to_string(random()) + "\"";
    commit.adds.push_back({.path = "p" + std::to_string(number) + "-" + std::to_string(i) + ".parquet",
                           .partition_values = {{"kind", "a"}},
                           .size = 1,
                           .stats = stats + "}}",
                           .tags = {}});
  }
  return commit;
}

Metadata metadata() {
  Metadata m;
  m.id = make_uuid(1, 2);
  m.schema = {{"id", "long"}, {"kind", "string"}};
  m.partition_columns = {"kind"};
  return m;
}

class CheckpointMemoryTest : public testing::Test {
 protected:
  ~CheckpointMemoryTest() override { std::filesystem::remove_all(place_); }
  const std::string place_ = testing::TempDir() + "hp-checkpoint-memory-" + std::to_string(getpid());
};

// The bytes of two checkpoints, the second on top of the first.
std::vector<std::string> written_below(const std::string& place) {
  std::vector<std::string> out;
  auto store = env::open_local_store(place + "/lake");
  EXPECT_TRUE(store) << store.error().message;
  Table table(**store, "t");
  std::mt19937_64 random(7);
  std::optional<Version> base;
  for (int half = 0; half < 2; ++half) {
    auto writer = CheckpointWriter::open(table, base, place + "/scratch");
    EXPECT_TRUE(writer) << writer.error().message;
    for (int i = 0; i < kCommits / 2; ++i) {
      const int number = half * kCommits / 2 + i;
      auto commit = commit_of(number, random);
      if (number == 0) {
        commit.protocol = Protocol{1, 2, {}, {}};
        commit.metadata = metadata();
      }
      const auto applied = (*writer)->apply(commit);
      EXPECT_TRUE(applied) << applied.error().message;
    }
    const auto written = (*writer)->write(Version(half), 0);
    EXPECT_TRUE(written) << written.error().message;
    if (!written) break;
    EXPECT_EQ(written->files, kFiles / 2 * (half + 1));
    EXPECT_EQ(written->rows, 7 * written->files);
    base = written->version;
    out.push_back((*store)->get(table.path(checkpoint_path(*base))).value_or(""));
  }
  return out;
}

TEST_F(CheckpointMemoryTest, FortyMegabytesOfLogAreMergedTwiceAndWhoeverMergesThemWritesTheSame) {
  const auto one = written_below(place_ + "/one");
  const auto other = written_below(place_ + "/other");
  ASSERT_EQ(one.size(), 2u);
  EXPECT_TRUE(one == other);
}

}  // namespace
}  // namespace headpond::delta
