// Against a real S3 server, versitygw (tools/s3); started once for all tests of this file.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "env/real.h"

namespace headpond::env {
namespace {

std::string run(const std::string& command, bool& ok) {
  std::string out;
  std::array<char, 4096> block{};
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  while (std::fgets(block.data(), block.size(), pipe) != nullptr) out += block.data();
  ok = ::pclose(pipe) == 0;
  while (out.ends_with('\n')) out.pop_back();
  return out;
}

class RemoteStoreTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory() = (std::filesystem::temp_directory_path() / ("headpond-remote-" + std::to_string(::getpid()))).string();
    bool ok = false;
    const std::string tool = std::string(HEADPOND_SOURCE) + "/tools/s3 ";
    run(tool + "install", ok);
    const auto endpoint = run(tool + "start " + directory(), ok);
    ASSERT_TRUE(ok) << endpoint;
    ASSERT_FALSE((run(tool + "bucket " + directory() + " lake", ok), !ok));
    ::setenv("AWS_ENDPOINT_URL", endpoint.substr(endpoint.rfind('\n') + 1).c_str(), 1);
    ::setenv("AWS_ACCESS_KEY_ID", "headpond", 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", "headpond-secret", 1);
    ::setenv("AWS_REGION", "us-east-1", 1);
  }
  static void TearDownTestSuite() {
    bool ok = false;
    run(std::string(HEADPOND_SOURCE) + "/tools/s3 stop " + directory(), ok);
    std::filesystem::remove_all(directory());
  }
  static std::string& directory() {
    static std::string path;
    return path;
  }
  void SetUp() override {
    auto opened = open_store("s3://lake/" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    ASSERT_TRUE(opened) << opened.error().message;
    store = std::move(*opened);
  }

  std::unique_ptr<ObjectStore> store;
};

TEST_F(RemoteStoreTest, GivesBackWhatWasPut) {
  ASSERT_TRUE(store->put("a/b", "hello"));
  EXPECT_EQ(store->get("a/b").value(), "hello");
  EXPECT_EQ(store->get_range("a/b", 1, 3).value(), "ell");
  EXPECT_EQ(store->get_range("a/b", 3, 100).value(), "lo");
  EXPECT_EQ(store->head("a/b")->size, 5);
  EXPECT_GT(store->head("a/b")->modified.value(), 1'700'000'000'000'000);
  ASSERT_TRUE(store->put("a/b", ""));
  EXPECT_EQ(store->get("a/b").value(), "");
  ASSERT_TRUE(store->remove("a/b"));
  ASSERT_TRUE(store->remove("a/b"));
  EXPECT_EQ(store->get("a/b").error().kind, base::ErrorKind::kNotFound);
  EXPECT_EQ(store->head("a/b").error().kind, base::ErrorKind::kNotFound);
}

TEST_F(RemoteStoreTest, OfManyWhoCreateOneObjectOneWins) {
  for (int round = 0; round < 5; ++round) {
    const auto path = "race/" + std::to_string(round);
    std::array<base::Result<void>, 8> results;
    std::vector<std::thread> writers;
    for (std::size_t i = 0; i < results.size(); ++i)
      writers.emplace_back([&, i] { results[i] = store->put_if_absent(path, "writer " + std::to_string(i)); });
    for (auto& writer : writers) writer.join();
    int winners = 0;
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (results[i]) {
        ++winners;
        EXPECT_EQ(store->get(path).value(), "writer " + std::to_string(i));
      } else {
        EXPECT_EQ(results[i].error().kind, base::ErrorKind::kConflict) << results[i].error().message;
      }
    }
    EXPECT_EQ(winners, 1);
  }
}

TEST_F(RemoteStoreTest, ListsWhatFollowsInByteOrder) {
  for (const char* name :
       {"log/00000000000000000002.json", "log/00000000000000000010.json", "log/00000000000000000001.json", "logs/x", "lo"})
    ASSERT_TRUE(store->put(name, name));
  const auto paths = [](const base::Result<std::vector<ObjectMeta>>& listed) {
    std::vector<std::string> names;
    for (const auto& object : listed.value()) names.push_back(object.path);
    return names;
  };
  EXPECT_EQ(paths(store->list("log/")),
            (std::vector<std::string>{"log/00000000000000000001.json", "log/00000000000000000002.json", "log/00000000000000000010.json"}));
  EXPECT_EQ(paths(store->list("log/", "log/00000000000000000001.json", 1)), std::vector<std::string>{"log/00000000000000000002.json"});
  EXPECT_EQ(paths(store->list("log/0000000000000000001")), std::vector<std::string>{"log/00000000000000000010.json"});
  EXPECT_TRUE(store->list("nothing/").value().empty());
}

TEST_F(RemoteStoreTest, AStreamIsVisibleWholeAtItsCloseAndNotBefore) {
  std::string expected;
  for (const std::size_t size : {std::size_t{100}, std::size_t{20} << 20}) {
    auto stream = store->open_write("stream").value();
    expected.clear();
    for (std::size_t i = 0; expected.size() < size; ++i) {
      const std::string block(size < 1000 ? 50 : 700'001, static_cast<char>('a' + i % 26));
      expected += block;
      ASSERT_TRUE(stream->append(block));
    }
    EXPECT_EQ(store->head("stream").error().kind, base::ErrorKind::kNotFound);
    ASSERT_TRUE(stream->close());
    EXPECT_EQ(store->get("stream").value(), expected);
    EXPECT_EQ(store->get_range("stream", static_cast<std::int64_t>(size) / 2, 10).value(), expected.substr(size / 2, 10));
    ASSERT_TRUE(store->remove("stream"));
  }
  auto abandoned = store->open_write("abandoned").value();
  ASSERT_TRUE(abandoned->append(std::string(9 << 20, 'x')));
  abandoned.reset();
  EXPECT_EQ(store->head("abandoned").error().kind, base::ErrorKind::kNotFound);
}

TEST_F(RemoteStoreTest, SaysWhatIsWrongAndWhatMendsIt) {
  const auto no_bucket = open_store("s3://no-such-lake/x");
  ASSERT_FALSE(no_bucket);
  EXPECT_NE(no_bucket.error().message.find("the bucket no-such-lake does not exist"), std::string::npos) << no_bucket.error().message;
  ::setenv("AWS_SECRET_ACCESS_KEY", "wrong", 1);
  const auto wrong_key = open_store("s3://lake/x");
  ::setenv("AWS_SECRET_ACCESS_KEY", "headpond-secret", 1);
  ASSERT_FALSE(wrong_key);
  EXPECT_NE(wrong_key.error().message.find("credentials"), std::string::npos) << wrong_key.error().message;
  const std::string endpoint = std::getenv("AWS_ENDPOINT_URL");
  ::setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9", 1);
  const auto nobody = open_store("s3://lake/x");
  ::setenv("AWS_ENDPOINT_URL", endpoint.c_str(), 1);
  ASSERT_FALSE(nobody);
  EXPECT_NE(nobody.error().message.find("cannot reach http://127.0.0.1:9"), std::string::npos) << nobody.error().message;
}

TEST_F(RemoteStoreTest, RefusesAStoreThatIgnoresIfNoneMatch) {
  const std::string tool = std::string(HEADPOND_SOURCE) + "/tools/s3 ", other = directory() + "-s3rver";
  const std::string endpoint = std::getenv("AWS_ENDPOINT_URL");
  bool ok = false;
  run(tool + "install s3rver", ok);
  const auto started = run(tool + "start-s3rver " + other, ok);
  ASSERT_TRUE(ok) << started;
  run(tool + "bucket " + other + " lake", ok);
  ::setenv("AWS_ENDPOINT_URL", started.substr(started.rfind('\n') + 1).c_str(), 1);
  ::setenv("AWS_ACCESS_KEY_ID", "S3RVER", 1);
  ::setenv("AWS_SECRET_ACCESS_KEY", "S3RVER", 1);
  const auto opened = open_store("s3://lake/x");
  ::setenv("AWS_ENDPOINT_URL", endpoint.c_str(), 1);
  ::setenv("AWS_ACCESS_KEY_ID", "headpond", 1);
  ::setenv("AWS_SECRET_ACCESS_KEY", "headpond-secret", 1);
  run(tool + "stop " + other, ok);
  std::filesystem::remove_all(other);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, base::ErrorKind::kInvalid) << opened.error().message;
  EXPECT_NE(opened.error().message.find("ignores 'If-None-Match: *'"), std::string::npos) << opened.error().message;
}

}  // namespace
}  // namespace headpond::env
