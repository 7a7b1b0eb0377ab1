// `headpond up` and the commands that run one role of it.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <mutex>

#include "app/console.h"
#include "app/page_server.h"
#include "app/signals.h"
#include "app/system.h"
#include "base/time.h"
#include "plan/plan.h"

namespace headpond::app {
namespace {

constexpr base::Duration kWatch = base::Duration::millis(200);

// One line at a time on stderr, with the time of day.
class Logger {
 public:
  explicit Logger(env::Clock& clock) : clock_(clock) {}
  void line(const std::string& role, const std::string& text) {
    const std::lock_guard lock(mutex_);
    fmt::print(stderr, "{} {}: {}\n", base::format_rfc3339(base::floor_to(clock_.now(), base::Duration::millis(1))), role, text);
  }

 private:
  env::Clock& clock_;
  std::mutex mutex_;
};

bool wants(const UpCommand& command, const std::string& role) {
  return command.roles.empty() || std::find(command.roles.begin(), command.roles.end(), role) != command.roles.end();
}

// What ends the process by itself: ingest's fatal error (nothing else can go on without it), or every role's.
std::optional<base::Error> ended(const System& system) {
  const auto failed = system.failed();
  for (const auto& [role, error] : failed)
    if (role == "ingest" || failed.size() == system.roles()) return error;
  return std::nullopt;
}

base::Result<ingest::Settings> ingest_settings(const UpCommand& command) {
  ingest::Settings settings;
  settings.accept_loss = command.accept_loss;
  settings.until_end = command.until_end;
  if (!command.instance.empty()) {
    TRY(settings.share, ingest::parse_instance(command.instance));
  }
  if (!command.partitions.empty()) {
    TRY(settings.share, ingest::parse_partitions(command.partitions));
  }
  return settings;
}

}  // namespace

int run_up(const UpCommand& command) {
  const Signals signals;  // before any thread
  int code = kOk;
  auto session = Session::open(command.common, code);
  if (!session) return code;
  const auto plan = plan::make_plan(session->topology);
  if (plan.refused()) {
    fmt::print(stderr, "{}", plan::render_refusals(plan));
    complain(fmt::format("the plan is refused; see 'headpond plan -f {}'", command.common.topology));
    return kWrongUse;
  }
  for (const auto& branch : plan.branches)
    if (branch.proposed)
      fmt::print(stderr,
                 "headpond: branch {} is proposed, not yet in the file, and does not run; 'headpond plan -f {} --write' puts it there\n",
                 branch.branch.name, command.common.topology);
  // What the file left open (rhythm, trigger, engine: auto) as the plan fills it in; written branches come first, in their order.
  for (std::size_t i = 0; i < session->topology.branches.size(); ++i) session->topology.branches[i] = plan.branches[i].branch;
  Logger logger(*session->clock);
  std::mutex print_mutex;
  const Hooks hooks{.log = [&](const std::string& role, const std::string& text) { logger.line(role, session->topology.redact(text)); },
                    .print =
                        [&](const std::string& page) {
                          const std::lock_guard lock(print_mutex);
                          fmt::print("{}\n", page);
                          std::fflush(stdout);
                        }};
  std::unique_ptr<System> system;
  const bool serve_only = command.roles == std::vector<std::string>{"serve"};
  if (!serve_only) {
    const auto settings = ingest_settings(command);
    if (!settings) return complain(settings.error());
    auto created = System::create(
        *session, {.kinds = command.roles, .branch = command.branch, .new_generation = command.new_generation, .ingest = *settings}, hooks);
    if (!created) return complain(created.error());
    system = std::move(*created);
  }
  std::unique_ptr<PageServer> server;
  if (wants(command, "serve") || !command.listen.empty()) {
    auto opened = PageServer::open(*session, system.get(), command.listen.empty() ? session->topology.serve_listen : command.listen);
    if (!opened) return complain(opened.error());
    server = std::move(*opened);
    fmt::print(stderr, "headpond: the page is at {}\n", server->address());
  }
  if (system) system->start();
  std::optional<base::Error> end;
  while (!signals.wait(kWatch) && !end && !(system && system->finished()))
    if (system) end = ended(*system);
  if (server) server->stop();
  if (system) {
    fmt::print(stderr, "headpond: stopping: committing what has been read\n");
    system->stop();
    if (!end) end = ended(*system);
  }
  return end ? exit_code(end->kind) : kOk;
}

}  // namespace headpond::app
