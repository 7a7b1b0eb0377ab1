#include <gtest/gtest.h>
#include <httplib.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "env/fake.h"
#include "env/real.h"
#include "serve/server.h"

namespace headpond::serve {
namespace {

struct NoStatuses final : StatusSource {
  base::Result<std::vector<bronze::BranchStatus>> statuses() override { return std::vector<bronze::BranchStatus>{}; }
};

class HttpTest : public ::testing::Test {
 protected:
  ~HttpTest() override { std::filesystem::remove_all(directory); }
  base::Result<std::unique_ptr<Server>> open(const std::string& listen) {
    return Server::open({.listen = listen}, {topology, lake, {.lake = "", .bronze = "b"}, clock, source, directory});
  }
  std::string directory = (std::filesystem::temp_directory_path() / ("headpond-http-" + std::to_string(::getpid()))).string();
  spec::Topology topology;
  env::MemoryStore lake;
  env::FakeClock clock;
  NoStatuses source;
};

TEST_F(HttpTest, OnlyLoopbackIsServed) {
  for (const char* good : {"127.0.0.1:0", "localhost:8080", "[::1]:9", "127.0.0.53:1"}) EXPECT_TRUE(parse_listen(good)) << good;
  for (const char* bad : {"0.0.0.0:8080", "10.0.0.1:80", "[::]:8080", "example.com:80", "127.evil.com:80", "127.0.0.1", "127.0.0.1:x",
                          "127.0.0.1:70000", ":80", ""}) {
    const auto refused = parse_listen(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().kind, base::ErrorKind::kInvalid);
  }
  EXPECT_NE(parse_listen("0.0.0.0:8080").error().message.find("not loopback"), std::string::npos);
}

TEST_F(HttpTest, AnswersStreamsAndStops) {
  auto server = open("127.0.0.1:0");
  ASSERT_TRUE(server) << server.error().message;
  std::thread runner([&] { EXPECT_TRUE((*server)->run()); });
  httplib::Client client((*server)->address());
  client.set_read_timeout(20);
  auto alive = client.Get("/livez");
  ASSERT_TRUE(alive);
  EXPECT_EQ(alive->body, "ok\n");
  EXPECT_EQ(alive->get_header_value("X-Content-Type-Options"), "nosniff");
  // A name that a stranger pointed at this machine is refused.
  auto rebound = client.Get("/api/status", {{"Host", "evil.example:80"}});
  ASSERT_TRUE(rebound);
  EXPECT_EQ(rebound->status, 403);
  std::string events;
  client.Get("/events", [&](const char* data, std::size_t size) {
    events.append(data, size);
    return events.find("id: 2\n") == std::string::npos;
  });
  EXPECT_NE(events.find("event: status\ndata: {\"now_ms\":"), std::string::npos) << events;
  // A second server finds the port taken.
  auto second = open((*server)->address().substr(7));
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("taken"), std::string::npos);
  (*server)->stop();
  runner.join();
}

TEST_F(HttpTest, AStopBeforeItListensIsHeard) {
  auto server = open("127.0.0.1:0");
  ASSERT_TRUE(server);
  (*server)->stop();
  EXPECT_TRUE((*server)->run());
}

}  // namespace
}  // namespace headpond::serve
