#include "state/store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "env/fake.h"

namespace headpond::state {
namespace {

namespace fs = std::filesystem;
using base::ErrorKind;

class StateStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "headpond-state-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(root_); }

  static void put(Store& store, const std::string& key, const std::string& value) {
    WriteBatch batch;
    batch.put(key, value);
    ASSERT_TRUE(store.write(batch));
  }
  std::size_t files() { return objects_.list("cp/files/")->size(); }

  std::string root_;
  env::MemoryStore objects_;
};

TEST_F(StateStoreTest, BatchesSurviveReopeningAndScanStaysInItsPrefix) {
  {
    auto store = Store::open(root_ + "/s").value();
    WriteBatch batch;
    batch.put("a/1", "one");
    batch.put("a/2", "two");
    batch.put("b/1", "other");
    ASSERT_TRUE(store->write(batch));
    WriteBatch second;
    second.remove("a/1");
    second.put("a/3", std::string("\0x", 2));
    ASSERT_TRUE(store->write(second));
    EXPECT_EQ(Store::open(root_ + "/s").error().kind, ErrorKind::kFenced);
  }
  auto store = Store::open(root_ + "/s").value();
  EXPECT_EQ(store->get("a/1").value(), std::nullopt);
  EXPECT_EQ(store->get("a/3").value(), std::string("\0x", 2));
  std::vector<std::string> keys;
  ASSERT_TRUE(store->scan("a/", [&](std::string_view key, std::string_view) {
    keys.emplace_back(key);
    return true;
  }));
  EXPECT_EQ(keys, (std::vector<std::string>{"a/2", "a/3"}));
  int visited = 0;
  ASSERT_TRUE(store->scan("", [&](std::string_view, std::string_view) { return ++visited < 2; }));
  EXPECT_EQ(visited, 2);
}

TEST_F(StateStoreTest, CheckpointUploadsOnlyNewFilesAndRestoresElsewhere) {
  auto store = Store::open(root_ + "/s").value();
  for (int i = 0; i < 100; ++i) put(*store, "k" + std::to_string(i), std::string(1000, 'x'));
  ASSERT_TRUE(store->checkpoint(objects_, "cp", "0000000001"));
  std::set<std::string> first;
  const auto listed = objects_.list("cp/files/");
  for (const auto& object : *listed) first.insert(object.path);
  put(*store, "later", "value");
  ASSERT_TRUE(store->checkpoint(objects_, "cp", "0000000002"));
  int kept = 0;
  const auto again = objects_.list("cp/files/");
  for (const auto& object : *again) kept += object.path.ends_with(".sst") && first.contains(object.path) ? 1 : 0;
  EXPECT_GE(kept, 1) << "the first checkpoint's SST is shared";
  put(*store, "after", "lost");
  EXPECT_EQ(restore_newest(objects_, "cp", root_ + "/r").value(), "0000000002");
  auto restored = Store::open(root_ + "/r").value();
  EXPECT_EQ(restored->get("later").value(), "value");
  EXPECT_EQ(restored->get("k99").value(), std::string(1000, 'x'));
  EXPECT_EQ(restored->get("after").value(), std::nullopt);
  // The restored store goes on and checkpoints under the same prefix.
  put(*restored, "after", "again");
  ASSERT_TRUE(restored->checkpoint(objects_, "cp", "0000000003"));
  EXPECT_EQ(restore_newest(objects_, "cp", root_ + "/r2").value(), "0000000003");
  EXPECT_EQ(Store::open(root_ + "/r2").value()->get("after").value(), "again");
}

TEST_F(StateStoreTest, OldCheckpointsAndTheirFilesGo) {
  auto store = Store::open(root_ + "/s").value();
  std::size_t after_five = 0;
  for (int i = 1; i <= 12; ++i) {
    put(*store, "k", std::to_string(i));
    ASSERT_TRUE(store->checkpoint(objects_, "cp", "00000000" + std::to_string(10 + i)));
    if (i == 5) after_five = files();
  }
  EXPECT_EQ(objects_.list("cp/manifests/")->size(), 3u);
  EXPECT_LE(files(), after_five + 9) << "files of removed checkpoints must not pile up";
  EXPECT_EQ(restore_newest(objects_, "cp", root_ + "/r").value(), "0000000022");
  EXPECT_EQ(Store::open(root_ + "/r").value()->get("k").value(), "12");
}

TEST_F(StateStoreTest, ACrashAtAnyUploadLeavesTheCheckpointBeforeIt) {
  auto store = Store::open(root_ + "/s").value();
  put(*store, "k", "old");
  ASSERT_TRUE(store->checkpoint(objects_, "cp", "1"));
  put(*store, "k", "new");
  for (const auto fault : {env::Fault::kDieBefore, env::Fault::kDieAfter}) {
    for (int step = 1; step < 40; ++step) {
      env::FaultyStore faulty(objects_);
      faulty.fail_at(step, fault);
      const bool finished = store->checkpoint(faulty, "cp", "2").has_value();
      const std::string directory = root_ + "/r" + std::to_string(step) + (fault == env::Fault::kDieBefore ? "b" : "a");
      const auto name = restore_newest(objects_, "cp", directory).value();
      EXPECT_EQ(Store::open(directory).value()->get("k").value(), name == "1" ? "old" : "new");
      if (finished) break;
      ASSERT_TRUE(objects_.remove("cp/manifests/2.json"));
    }
  }
}

TEST_F(StateStoreTest, DamagedCheckpointIsCorruptAndNoneIsNone) {
  EXPECT_EQ(restore_newest(objects_, "cp", root_ + "/none").value(), std::nullopt);
  auto store = Store::open(root_ + "/s").value();
  put(*store, "k", "v");
  ASSERT_TRUE(store->checkpoint(objects_, "cp", "1"));
  const auto listed = objects_.list("cp/files/");
  for (const auto& object : *listed) {
    if (!object.path.ends_with(".sst")) continue;
    ASSERT_TRUE(objects_.put(object.path, std::string(static_cast<std::size_t>(object.size), 'z')));
  }
  EXPECT_EQ(restore_newest(objects_, "cp", root_ + "/r").error().kind, ErrorKind::kCorrupt);
  EXPECT_FALSE(fs::exists(root_ + "/r/CURRENT"));
}

}  // namespace
}  // namespace headpond::state
