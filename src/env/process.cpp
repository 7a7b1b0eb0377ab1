#include "env/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>

extern char** environ;

namespace headpond::env {
namespace {

constexpr std::size_t kOutputMax = 1u << 20;
constexpr std::chrono::seconds kGraceToEnd{10};

std::vector<std::string> merged_environment(const ProcessRequest& request) {
  std::map<std::string, std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string::npos) all[text.substr(0, equals)] = text.substr(equals + 1);
  }
  for (const auto& [name, value] : request.environment) all[name] = value;
  std::vector<std::string> lines;
  for (const auto& [name, value] : all) lines.push_back(name + "=" + value);
  return lines;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// Its stdout and stderr go to `out`; with `session` it outlives this process's terminal, else it leads a group of its own.
base::Result<pid_t> spawn(const ProcessRequest& request, int out, bool session) {
  if (request.argv.empty()) return base::fail(base::ErrorKind::kInvalid, "no program to run");
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, out, STDERR_FILENO);
  if (!request.directory.empty()) posix_spawn_file_actions_addchdir_np(&files, request.directory.c_str());
  posix_spawnattr_t how;
  posix_spawnattr_init(&how);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&how, &none);  // a child inherits the mask; it must stay stoppable
  posix_spawnattr_setpgroup(&how, 0);
  posix_spawnattr_setflags(&how, static_cast<short>(POSIX_SPAWN_SETSIGMASK | (session ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP)));
  auto argv = request.argv;
  auto environment = merged_environment(request);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv.front().c_str(), &files, &how, pointers(argv).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&how);
  if (error == 0) return pid;
  const auto kind = error == ENOENT || error == EACCES || error == ENOTDIR ? base::ErrorKind::kNotFound : base::ErrorKind::kRetry;
  return base::fail(kind, "cannot run " + request.argv.front() + ": " + std::strerror(error));
}

void append(std::string& output, int log, const char* bytes, std::size_t count) {
  output.append(bytes, count);
  if (log >= 0 && write(log, bytes, count) < 0) return;  // a full disk does not end the program
  if (output.size() > 2 * kOutputMax) output.erase(0, output.size() - kOutputMax);
}

enum class End { kItself, kDeadline, kGivenUp };

// Reads until the pipe ends, the deadline has come, or `give_up` says so.
End read_all(int from, int log, std::string& output, std::chrono::steady_clock::time_point deadline, const std::function<bool()>& give_up) {
  char buffer[16384];
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) return End::kDeadline;
    if (give_up && give_up()) return End::kGivenUp;
    pollfd waited{.fd = from, .events = POLLIN, .revents = 0};
    const int ready = poll(&waited, 1, static_cast<int>(std::min<std::int64_t>(left, give_up ? 100 : 60'000)));
    if (ready < 0 && errno != EINTR) return End::kItself;
    if (ready <= 0) continue;
    const ssize_t got = read(from, buffer, sizeof buffer);
    if (got == 0 || (got < 0 && errno != EINTR)) return End::kItself;
    if (got > 0) append(output, log, buffer, static_cast<std::size_t>(got));
  }
}

base::Result<int> open_log(const std::string& path) {
  if (path.empty()) return -1;
  const int log = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) return base::fail(base::ErrorKind::kInvalid, "cannot write " + path + ": " + std::strerror(errno));
  return log;
}

class RealProcesses final : public Processes {
 public:
  base::Result<ProcessResult> run(const ProcessRequest& request) override {
    TRY(const int log, open_log(request.log));
    auto done = run_logged(request, log);
    if (log >= 0) close(log);
    return done;
  }

  base::Result<std::int64_t> start(const ProcessRequest& request) override {
    if (request.log.empty()) return base::fail(base::ErrorKind::kInvalid, "a program that goes on running needs a log");
    TRY(const int log, open_log(request.log));
    const auto pid = spawn(request, log, true);
    close(log);
    if (!pid) return std::unexpected(pid.error());
    return static_cast<std::int64_t>(*pid);
  }

  bool running(std::int64_t pid) override {
    int status = 0;
    const auto id = static_cast<pid_t>(pid);
    if (waitpid(id, &status, WNOHANG) == id) return false;
    return kill(id, 0) == 0;
  }

 private:
  static base::Result<ProcessResult> run_logged(const ProcessRequest& request, int log) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return base::fail(base::ErrorKind::kRetry, std::string("no pipe: ") + std::strerror(errno));
    const auto pid = spawn(request, ends[1], false);
    close(ends[1]);
    if (!pid) {
      close(ends[0]);
      return std::unexpected(pid.error());
    }
    ProcessResult done;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(request.timeout.value());
    const auto end = read_all(ends[0], log, done.output, deadline, request.give_up);
    if (end == End::kGivenUp) {
      kill(-*pid, SIGTERM);
      read_all(ends[0], log, done.output, std::chrono::steady_clock::now() + kGraceToEnd, {});
    }
    close(ends[0]);
    if (end != End::kItself) kill(-*pid, SIGKILL);
    int status = 0;
    while (waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (done.output.size() > kOutputMax) done.output.erase(0, done.output.size() - kOutputMax);
    if (end == End::kGivenUp) return base::fail(base::ErrorKind::kRetry, request.argv.front() + " was given up and stopped");
    if (end == End::kDeadline)
      return base::fail(base::ErrorKind::kRetry, request.argv.front() + " did not end within " +
                                                     std::to_string(request.timeout.value() / 1'000'000) + " s and was stopped");
    done.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return done;
  }
};

}  // namespace

std::unique_ptr<Processes> real_processes() {
  return std::make_unique<RealProcesses>();
}

}  // namespace headpond::env
