// The command lines and files that bring a branch onto its engine. Pure: what is found on this machine comes in as Tools.
// Threads: values; any.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "deploy/job.h"
#include "spec/topology.h"

namespace headpond::deploy {

// Where things are. Paths may be references such as "$FLINK_HOME": they are printed, and only a real submission needs them to exist.
struct Tools {
  std::string engines = "engines";  // this Headpond's engines/
  std::string flink_home = "$FLINK_HOME";
  std::string flink_jar = "build/flink/headpond-pager.jar";  // tools/flink build
  std::string flink_rest = "$FLINK_REST";                    // where the branch does not say
  std::string spark_home = "$SPARK_HOME";
  std::string spark_master = "local[*]";  // where the branch does not say
  std::string spark_jars;                 // a folder with the tested jars (tools/spark install); empty: --packages
  std::string spark_classes;              // archive of the classes of spark_home and those jars, for a local driver; empty: none
  std::string dbt = "dbt";
  std::string s3_endpoint, s3_region;  // AWS_ENDPOINT_URL, AWS_REGION; empty: the cloud's own
};

struct Command {
  std::string why;                                               // "submit", "check the project"
  std::vector<std::pair<std::string, std::string>> environment;  // never a secret: those the process inherits
  std::vector<std::string> argv;
  std::string log;  // not empty: it goes on running; its output goes here
};
// As one would type it.
std::string shell(const Command& command);

struct Package {
  std::map<std::string, std::string> files;  // below build/deploy/<branch>/
  std::vector<Command> commands;
};

struct PackageInput {
  JobInput job;
  Tools tools;
  std::string directory;            // absolute: build/deploy/<branch>
  int parallelism = 1;              // of a Flink job
  double memory_gb = 2;             // the plan's
  std::optional<std::string> from;  // URL of the checkpoint a Flink job resumes
};
Package package(const PackageInput& input);

// What computes one closed day of a billing branch; its inputs and output are named behind it. The package's files lie in `directory`.
Command billing_run(const PackageInput& input);

// The Python beside dbt: that of its venv.
std::string dbt_python(const Tools& tools);

// The program below engines/spark that does the branch's work.
std::string_view spark_script(const spec::Branch& branch);

// Where the branch's Flink answers, as written or as the tools say: "http://127.0.0.1:8081".
std::string flink_rest(const spec::Branch& branch, const Tools& tools);

}  // namespace headpond::deploy
