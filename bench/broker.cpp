#include "broker.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "events.h"

namespace headpond::bench {

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
  const auto command = std::string(HEADPOND_ROOT) + "/tools/kafka start " + directory_.path() + "/kafka";
  if (std::FILE* const output = popen(command.c_str(), "r")) {
    char line[256] = {};
    if (std::fgets(line, sizeof line, output) != nullptr) address_ = std::string(line, std::string_view(line).find_first_of("\n"));
    if (pclose(output) != 0) address_.clear();
  }
  if (!address_.empty()) return;
  auto mock = kafka::MockBroker::start(topic, kPartitions);
  if (!mock) std::fprintf(stderr, "%s\n", mock.error().message.c_str()), std::exit(3);
  mock_ = std::move(*mock);
  address_ = mock_->brokers();
}

Broker::~Broker() {
  if (!is_real()) return;
  const auto command = std::string(HEADPOND_ROOT) + "/tools/kafka kill " + directory_.path() + "/kafka";
  if (std::system(command.c_str()) != 0) std::fprintf(stderr, "cannot stop the broker in %s\n", directory_.path().c_str());
}

}  // namespace headpond::bench
