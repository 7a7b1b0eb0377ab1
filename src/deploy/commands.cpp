#include "deploy/commands.h"

#include <fmt/format.h>

#include "deploy/engine_files.h"

namespace headpond::deploy {
namespace {

// Bare where the shell takes it as it is; `$NAME/…` stays a reference.
std::string quoted(const std::string& word) {
  const bool plain = !word.empty() && word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-") ==
                                          std::string::npos;
  if (plain) return word;
  if (word.starts_with("$") && word.find_first_of(" '\"`\\") == std::string::npos) return '"' + word + '"';
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string host_and_port(const std::string& rest) {
  if (rest.starts_with("$")) return "${" + rest.substr(1) + "#*://}";
  const auto scheme = rest.find("://");
  std::string host = scheme == std::string::npos ? rest : rest.substr(scheme + 3);
  while (host.ends_with('/')) host.pop_back();
  return host;
}

Package flink_package(const PackageInput& in) {
  const auto& branch = in.job.branch;
  Package out;
  out.files["config.yaml"] = flink_config(in);
  out.files["log4j-cli.properties"] = kLog4jCli;
  Command submit{.why = "submit the job",
                 .environment = {{"FLINK_CONF_DIR", in.directory}},
                 .argv = {in.tools.flink_home + "/bin/flink", "run", "--detached", "--jobmanager",
                          host_and_port(flink_rest(branch, in.tools)), "--parallelism", std::to_string(in.parallelism)},
                 .log = ""};
  if (in.from) submit.argv.insert(submit.argv.end(), {"--fromSavepoint", *in.from});
  submit.argv.insert(submit.argv.end(), {in.tools.flink_jar, "--job", in.directory + "/job.json"});
  out.commands.push_back(std::move(submit));
  return out;
}

// One JVM on this machine needs no port that others reach.
std::vector<std::pair<std::string, std::string>> spark_environment(const PackageInput& in) {
  if (!local_spark(in)) return {};
  return {{"SPARK_LOCAL_IP", "127.0.0.1"}};
}

std::vector<std::string> spark_submit(const PackageInput& in) {
  const auto& branch = in.job.branch;
  std::vector<std::string> argv{in.tools.spark_home + "/bin/spark-submit", "--master", spark_master(in), "--name",
                                in.job.topology.name + "/" + branch.name};
  if (branch.kind == spec::BranchKind::kBilling) argv.insert(argv.end(), {"--conf", "spark.ui.enabled=false"});
  if (needs_jars(in) && in.tools.spark_jars.empty())
    argv.insert(argv.end(), {"--packages", kSparkPackages});
  else if (needs_jars(in) && !local_spark(in))
    argv.insert(argv.end(), {"--jars", in.tools.spark_jars + "/*.jar"});
  argv.insert(argv.end(), {"--properties-file", in.directory + "/spark.conf", "--load-spark-defaults",
                           in.tools.engines + "/spark/" + std::string(spark_script(branch)), "--job", in.directory + "/job.json"});
  return argv;
}

Package spark_package(const PackageInput& in) {
  Package out;
  out.files["spark.conf"] = spark_conf(in);
  out.commands.push_back(
      {.why = "start the driver", .environment = spark_environment(in), .argv = spark_submit(in), .log = in.directory + "/driver.log"});
  return out;
}

Package pyspark_package(const PackageInput& in) {
  Package out;
  out.files["spark.conf"] = spark_conf(in);
  out.commands.push_back(billing_run(in));
  return out;
}

Package dbt_package(const PackageInput& in) {
  Package out;
  out.files["profiles.yml"] = dbt_profiles(in);
  if (in.job.branch.dbt.target == "spark") out.files["spark.conf"] = dbt_spark_conf(in);
  const auto command = [&](const std::string& why, std::vector<std::string> words) {
    std::vector<std::string> argv{in.tools.dbt};
    argv.insert(argv.end(), words.begin(), words.end());
    argv.insert(argv.end(),
                {"--project-dir", in.tools.engines + "/dbt", "--profiles-dir", in.directory, "--target", in.job.branch.dbt.target});
    return Command{.why = why, .environment = {}, .argv = std::move(argv), .log = ""};
  };
  out.commands.push_back(command("check the project and its profile",
                                 {"parse", "--target-path", in.directory + "/target", "--log-path", in.directory + "/logs"}));
  return out;
}

}  // namespace

Command billing_run(const PackageInput& in) {
  Command run{.why = "run by `headpond up` or `headpond bill run` for each closed day, with --inputs, --output and --result behind it",
              .environment = {},
              .argv = {},
              .log = ""};
  if (in.job.branch.engine == "pyspark" || in.job.branch.dbt.target == "spark") run.environment = spark_environment(in);
  if (in.job.branch.engine == "pyspark") {
    run.argv = spark_submit(in);
    return run;
  }
  run.argv = {dbt_python(in.tools), in.tools.engines + "/dbt/run.py", "--profiles-dir", in.directory,
              "--target",           in.job.branch.dbt.target,         "--work",         in.directory + "/work"};
  if (in.job.branch.dbt.target == "spark") run.argv.insert(run.argv.end(), {"--spark-conf", in.directory + "/spark.conf"});
  return run;
}

std::string dbt_python(const Tools& tools) {
  return tools.dbt.substr(0, tools.dbt.rfind('/') + 1) + "python";
}

std::string_view spark_script(const spec::Branch& branch) {
  return branch.kind == spec::BranchKind::kDashboard ? "dashboard.py" : "billing.py";
}

std::string flink_rest(const spec::Branch& branch, const Tools& tools) {
  return branch.flink.rest.empty() ? tools.flink_rest : branch.flink.rest;
}

std::string shell(const Command& command) {
  std::string line;
  for (const auto& [name, value] : command.environment) line += name + "=" + quoted(value) + " ";
  for (std::size_t i = 0; i < command.argv.size(); ++i) line += (i > 0 ? " " : "") + quoted(command.argv[i]);
  if (!command.log.empty()) line += " >> " + quoted(command.log) + " 2>&1 &";
  return line;
}

Package package(const PackageInput& in) {
  const auto& engine = in.job.branch.engine;
  Package out = engine == "flink"     ? flink_package(in)
                : engine == "spark"   ? spark_package(in)
                : engine == "pyspark" ? pyspark_package(in)
                                      : dbt_package(in);
  out.files["job.json"] = job_json(in.job);
  return out;
}

}  // namespace headpond::deploy
