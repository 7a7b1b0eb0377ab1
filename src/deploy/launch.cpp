#include "deploy/launch.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <regex>
#include <thread>

#include "base/time.h"
#include "bronze/cursor.h"
#include "deploy/start.h"
#include "notify/generation.h"

namespace headpond::deploy {
namespace {

using base::ErrorKind;

constexpr base::Duration kFirstSign = base::Duration::minutes(3);  // a driver that fetches its packages first
constexpr base::Duration kPoll = base::Duration::millis(200);

std::string text(base::Micros at) {
  return base::format_rfc3339(base::floor_to(at, base::kSecond));
}

std::string last_lines(const std::string& output, int count) {
  std::size_t at = output.find_last_not_of("\n ");
  if (at == std::string::npos) return "";
  const std::size_t end = at + 1;
  for (; count > 0 && at != std::string::npos && at > 0; --count) at = output.rfind('\n', at - 1);
  return output.substr(at == std::string::npos ? 0 : at + (output[at] == '\n' ? 1 : 0), end - (at == std::string::npos ? 0 : at));
}

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Resumes the newest checkpoint of the newest generation, if the branch's job has one.
base::Result<std::optional<Start>> warm(PackageInput& input, rules::Program& program, World world, const notify::Generation& newest) {
  const auto& branch = input.job.branch;
  if (world.checkpoints == nullptr) return std::nullopt;
  TRY(const auto checkpoint, newest_checkpoint(*world.checkpoints, generation_folder(branch, newest.number) + "/"));
  if (!checkpoint) return std::nullopt;
  TRY(auto names, read_names(world.lake, input.job.paths.pages(branch.name), newest.number));
  if (!names)
    return base::fail(
        ErrorKind::kInvalid,
        fmt::format("branch {}: there is a checkpoint of generation {} but not what its rules were numbered by ({}/_deployed/); "
                    "restore that, or start afresh with --new-generation",
                    branch.name, newest.number, input.job.paths.pages(branch.name)));
  std::string lost;
  for (const auto& rule : lost_rules(*names, program))
    lost += fmt::format(
        "{}{}: rule {} was removed, or has another `by`, interval or lateness, since generation {} began: a running job cannot "
        "resolve its open pages; put it back, or start afresh with --new-generation",
        lost.empty() ? "" : "\n", input.job.topology.path, rule, newest.number);
  if (!lost.empty()) return base::fail(ErrorKind::kInvalid, lost);
  const base::Micros now = world.clock.now();
  Start start{.cold = false, .notes = {}, .names = std::move(*names)};
  number(program, start.names, base::floor_to(now, base::kMinute) + base::kMinute);
  input.job.start = {.generation = newest.number, .claimed_at = newest.claimed_at, .behind = base::Version(-1), .sees_rows_from = {}};
  input.job.program_json = rules::to_json(program);
  if (!start.names.program.empty()) {
    if (const auto edited = edits(start.names.program, input.job.program_json); !edited.empty())
      return base::fail(ErrorKind::kInvalid,
                        fmt::format("{}: {} since generation {} began: a job on Flink goes on only with the rules its state was made by; "
                                    "put them back, or start afresh with --new-generation",
                                    input.job.topology.path, fmt::join(edited, ", "), newest.number));
  }
  start.names.program = input.job.program_json;
  input.from = checkpoints_of(branch, input.job.paths) + "/" + checkpoint->path;
  start.notes.push_back(fmt::format("warm start: generation {} goes on from {} ({} old)", newest.number, *input.from,
                                    base::format_duration(base::Duration((now - checkpoint->modified).value() / 1'000'000 * 1'000'000))));
  return start;
}

// What a person needs of a failed command: of a Java trace its last cause, else the end.
std::string cause_of(const std::string& output) {
  const auto at = output.rfind("Caused by: ");
  if (at == std::string::npos) return last_lines(output, 5);
  const auto begin = at + std::string_view("Caused by: ").size();
  return output.substr(begin, output.find('\n', begin) - begin);
}

base::Result<void> write_files(const Package& package, const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  for (const auto& [name, content] : package.files) {
    std::ofstream out(directory + "/" + name, std::ios::binary | std::ios::trunc);
    out << content;
    out.flush();
    if (!out)
      return base::fail(ErrorKind::kInvalid,
                        "cannot write " + directory + "/" + name + "; make that folder writable, or name another with --out");
  }
  return {};
}

// Until the branch's cursor is of this engine and newer than `since`.
base::Result<std::string> wait_for_cursor(const PackageInput& input, const Command& command, std::int64_t pid, World world,
                                          base::Micros since) {
  const base::Duration until = world.clock.monotonic() + kFirstSign;
  while (world.clock.monotonic() < until) {
    TRY(const auto statuses, bronze::read_statuses(world.lake, input.job.paths.bronze));
    for (const auto& status : statuses)
      if (status.branch == input.job.branch.name && status.engine == input.job.branch.engine && status.updated_at > since &&
          status.state != "starting")
        return fmt::format("runs as process {} ({}, version {}); its log: {}", pid, status.state, status.version.value(), command.log);
    if (!world.processes.running(pid))
      return base::fail(ErrorKind::kRetry,
                        fmt::format("the driver of {} ended: {}", input.job.branch.name, last_lines(read_text(command.log), 5)));
    std::this_thread::sleep_for(std::chrono::microseconds(kPoll.value()));
  }
  return fmt::format("process {} has published no cursor yet; see {}", pid, command.log);
}

base::Result<std::string> run(const Command& command, const PackageInput& input, World world) {
  const env::ProcessRequest request{.argv = command.argv, .environment = command.environment, .log = command.log};
  if (!command.log.empty()) {
    const base::Micros since = world.clock.now();
    TRY(const auto pid, world.processes.start(request));
    return wait_for_cursor(input, command, pid, world, since);
  }
  TRY(const auto done, world.processes.run(request));
  if (done.code != 0) {
    const std::string kept = input.directory + "/failed.log";
    std::ofstream(kept) << done.output;
    return base::fail(ErrorKind::kRetry, fmt::format("{}: {} ended with exit code {}: {} (all of it: {})", input.job.branch.name,
                                                     command.argv.front(), done.code, cause_of(done.output), kept));
  }
  std::smatch job;
  static const std::regex kJob("JobID ([0-9a-f]{32})");
  if (std::regex_search(done.output, job, kJob)) return "job " + job[1].str() + " is submitted";
  return command.why + ": done";
}

}  // namespace

base::Result<Start> decide(PackageInput& input, rules::Program& program, World world, bool new_generation) {
  const std::string pages = input.job.paths.pages(input.job.branch.name);
  TRY(const auto newest, notify::newest_generation(world.lake, pages));
  if (newest && !new_generation) {
    TRY(auto start, warm(input, program, world, *newest));
    if (start) return std::move(*start);
  }
  const base::Micros now = world.clock.now();
  TRY(auto cold, cold_start(world.lake, input.job.paths.bronze, program, input.job.topology.bronze, now));
  Start start;
  number(program, start.names, cold.sees_rows_from);
  input.job.start = {
      .generation = newest ? newest->number + 1 : 1, .claimed_at = now, .behind = cold.behind, .sees_rows_from = cold.sees_rows_from};
  input.job.program_json = rules::to_json(program);
  start.names.program = input.job.program_json;
  start.notes.push_back(fmt::format("cold start: generation {}, behind version {} of bronze; what settled before {} is recorded, not sent",
                                    input.job.start.generation, cold.behind.value(), text(now)));
  start.notes.insert(start.notes.end(), cold.blind.begin(), cold.blind.end());
  return start;
}

base::Result<void> claim(const Start& start, PackageInput& input, World world) {
  const std::string pages = input.job.paths.pages(input.job.branch.name);
  if (start.cold) {
    TRY(input.job.start.generation, notify::claim_generation(world.lake, pages, input.job.start.claimed_at));
  }
  return write_names(world.lake, pages, input.job.start.generation, start.names);
}

base::Result<std::string> hand_over(const Package& package, const PackageInput& input, World world) {
  TRY_VOID(write_files(package, input.directory));
  std::string said;
  for (const auto& command : package.commands) {
    TRY(const auto line, run(command, input, world));
    said += (said.empty() ? "" : "; ") + line;
  }
  return said;
}

}  // namespace headpond::deploy
