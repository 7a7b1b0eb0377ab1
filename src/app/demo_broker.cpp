#include "app/demo_broker.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace headpond::app {
namespace {

namespace fs = std::filesystem;

struct Output {
  int code = -1;
  std::string text;
};

Output capture(const std::string& command) {
  Output out;
  // A child inherits the mask; the broker must stay stoppable by SIGTERM.
  sigset_t none, before;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, &before);
  FILE* pipe = popen(command.c_str(), "r");
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pipe == nullptr) return out;
  char buffer[256];
  while (fgets(buffer, sizeof buffer, pipe) != nullptr) out.text += buffer;
  const int status = pclose(pipe);
  out.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  while (!out.text.empty() && out.text.back() == '\n') out.text.pop_back();
  return out;
}

// tools/kafka of the checkout this binary was built in, or $HEADPOND_TOOLS/kafka; empty: neither.
std::string find_tool() {
  if (const char* tools = std::getenv("HEADPOND_TOOLS")) return (fs::path(tools) / "kafka").string();
  std::error_code error;
  const auto self = fs::read_symlink("/proc/self/exe", error);
  const auto tool = self.parent_path().parent_path() / "tools" / "kafka";
  return fs::exists(tool) ? tool.string() : "";
}

std::string shell_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace

base::Result<std::unique_ptr<DemoBroker>> DemoBroker::start(const std::string& directory, const std::string& topic, int partitions,
                                                            bool mock) {
  auto broker = std::make_unique<DemoBroker>();
  std::string why = "as asked";
  if (!mock) {
    broker->tool_ = find_tool();
    broker->directory_ = directory;
    const auto started =
        broker->tool_.empty() ? Output{} : capture(fmt::format("{} start {}", shell_quoted(broker->tool_), shell_quoted(directory)));
    if (started.code == 0) {
      broker->brokers_ = started.text;
      broker->what_ = "Apache Kafka";
      TRY_VOID(kafka::create_topic({.brokers = broker->brokers_, .librdkafka_options = {}}, topic, partitions, {}));
      return broker;
    }
    if (started.code != 3 && !broker->tool_.empty())
      return base::fail(base::ErrorKind::kRetry, "Apache Kafka did not start; its log is in " + directory);
    broker->tool_.clear();
    why = "no Java or no Apache Kafka here";
  }
  TRY(broker->mock_, kafka::MockBroker::start(topic, partitions));
  broker->brokers_ = broker->mock_->brokers();
  broker->what_ = "librdkafka's mock broker (" + why + ")";
  return broker;
}

DemoBroker::~DemoBroker() {
  if (!tool_.empty()) capture(fmt::format("{} stop {}", shell_quoted(tool_), shell_quoted(directory_)));
}

}  // namespace headpond::app
