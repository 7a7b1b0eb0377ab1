#include "app/session.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "app/console.h"

namespace headpond::app {
namespace {

namespace fs = std::filesystem;

class ProcessSecrets final : public spec::Secrets {
 public:
  explicit ProcessSecrets(fs::path directory) : directory_(std::move(directory)) {}
  std::optional<std::string> environment(const std::string& name) const override {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  }
  std::optional<std::string> file(const std::string& path) const override {
    auto text = read_file(fs::path(path).is_absolute() ? path : (directory_ / path).string());
    if (!text) return std::nullopt;
    while (!text->empty() && (text->back() == '\n' || text->back() == '\r')) text->pop_back();
    return std::move(*text);
  }

 private:
  fs::path directory_;
};

}  // namespace

base::Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in || fs::is_directory(path))
    return base::fail(base::ErrorKind::kNotFound, fmt::format("cannot read {}: {}", path, in ? "it is a directory" : std::strerror(errno)));
  std::ostringstream text;
  text << in.rdbuf();
  return std::move(text).str();
}

base::Result<void> write_file(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.flush();
  if (!out) return base::fail(base::ErrorKind::kInvalid, fmt::format("cannot write {}: {}", path, std::strerror(errno)));
  return {};
}

std::optional<spec::Topology> load_topology(const std::string& path) {
  const auto text = read_file(path);
  if (!text) {
    complain(text.error().message + "; name a topology with -f, or make one with 'headpond init'");
    return std::nullopt;
  }
  auto loaded = spec::load(*text, path, ProcessSecrets(fs::path(path).parent_path()));
  for (const auto& issue : loaded.issues) fmt::print(stderr, "{}: {}\n", spec::to_string(issue.place), issue.message);
  return std::move(loaded.topology);
}

std::optional<Session> Session::open(const CommonOptions& options, int& code) {
  code = kWrongUse;
  auto topology = load_topology(options.topology);
  if (!topology) return std::nullopt;
  Session session;
  session.topology = std::move(*topology);
  session.paths = spec::LakePaths::of(session.topology.bronze.location);
  session.data_directory =
      options.data_directory.empty()
          ? (fs::path(session.topology.directory.empty() ? "." : session.topology.directory) / ".headpond" / session.topology.name).string()
          : options.data_directory;
  session.clock = env::real_clock();
  session.random = env::real_random();
  session.failpoints = env::failpoints_from_environment();
  auto lake = env::open_store(session.paths.lake);
  if (!lake) {
    complain(lake.error());
    code = kUnavailable;
    return std::nullopt;
  }
  session.lake = std::move(*lake);
  code = kOk;
  return session;
}

const spec::Branch* Session::branch(spec::BranchKind kind, const std::string& name) const {
  const spec::Branch* found = nullptr;
  std::string names;
  for (const auto& candidate : topology.branches) {
    if (candidate.kind != kind || (!name.empty() && candidate.name != name)) continue;
    names += (names.empty() ? "" : ", ") + candidate.name;
    if (found != nullptr) {
      complain(fmt::format("{} has several {} branches: {}; say which with --branch", topology.path, spec::to_string(kind), names));
      return nullptr;
    }
    found = &candidate;
  }
  if (found == nullptr)
    complain(name.empty() ? fmt::format("{} has no {} branch", topology.path, spec::to_string(kind))
                          : fmt::format("{} has no {} branch named '{}'", topology.path, spec::to_string(kind), name));
  return found;
}

}  // namespace headpond::app
