#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "env/real.h"

namespace headpond::env {
namespace {

namespace fs = std::filesystem;
using base::ErrorKind;

class LocalStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "headpond-env-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    store_ = open_local_store(directory_).value();
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::vector<std::string> paths(const std::string& prefix, const std::string& after = "", std::size_t limit = 0) {
    std::vector<std::string> result;
    const auto found = store_->list(prefix, after, limit);
    for (const auto& meta : found.value()) result.push_back(meta.path);
    return result;
  }

  std::string directory_;
  std::unique_ptr<ObjectStore> store_;
};

using Paths = std::vector<std::string>;

TEST_F(LocalStoreTest, PutReplacesAndGetReadsBack) {
  ASSERT_TRUE(store_->put("a/b/c.json", "one"));
  ASSERT_TRUE(store_->put("a/b/c.json", "two!"));
  EXPECT_EQ(store_->get("a/b/c.json").value(), "two!");
  EXPECT_EQ(store_->get_range("a/b/c.json", 1, 2).value(), "wo");
  EXPECT_EQ(store_->get_range("a/b/c.json", 3, 10).value(), "!");
  EXPECT_EQ(store_->head("a/b/c.json").value().size, 4);
  EXPECT_EQ(store_->local_path("a/b/c.json"), directory_ + "/a/b/c.json");
  EXPECT_EQ(store_->get("a/b").error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(store_->get("a/x").error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(store_->head("a/b/c.json/d").error().kind, ErrorKind::kNotFound);
  ASSERT_TRUE(store_->remove("a/b/c.json"));
  ASSERT_TRUE(store_->remove("a/b/c.json"));
  EXPECT_EQ(store_->get("a/b/c.json").error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(store_->put("../escape", "x").error().kind, ErrorKind::kInvalid);
}

TEST_F(LocalStoreTest, PutIfAbsentHasExactlyOneWinner) {
  for (int round = 0; round < 20; ++round) {
    const std::string path = "log/" + std::to_string(round) + ".json";
    std::atomic<int> won{0}, lost{0};
    std::string winner;
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&, i] {
          const auto result = store_->put_if_absent(path, "writer " + std::to_string(i));
          if (result) {
            ++won;
            winner = "writer " + std::to_string(i);
          } else if (result.error().kind == ErrorKind::kConflict) {
            ++lost;
          }
        });
      }
    }
    EXPECT_EQ(won, 1);
    EXPECT_EQ(lost, 7);
    EXPECT_EQ(store_->get(path).value(), winner);
  }
  for (const auto& entry : fs::directory_iterator(directory_ + "/log")) EXPECT_EQ(entry.path().extension(), ".json");
}

TEST_F(LocalStoreTest, StreamIsVisibleOnlyWhenClosed) {
  auto stream = store_->open_write("data/part.parquet").value();
  ASSERT_TRUE(stream->append("abc"));
  ASSERT_TRUE(stream->append("def"));
  EXPECT_TRUE(paths("").empty());
  ASSERT_TRUE(stream->close());
  EXPECT_EQ(store_->get("data/part.parquet").value(), "abcdef");
  auto dropped = store_->open_write("data/other.parquet").value();
  ASSERT_TRUE(dropped->append("abc"));
  dropped.reset();
  EXPECT_EQ(paths(""), Paths{"data/part.parquet"});
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_ + "/data"), fs::directory_iterator()), 1) << "the temporary file must go";
}

TEST_F(LocalStoreTest, ListIsInByteOrderOfWholePathsAndStartsAfter) {
  for (const char* path : {"t/_delta_log/00000000000000000000.json", "t/_delta_log/00000000000000000001.json",
                           "t/_delta_log/00000000000000000002.json", "t/a.b", "t/a/z", "t/a-b", "t/b", "u/x"}) {
    ASSERT_TRUE(store_->put(path, "x"));
  }
  std::ofstream(directory_ + "/t/.a.12-3.tmp") << "left by a crash";
  EXPECT_EQ(paths("t/a"), (Paths{"t/a-b", "t/a.b", "t/a/z"}));
  EXPECT_EQ(paths("t/", "t/a-b"), (Paths{"t/a.b", "t/a/z", "t/b"}));
  EXPECT_EQ(paths("t/_delta_log/", "t/_delta_log/00000000000000000000.json"),
            (Paths{"t/_delta_log/00000000000000000001.json", "t/_delta_log/00000000000000000002.json"}));
  EXPECT_EQ(paths("t/_delta_log/", "", 1), Paths{"t/_delta_log/00000000000000000000.json"});
  EXPECT_EQ(paths("", "t/b"), Paths{"u/x"});
  EXPECT_EQ(paths("t/a/"), Paths{"t/a/z"});
  EXPECT_EQ(paths("none/"), Paths{});
}

TEST_F(LocalStoreTest, WhatCrashedWritersLeftGoesAfterAnHour) {
  ASSERT_TRUE(store_->put("d/x", "1"));
  const fs::path old_one = directory_ + "/d/.x.99-1.tmp", young_one = directory_ + "/d/.x.99-2.tmp";
  std::ofstream(old_one) << "left";
  std::ofstream(young_one) << "being written";
  fs::last_write_time(old_one, fs::file_time_type::clock::now() - std::chrono::hours(2));
  auto next_process = open_local_store(directory_).value();
  ASSERT_TRUE(next_process->put("d/y", "1"));
  EXPECT_FALSE(fs::exists(old_one));
  EXPECT_TRUE(fs::exists(young_one));
}

TEST_F(LocalStoreTest, FullDiskFailsWithTheMendAndLeavesNothing) {
  ASSERT_TRUE(store_->put("small", "x"));
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  rlimit tiny = before;
  tiny.rlim_cur = 1000;
  ::setrlimit(RLIMIT_FSIZE, &tiny);
  const auto put = store_->put("big", std::string(5000, 'x'));
  const auto create = store_->put_if_absent("big", std::string(5000, 'x'));
  auto stream = store_->open_write("stream").value();
  const auto appended = stream->append(std::string(5000, 'x'));
  const auto closed = stream->close();
  stream.reset();
  ::setrlimit(RLIMIT_FSIZE, &before);
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().kind, ErrorKind::kRetry);
  EXPECT_NE(put.error().message.find("raise the file size limit"), std::string::npos) << put.error().message;
  EXPECT_EQ(create.error().kind, ErrorKind::kRetry);
  EXPECT_EQ(appended.error().kind, ErrorKind::kRetry);
  EXPECT_EQ(closed.error().kind, ErrorKind::kRetry);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), fs::directory_iterator()), 1);
}

TEST(OpenLocalStore, SaysWhyADirectoryCannotBeUsed) {
  const auto in_file = open_local_store("/dev/null/lake");
  ASSERT_FALSE(in_file);
  EXPECT_EQ(in_file.error().kind, ErrorKind::kInvalid);
  EXPECT_NE(in_file.error().message.find("/dev/null"), std::string::npos);
  EXPECT_NE(in_file.error().message.find("a file stands where a directory is needed"), std::string::npos) << in_file.error().message;
  const auto in_proc = open_local_store("/proc/headpond-lake");
  ASSERT_FALSE(in_proc);
  EXPECT_EQ(in_proc.error().kind, ErrorKind::kInvalid);
  EXPECT_NE(in_proc.error().message.find("cannot create directory /proc/headpond-lake"), std::string::npos) << in_proc.error().message;
  EXPECT_EQ(open_store("https://bucket.example/lake").error().kind, ErrorKind::kInvalid);
}

TEST(Failpoints, LogsEachHitAndKillsAtTheOneNamed) {
  const std::string log = (fs::temp_directory_path() / ("headpond-failpoints-" + std::to_string(::getpid()))).string();
  EXPECT_EXIT(
      {
        ::setenv("HEADPOND_FAILPOINT", "a.b:2,c.d:1", 1);
        ::setenv("HEADPOND_FAILPOINT_LOG", log.c_str(), 1);
        const auto points = failpoints_from_environment();
        points->reach("a.b");
        points->reach("other");
        points->reach("a.b");
        ::_exit(0);
      },
      testing::KilledBySignal(SIGKILL), "");
  std::ifstream in(log);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  EXPECT_EQ(lines, (std::vector<std::string>{"a.b", "other", "a.b"}));
  fs::remove(log);
}

}  // namespace
}  // namespace headpond::env
