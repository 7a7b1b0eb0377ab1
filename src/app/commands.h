// The commands behind the command line, one function each: options in, exit code out. Output goes to stdout, problems to stderr, one line
// each. Exit codes: 0 ok, 1 found a problem, 2 wrong use, 3 environment unavailable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace headpond::app {

inline constexpr int kOk = 0, kProblem = 1, kWrongUse = 2, kUnavailable = 3;

struct CommonOptions {
  std::string topology = "topology.yaml";
  std::string data_directory;  // empty: .headpond/<name> beside the topology
  bool json = false;
};

struct GenerateCommand {
  CommonOptions common;
  std::string brokers, topic;
  std::uint64_t seed = 1;
  std::int64_t events = 1'000'000;
  double rate = 0;  // events a second, 0 = flat out
  int partitions = 0;
  std::string encoding;  // json, otlp_proto, otlp_json; empty: the topology's, or json
  int batch = 500;       // log records an OTLP message
  std::string from, to;  // RFC 3339; empty: now
  double malformed = 0, late = 0, future = 0;
  std::string incident_service;
  std::string incident_at;
  double incident_seconds = 20;
};

struct UpCommand {
  CommonOptions common;
  std::vector<std::string> roles;  // empty: all
  std::string branch;              // with one role: only this branch
  std::string listen;              // overrides serve.listen
  bool new_generation = false;     // pagers discard their state and start afresh
  bool accept_loss = false;        // ingest goes on over records lost to retention, and records the loss
  std::string instance;            // ingest: "i/K", one of several
  std::string partitions;          // ingest: "0-3,7", these alone
  bool until_end = false;          // ingest: what is there at the start, then exit 0
};

struct DeployCommand {
  CommonOptions common;
  std::string branch;  // empty: every branch that is not embedded
  std::string out = "build/deploy";
  bool dry_run = false;         // print the commands, change nothing
  bool new_generation = false;  // a pager starts afresh, whatever checkpoint there is
};

struct BillCommand {
  CommonOptions common;
  std::string branch, day;
  bool provisional = false, deep = false;
};

struct MaintainCommand {
  CommonOptions common;
  bool checkpoint = false;  // write one, whether or not it is due
};

struct DemoCommand {
  std::string directory;  // empty: a fresh one in the temporary directory
  std::string listen = "127.0.0.1:0";
  bool keep = false;  // stay until interrupted even when not on a terminal
  bool mock = false;  // librdkafka's mock instead of Apache Kafka
  double seconds_max = 240;
};

int run_init(const CommonOptions& options);
int run_plan(const CommonOptions& options, bool write);
int run_generate(const GenerateCommand& command);
int run_up(const UpCommand& command);
int run_deploy(const DeployCommand& command);
int run_status(const CommonOptions& options);
int run_maintain(const MaintainCommand& command);
struct AuditCommand {
  CommonOptions common;
  bool deep = false;      // from the rows
  bool kafka = false;     // and against the broker
  std::string last = {};  // how much of the topic --kafka reads again, "2h"; empty: all that bronze covers
};
int run_audit(const AuditCommand& command);
int run_sql(const CommonOptions& options, const std::string& query);
int run_rules_check(const CommonOptions& options, const std::vector<std::string>& files);
int run_bill(const BillCommand& command);
int run_bill_verify(const BillCommand& command);
int run_bill_report(const BillCommand& command);
int run_pages(const CommonOptions& options);
int run_demo(const DemoCommand& command);

}  // namespace headpond::app
