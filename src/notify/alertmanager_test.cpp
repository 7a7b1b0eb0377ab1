// A real Alertmanager as the judge of what is sent to it.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "env/fake.h"
#include "env/http.h"
#include "env/real.h"
#include "notify/notifier.h"
#include "state/fake.h"

extern char** environ;

namespace headpond::notify {
namespace {

namespace fs = std::filesystem;

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

class AlertmanagerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "headpond-am-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    std::ofstream(root_ + "/am.yml") << "route: {receiver: none}\nreceivers: [{name: none}]\n";
    const std::string address = "127.0.0.1:" + std::to_string(free_port());
    url_ = "http://" + address;
    std::vector<std::string> words = {"prometheus-alertmanager", "--config.file=" + root_ + "/am.yml", "--storage.path=" + root_ + "/data",
                                      "--web.listen-address=" + address, "--cluster.listen-address="};
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 2, (root_ + "/log").c_str(), O_WRONLY | O_CREAT, 0644);
    posix_spawn_file_actions_adddup2(&actions, 2, 1);
    const int started = ::posix_spawnp(&pid_, words[0].c_str(), &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ASSERT_EQ(started, 0) << "prometheus-alertmanager is not there: run tools/setup";
    ASSERT_TRUE(eventually([this] { return get("/-/ready").has_value(); })) << "Alertmanager does not get ready";
  }
  void TearDown() override {
    if (pid_ > 0) {
      ::kill(pid_, SIGTERM);
      ::waitpid(pid_, nullptr, 0);
    }
    fs::remove_all(root_);
  }

  static bool eventually(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (std::chrono::steady_clock::now() < deadline) {
      if (condition()) return true;
      ::usleep(20'000);
    }
    return false;
  }

  std::optional<std::string> get(const std::string& path) {
    const auto answer = http_->send({.method = "GET", .url = url_ + path, .headers = {}, .body = ""});
    return answer && answer->status == 200 ? std::optional(answer->body) : std::nullopt;
  }
  std::vector<nlohmann::json> alerts() {
    const auto body = get("/api/v2/alerts");
    return body ? nlohmann::json::parse(*body).get<std::vector<nlohmann::json>>() : std::vector<nlohmann::json>{};
  }

  std::string root_, url_;
  pid_t pid_ = 0;
  std::unique_ptr<env::HttpClient> http_ = env::real_http_client();
};

TEST_F(AlertmanagerTest, SeesAPageFireAndResolve) {
  env::MemoryStore lake;
  state::MemoryStateStore state;
  const auto clock = env::real_clock();
  env::SeededRandom random;
  env::Failpoints failpoints;
  auto outbox =
      open_outbox(state, lake, {.pages_root = "pages/p", .generation = 1, .claimed_at = base::Micros(0), .targets = {"am"}}).value();
  NotifierOptions options{.branch = "p", .pages_root = "pages/p", .local_directory = root_ + "/notify"};
  auto notifier = Notifier::open(options, {{.name = "am", .kind = TargetKind::kAlertmanager, .urls = {url_}, .secret = ""}}, *outbox,
                                 {lake, *clock, random, *http_, failpoints, [](const std::string&) {}})
                      .value();
  rules::Transition t;
  t.id = {1, "checkout/ErrorBurst", R"({"tenant":"t1"})", 1};
  t.boundary = clock->now();
  t.began_at = t.boundary - base::Duration::seconds(5);
  t.value = 612;
  t.labels = {{"alertname", "ErrorBurst"}, {"tenant", "t1"}, {"severity", "page"}};
  t.annotations = {{"summary", "612 errors a minute"}};
  t.sql = "headpond sql \"SELECT 1\"";
  outbox->add({t});
  ASSERT_TRUE(eventually([&] { return notifier->step().has_value() && outbox->pending() == 0; })) << notifier->status().message;
  ASSERT_TRUE(eventually([&] { return alerts().size() == 1; }));
  const auto firing = alerts().front();
  EXPECT_EQ(firing["labels"], nlohmann::json(t.labels));
  EXPECT_EQ(firing["annotations"]["summary"], "612 errors a minute");
  EXPECT_EQ(firing["annotations"]["evidence"], t.sql);
  EXPECT_EQ(firing["status"]["state"], "active");

  t.id.seq = 2;
  t.kind = rules::TransitionKind::kResolved;
  t.boundary = clock->now();
  outbox->add({t});
  ASSERT_TRUE(eventually([&] { return notifier->step().has_value() && outbox->pending() == 0; })) << notifier->status().message;
  // Resolved alerts leave the list of active ones.
  EXPECT_TRUE(eventually([&] { return alerts().empty(); }));
}

}  // namespace
}  // namespace headpond::notify
