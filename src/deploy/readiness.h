// What must be so before anything of a branch is started elsewhere: its engine answers and is a tested version, bronze can be read, nobody
// else works on the branch. Each check changes nothing and says what is wrong and how to mend it.
//
// Threads: any; no state.
#pragma once

#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "deploy/commands.h"
#include "env/clock.h"
#include "env/http.h"
#include "env/object_store.h"
#include "env/process.h"
#include "spec/topology.h"

namespace headpond::deploy {

// The JobManager at `rest` answers, is a tested version and has `parallelism` free slots. Errors: kRetry: it does not answer. kInvalid.
base::Result<void> check_flink(env::HttpClient& http, const std::string& rest, int parallelism);
// Errors: kRetry: it cannot be run. kInvalid: a version that was not tested.
base::Result<void> check_spark(env::Processes& processes, const std::string& spark_home);
// dbt-core, the adapter of `target` and what it runs on. Errors: kNotFound: not there. kRetry, kInvalid: as check_spark.
base::Result<void> check_dbt(env::Processes& processes, const Tools& tools, const std::string& target);
// The programs and the job that will be run are on this machine. Errors: kNotFound: which is not, with the mend.
base::Result<void> check_files(const spec::Branch& branch, const Tools& tools);
// What computes a bill is on this machine, and in versions that were tested. Errors: as the three above.
base::Result<void> check_billing(const spec::Branch& branch, const Tools& tools, env::Processes& processes);
// Whichever of these the branch needs.
base::Result<void> check_engine(const spec::Branch& branch, const Tools& tools, int parallelism, env::HttpClient& http,
                                env::Processes& processes);

// The table is there, is ours, and its newest commit is of a format this Headpond and its jobs read.
// Errors: kNotFound: none there yet. kInvalid: another program's, or a newer format. kRetry.
base::Result<void> check_bronze(env::ObjectStore& lake, const std::string& bronze_root, const std::string& topology_path);

// The store honours put-if-absent, on which generations, leases and commits rest. Writes one object and removes it.
// Errors: kInvalid: it does not. kRetry.
base::Result<void> check_store(env::ObjectStore& lake, const std::string& bronze_root, env::Random& random);

// A branch on Flink keeps its lake and its checkpoints where the job reads: s3:// through the AWS SDK, or a directory. Looks at words only.
// Errors: kInvalid: another place.
base::Result<void> check_flink_lake(const spec::Topology& topology, const spec::Branch& branch);

// Errors: kConflict: an engine holds the branch's lease, which one, and how to stop it. kRetry.
base::Result<void> check_lease(env::ObjectStore& lake, const spec::LakePaths& paths, const spec::Branch& branch, base::Micros now);

}  // namespace headpond::deploy
