// The configuration files of the engines. Private to deploy. Credentials are never in them: each names where they come from.
#pragma once

#include <string>

#include "deploy/commands.h"

namespace headpond::deploy {

inline constexpr const char* kSparkPackages = "io.delta:delta-spark_4.2_2.13:4.4.0,org.apache.hadoop:hadoop-aws:3.5.0";
inline constexpr const char* kLog4jCli = R"(rootLogger.level = WARN
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %-5p %c %x - %m%n
)";

std::string spark_master(const PackageInput& in);
// Driver and executors are one JVM on this machine.
bool local_spark(const PackageInput& in);
// Delta's and S3A's: a bill reads Parquet files that it is given by name, so of a lake in a directory Spark needs nothing beside itself.
bool needs_jars(const PackageInput& in);

std::string flink_config(const PackageInput& in);
std::string spark_conf(const PackageInput& in);
// Of dbt-spark's own session: where it runs and what it loads are in it too.
std::string dbt_spark_conf(const PackageInput& in);
std::string dbt_profiles(const PackageInput& in);

}  // namespace headpond::deploy
