#include "deploy/readiness.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <regex>

#include "bronze/facts.h"
#include "bronze/probe.h"
#include "delta/log.h"
#include "deploy/engines.h"
#include "lease/look.h"

namespace headpond::deploy {
namespace {

using base::ErrorKind;

constexpr base::Duration kAsk = base::Duration::seconds(5);
constexpr base::Duration kVersionMax = base::Duration::minutes(2);
constexpr const char* kPackages =
    "from importlib.metadata import distributions\n"
    "for d in distributions():\n"
    "  if d.name in ('dbt-core', 'dbt-duckdb', 'dbt-spark', 'duckdb', 'pyspark'): print(d.name, d.version)";

std::string last_line(const std::string& text) {
  const auto end = text.find_last_not_of("\r\n ");
  if (end == std::string::npos) return "";
  const auto begin = text.find_last_of('\n', end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1, end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

std::string lease_root(const spec::LakePaths& paths, const spec::Branch& branch) {
  switch (branch.kind) {
    case spec::BranchKind::kPager: return paths.pages(branch.name) + "/_leases/engine";
    case spec::BranchKind::kDashboard: return paths.gold(branch.name) + "/_leases/engine";
    case spec::BranchKind::kBilling: return paths.billing(branch.name) + "/_leases/engine";
  }
  return "";
}

std::string how_to_stop(const std::string& word, const spec::Branch& branch) {
  if (word == "embedded")
    return fmt::format("stop `headpond up` (or `headpond {}`) there, or leave `engine: embedded`", spec::to_string(branch.kind));
  if (word == "flink") return "stop that job with `flink stop --savepointPath …` (or `flink cancel`): a savepoint here is taken up again";
  if (word == "spark") return "stop that driver with SIGTERM";
  return "wait until its run has ended, or stop `headpond up` there";
}

// Runs `program` for its version; `pattern`'s first group is it.
base::Result<std::string> version_of(env::Processes& processes, std::vector<std::string> argv, const char* pattern,
                                     const std::string& engine, const std::string& mend) {
  const std::string line = argv.front();
  const auto done = processes.run({.argv = std::move(argv), .timeout = kVersionMax});
  if (!done) return base::fail(ErrorKind::kRetry, fmt::format("{}: {}; {}", engine, done.error().message, mend));
  std::smatch found;
  const std::regex wanted(pattern);
  if (done->code != 0 || !std::regex_search(done->output, found, wanted))
    return base::fail(ErrorKind::kRetry,
                      fmt::format("{}: {} gave no version (exit {}: {}); {}", engine, line, done->code, last_line(done->output), mend));
  return found[1].str();
}

}  // namespace

base::Result<void> check_flink(env::HttpClient& http, const std::string& rest, int parallelism) {
  const std::string mend =
      "start one with `tools/flink start DIR`, or write where it is: `flink: {rest: \"http://host:8081\"}` (or FLINK_REST)";
  if (rest.empty() || rest.starts_with("$")) return base::fail(ErrorKind::kRetry, "flink: nobody said where the JobManager is; " + mend);
  std::string base_url = rest;
  while (base_url.ends_with('/')) base_url.pop_back();
  const auto answer = http.send({.method = "GET", .url = base_url + "/overview", .headers = {}, .body = "", .timeout = kAsk});
  if (!answer) return base::fail(ErrorKind::kRetry, fmt::format("flink: {} does not answer ({}); {}", rest, answer.error().message, mend));
  const auto json = nlohmann::json::parse(answer->body, nullptr, false);
  if (answer->status != 200 || !json.is_object() || !json.contains("flink-version"))
    return base::fail(ErrorKind::kRetry,
                      fmt::format("flink: {} answers, but not as a JobManager (status {}); {}", rest, answer->status, mend));
  TRY_VOID(check_version("flink", json.value("flink-version", "")));
  const int slots = json.value("slots-available", 0);
  if (slots >= parallelism) return {};
  return base::fail(ErrorKind::kInvalid,
                    fmt::format("flink: {} needs {} slots, {} of {} are free; start a TaskManager, or write `flink: {{parallelism: {}}}`",
                                rest, parallelism, slots, json.value("slots-total", 0), std::max(1, slots)));
}

base::Result<void> check_spark(env::Processes& processes, const std::string& spark_home) {
  const std::string mend = "install it with `tools/spark install`, or set SPARK_HOME";
  if (spark_home.starts_with("$")) return base::fail(ErrorKind::kRetry, "spark: SPARK_HOME is not set; " + mend);
  TRY(const auto version,
      version_of(processes, {spark_home + "/bin/spark-submit", "--version"}, R"(version (\d+\.\d+\.\d+))", "spark", mend));
  return check_version("spark", version);
}

base::Result<void> check_dbt(env::Processes& processes, const Tools& tools, const std::string& target) {
  const std::string mend = "install it with `tools/dbt install`, or set HEADPOND_DBT to the dbt of a venv of your own",
                    python = dbt_python(tools);
  if (tools.dbt.find('/') == std::string::npos || access(python.c_str(), X_OK) != 0)
    return base::fail(ErrorKind::kNotFound, fmt::format("dbt is not installed: there is no {}; {}", python, mend));
  // dbt's own --version asks a registry, which takes a minute without one.
  const auto done = processes.run({.argv = {python, "-c", kPackages}, .timeout = kVersionMax});
  if (!done) return base::fail(ErrorKind::kRetry, fmt::format("dbt: {}; {}", done.error().message, mend));
  const auto version = [&](const std::string& package) {
    std::smatch found;
    const std::regex wanted("(^|\n)" + package + " (\\S+)");
    return std::regex_search(done->output, found, wanted) ? found[2].str() : std::string();
  };
  if (version("dbt-core").empty())
    return base::fail(ErrorKind::kRetry,
                      fmt::format("dbt: {} has no dbt-core (exit {}: {}); {}", python, done->code, last_line(done->output), mend));
  TRY_VOID(check_version("dbt", version("dbt-core")));
  const std::string adapter = "dbt-" + target, engine = target == "duckdb" ? "duckdb" : "pyspark";
  if (version(adapter).empty())
    return base::fail(ErrorKind::kInvalid,
                      fmt::format("dbt: {} lacks the adapter of `dbt: {{target: {}}}`; install {}", tools.dbt, target, adapter));
  TRY_VOID(check_version(adapter, version(adapter)));
  if (version(engine).empty()) return base::fail(ErrorKind::kInvalid, fmt::format("dbt: {} lacks {}; {}", python, engine, mend));
  return check_version(engine, version(engine));
}

base::Result<void> check_files(const spec::Branch& branch, const Tools& tools) {
  const auto needed = [&](const std::string& path, int mode, const std::string& mend) -> base::Result<void> {
    if (access(path.c_str(), mode) == 0) return {};
    return base::fail(ErrorKind::kNotFound, fmt::format("{}: {}: {}; {}", branch.engine, path, std::strerror(errno), mend));
  };
  if (branch.engine == "flink") {
    TRY_VOID(needed(tools.flink_home + "/bin/flink", X_OK, "install it with `tools/flink install`, or set FLINK_HOME"));
    return needed(tools.flink_jar, R_OK, "build the job with `tools/flink build`, or set HEADPOND_FLINK_JAR");
  }
  if (branch.engine == "dbt")
    return needed(tools.engines + "/dbt/dbt_project.yml", R_OK, "set HEADPOND_ENGINES to the folder engines/ of this Headpond");
  return needed(tools.engines + "/spark/" + std::string(spark_script(branch)), R_OK,
                "set HEADPOND_ENGINES to the folder engines/ of this Headpond");
}

base::Result<void> check_billing(const spec::Branch& branch, const Tools& tools, env::Processes& processes) {
  TRY_VOID(check_files(branch, tools));
  return branch.engine == "dbt" ? check_dbt(processes, tools, branch.dbt.target) : check_spark(processes, tools.spark_home);
}

base::Result<void> check_engine(const spec::Branch& branch, const Tools& tools, int parallelism, env::HttpClient& http,
                                env::Processes& processes) {
  if (branch.kind == spec::BranchKind::kBilling) return check_billing(branch, tools, processes);
  TRY_VOID(check_files(branch, tools));
  if (branch.engine == "flink") return check_flink(http, flink_rest(branch, tools), parallelism);
  return check_spark(processes, tools.spark_home);
}

base::Result<void> check_bronze(env::ObjectStore& lake, const std::string& bronze_root, const std::string& topology_path) {
  const delta::Table table(lake, bronze_root);
  TRY(const auto newest, table.latest());
  if (newest.value() < 0)
    return base::fail(ErrorKind::kNotFound, fmt::format("no bronze table at {}{} yet: start `headpond up -f {}` first", lake.describe(),
                                                        bronze_root, topology_path));
  TRY(const auto commit, table.read(newest));
  const std::string name = lake.describe() + table.path(delta::log_path(newest));
  if (commit.headpond.empty())
    return base::fail(ErrorKind::kInvalid, name + ": another program committed to this table; only `headpond ingest` may write it");
  TRY_VOID(bronze::parse_facts(commit.headpond, name));
  return {};
}

base::Result<void> check_flink_lake(const spec::Topology& topology, const spec::Branch& branch) {
  if (branch.engine != "flink") return {};
  const auto refuse = [&](const std::string& place) -> base::Result<void> {
    if (place.find("://") == std::string::npos || place.starts_with("s3://") || place.starts_with("file://")) return {};
    return base::fail(
        ErrorKind::kInvalid,
        fmt::format("{}: branch {} on flink cannot use {}: its job reads s3:// (through the AWS SDK) and directories only; keep "
                    "them there, or write `engine: embedded`",
                    spec::to_string(branch.place), branch.name, place));
  };
  TRY_VOID(refuse(topology.bronze.location));
  return branch.state ? refuse(branch.state->checkpoints) : base::Result<void>{};
}

base::Result<void> check_store(env::ObjectStore& lake, const std::string& bronze_root, env::Random& random) {
  return bronze::probe_put_if_absent(lake, bronze_root, random);
}

base::Result<void> check_lease(env::ObjectStore& lake, const spec::LakePaths& paths, const spec::Branch& branch, base::Micros now) {
  const std::string root = lease_root(paths, branch);
  TRY(const auto seen, lease::look(lake, root));
  if (!seen || !seen->holds(now)) return {};
  const std::string word = seen->word();
  // A batch is passed to its engine run by run: whoever schedules it for this engine is no other engine.
  if (branch.kind == spec::BranchKind::kBilling && word == branch.engine) return {};
  const double left_s = (seen->wait - (now - seen->renewed_at)).to_seconds();
  return base::fail(
      ErrorKind::kConflict,
      fmt::format("branch {} is run by {} (lease {}{}, epoch {}, holder {}, renewed {:.1f} s ago): {}; it is free {:.0f} s after that",
                  branch.name, word, lake.describe(), root, seen->epoch, seen->holder, (now - seen->renewed_at).to_seconds(),
                  how_to_stop(word, branch), std::max(1.0, left_s)));
}

}  // namespace headpond::deploy
