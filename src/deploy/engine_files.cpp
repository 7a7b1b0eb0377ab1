#include "deploy/engine_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace headpond::deploy {
namespace {

constexpr const char* kCredentials =
    "# Written by `headpond deploy`. Credentials are not in it: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or any other source of the\n"
    "# AWS chain) are read from the environment of the processes that run this.\n";

// As Flink's own config.yaml has them: its client and its state need them on Java 17.
constexpr const char* kJavaOpens =
    "--add-exports=java.base/sun.net.util=ALL-UNNAMED --add-exports=java.management/sun.management=ALL-UNNAMED "
    "--add-opens=java.base/java.lang=ALL-UNNAMED --add-opens=java.base/java.net=ALL-UNNAMED --add-opens=java.base/java.io=ALL-UNNAMED "
    "--add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED "
    "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED --add-opens=java.base/java.text=ALL-UNNAMED "
    "--add-opens=java.base/java.time=ALL-UNNAMED --add-opens=java.base/java.util=ALL-UNNAMED "
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED --add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED "
    "--add-opens=java.base/java.util.concurrent.locks=ALL-UNNAMED";

bool remote(const spec::LakePaths& paths) {
  return paths.lake.find("://") != std::string::npos;
}

// Up to here what a driver compiles in its life costs more than running code that was never optimized: a minute of it is 700,000 rows.
constexpr double kQuickCompilerEventsPerDay = 1e9;

// Of a driver that is one JVM: jars stand on its class path, where an archive of their classes applies.
template <class Line>
void local_driver(const PackageInput& in, const Line& line) {
  const auto& expect = in.job.topology.expect;
  std::string options = "-XX:+UseSerialGC";
  if (!expect || expect->events_per_day <= kQuickCompilerEventsPerDay) options += " -XX:TieredStopAtLevel=1";
  if (!in.tools.spark_classes.empty()) options += " -XX:SharedArchiveFile=" + in.tools.spark_classes;
  line("spark.driver.extraJavaOptions", options);
  if (!in.tools.spark_jars.empty()) line("spark.driver.extraClassPath", in.tools.spark_jars + "/*");
  line("spark.driver.host", "127.0.0.1");
}

bool plain_http(const std::string& endpoint) {
  return endpoint.starts_with("http://");
}

}  // namespace

std::string spark_master(const PackageInput& in) {
  return in.job.branch.spark.master.empty() ? in.tools.spark_master : in.job.branch.spark.master;
}

bool local_spark(const PackageInput& in) {
  return spark_master(in) == "local" || spark_master(in).starts_with("local[");
}

bool needs_jars(const PackageInput& in) {
  return in.job.branch.kind != spec::BranchKind::kBilling || remote(in.job.paths);
}

std::string flink_config(const PackageInput& in) {
  const std::string folder = checkpoints_of(in.job.branch, in.job.paths) + "/" + generation_folder(in.job.branch, in.job.start.generation);
  std::string out = kCredentials;
  const auto line = [&](const std::string& key, const std::string& value) { out += key + ": " + value + "\n"; };
  line("state.backend.type", "rocksdb");
  line("execution.checkpointing.incremental", "true");
  line("execution.checkpointing.interval", "10 s");
  line("execution.checkpointing.mode", "EXACTLY_ONCE");
  line("execution.checkpointing.dir", folder);
  line("execution.checkpointing.savepoint-dir", folder + "/savepoints");
  line("execution.checkpointing.num-retained", "3");
  line("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
  line("env.java.opts.all", kJavaOpens);
  line("restart-strategy.type", "exponential-delay");
  line("restart-strategy.exponential-delay.max-backoff", "30 s");
  line("taskmanager.memory.process.size", fmt::format("{}m", static_cast<int>(std::lround(std::max(1.0, in.memory_gb) * 1024))));
  line("jobmanager.memory.process.size", "1024m");
  if (!in.tools.s3_endpoint.empty()) {
    line("s3.endpoint", in.tools.s3_endpoint);
    if (plain_http(in.tools.s3_endpoint)) line("s3.path-style-access", "true");
  }
  if (!in.tools.s3_region.empty()) line("s3.region", in.tools.s3_region);
  return out;
}

std::string spark_conf(const PackageInput& in) {
  const auto& branch = in.job.branch;
  std::string out = kCredentials;
  const auto line = [&](const std::string& key, const std::string& value) { out += key + " " + value + "\n"; };
  line("spark.driver.memory", branch.spark.driver_memory.empty() ? "2g" : branch.spark.driver_memory);
  if (local_spark(in)) local_driver(in, line);
  if (branch.kind != spec::BranchKind::kBilling) {  // a bill is given Parquet files by name
    line("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension");
    line("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog");
  }
  line("spark.sql.session.timeZone", "UTC");
  line("spark.hadoop.fs.s3.impl", "org.apache.hadoop.fs.s3a.S3AFileSystem");
  line("spark.hadoop.fs.s3a.aws.credentials.provider", "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider");
  if (!in.tools.s3_endpoint.empty()) {
    line("spark.hadoop.fs.s3a.endpoint", in.tools.s3_endpoint);
    if (plain_http(in.tools.s3_endpoint)) {
      line("spark.hadoop.fs.s3a.path.style.access", "true");
      line("spark.hadoop.fs.s3a.connection.ssl.enabled", "false");
    }
  }
  if (!in.tools.s3_region.empty()) line("spark.hadoop.fs.s3a.endpoint.region", in.tools.s3_region);
  return out;
}

std::string dbt_spark_conf(const PackageInput& in) {
  const std::string out = spark_conf(in) + "spark.master " + spark_master(in) + "\n";
  if (!needs_jars(in)) return out;
  if (in.tools.spark_jars.empty()) return out + "spark.jars.packages " + kSparkPackages + "\n";
  return local_spark(in) ? out : out + "spark.jars " + in.tools.spark_jars + "/*.jar\n";
}

std::string dbt_profiles(const PackageInput& in) {
  std::string out = kCredentials;
  out += "headpond:\n  target: " + in.job.branch.dbt.target + "\n  outputs:\n";
  out += "    duckdb:\n      type: duckdb\n      path: \"{{ env_var('HEADPOND_DBT_DATABASE', ':memory:') }}\"\n      threads: 1\n";
  if (remote(in.job.paths)) out += "      module_paths: [\"" + in.tools.engines + "/dbt\"]\n      plugins: [{module: headpond_lake}]\n";
  out += "    spark:\n      type: spark\n      method: session\n      schema: headpond\n      host: NA\n";
  return out;
}

}  // namespace headpond::deploy
