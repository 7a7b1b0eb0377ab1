#include "broker.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <sstream>

#include "events.h"

namespace headpond::bench {

namespace {

// What `tools/<words>` prints; none where it fails.
std::optional<std::string> run_tool(const std::string& words) {
  std::FILE* const output = popen((std::string(HEADPOND_ROOT) + "/tools/" + words).c_str(), "r");
  if (output == nullptr) return std::nullopt;
  std::string text;
  char piece[256];
  while (std::fgets(piece, sizeof piece, output) != nullptr) text += piece;
  return pclose(output) == 0 ? std::optional(text) : std::nullopt;
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  auto pattern = (std::filesystem::temp_directory_path() / "headpond-bench-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) std::perror("mkdtemp"), std::exit(3);
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Broker::Broker(const std::string& topic) {
  if (const auto started = run_tool("kafka start " + directory_.path() + "/kafka")) address_ = started->substr(0, started->find('\n'));
  if (!address_.empty()) return;
  auto mock = kafka::MockBroker::start(topic, kPartitions);
  if (!mock) std::fprintf(stderr, "%s\n", mock.error().message.c_str()), std::exit(3);
  mock_ = std::move(*mock);
  address_ = mock_->brokers();
}

Broker::~Broker() {
  if (!is_real()) return;
  if (!run_tool("kafka kill " + directory_.path() + "/kafka"))
    std::fprintf(stderr, "cannot stop the broker in %s\n", directory_.path().c_str());
}

S3::S3() {
  const auto directory = directory_.path() + "/s3";
  if (!run_tool("s3 start " + directory)) return;
  runs_ = run_tool("s3 bucket " + directory + " bench").has_value();
  const auto exports = run_tool("s3 env " + directory).value_or("");
  std::istringstream words(exports);  // "export NAME=value NAME=value …"
  for (std::string word; words >> word;)
    if (const auto equals = word.find('='); equals != std::string::npos)
      setenv(word.substr(0, equals).c_str(), word.substr(equals + 1).c_str(), 1);
}

S3::~S3() {
  if (runs_ && !run_tool("s3 kill " + directory_.path() + "/s3"))
    std::fprintf(stderr, "cannot stop the S3 server in %s\n", directory_.path().c_str());
}

}  // namespace headpond::bench
