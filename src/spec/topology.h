// The typed topology: what a user's YAML says, checked for form (not yet for sense: that is plan's). Field by field as in the design and
// docs/guides/topology.md; absent optional fields hold their default here.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace headpond::spec {

struct Place {  // where in the file; 1-based
  std::string file;
  int line = 0, column = 0;
};
std::string to_string(const Place& place);  // "topology.yaml:12:5"

enum class Encoding { kJson, kRaw, kOtlpProto, kOtlpJson };
enum class RawOf { kAll, kErrors };         // which rows keep their payload
enum class PatternsOf { kWarnings, kAll };  // which rows get a pattern_id: from WARN on, or all
enum class StartAt { kEarliest, kLatest, kTime };
enum class Assignment { kStatic, kGroup };

struct KafkaSource {
  Place place;
  std::string brokers, topic;
  std::string topic_as_written;  // with its ${…}, for people
  Encoding encoding = Encoding::kJson;
  StartAt start = StartAt::kEarliest;
  base::Micros start_time;  // of StartAt::kTime
  int generation = 0;
  Assignment assignment = Assignment::kStatic;
  int lanes = 1;                                          // that read and encode side by side in one ingester
  std::string group;                                      // the consumer group's id, as written; empty: headpond-<name>
  std::map<std::string, std::string> librdkafka_options;  // secrets expanded; never print values
};

struct LatencyValue {
  double usd_per_minute = 0, incidents_per_month = 0;
};

struct Consumer {
  Place place;
  std::string name;
  int tier = 0;
  base::Duration freshness;
  std::optional<LatencyValue> latency_value;
  std::map<std::string, Place> places;  // of its written keys
};

struct ColumnDecl {
  Place place;
  std::string name;
  std::vector<std::string> from;             // JSON pointers, first that is present wins
  std::string type;                          // string int32 int64 double bool timestamp
  std::optional<std::string> default_value;  // when every pointer is missing or null
};

struct BronzeSpec {
  Place place;
  std::string location;             // a directory joined to the topology's folder, or a URL
  std::string location_as_written;  // with its ${…}, for people
  base::Duration commit_interval = base::Duration::seconds(1);
  base::Duration retention = base::Duration::hours(24 * 30);
  base::Duration max_future = base::Duration::minutes(5);
  base::Duration max_clock_error = base::Duration::millis(500);
  base::Duration stall_after = base::Duration::seconds(10);
  base::Duration log_retention = base::Duration::hours(24);      // of entries of the log that a checkpoint and the ledger stand for
  base::Duration cursor_expiry = base::Duration::hours(24 * 7);  // of a branch's cursor that is not written any more
  std::int64_t memory_bytes = 1ll << 30;                         // what ingest may use for everything
  RawOf raw = RawOf::kAll;
  PatternsOf pattern_id = PatternsOf::kWarnings;
  // Default columns merged with the declared ones (a declared one replaces the default of its name), in table order. `ts` is not among
  // them.
  std::vector<ColumnDecl> columns;
  ColumnDecl ts;  // where event time comes from
};

enum class BranchKind { kPager, kDashboard, kBilling };
enum class Axis { kLatency, kThroughput };
enum class Rhythm { kStream, kMicroBatch, kBatch };
std::string_view to_string(Encoding encoding);
std::string_view to_string(BranchKind kind);
std::string_view to_string(Axis axis);
std::string_view to_string(Rhythm rhythm);

struct StateSpec {
  std::string store;
  std::string checkpoints;             // as `location`: resolved; empty = none written
  std::string checkpoints_as_written;  // for people
};

struct Target {  // where pages go
  Place place;
  std::string name;
  std::string kind;  // stdout webhook alertmanager
  std::vector<std::string> urls;
  std::string secret;  // HMAC key of a webhook; empty = none
};

struct RollupDecl {
  std::string name;
  std::vector<std::string> by;
  std::vector<std::string> measures;
};

// Where an engine that is not this binary runs; what is empty comes from the environment or the plan when it is deployed.
struct FlinkOptions {
  std::string rest;     // "http://127.0.0.1:8081"; empty: FLINK_REST
  int parallelism = 0;  // 0: the plan's cores
};
struct SparkOptions {
  std::string master;         // "local[2]", "spark://host:7077"; empty: SPARK_MASTER, else local[*]
  std::string driver_memory;  // "2g"; empty: the plan's
};
struct DbtOptions {
  std::string target = "duckdb";  // duckdb spark
};

struct Branch {
  Place place;
  std::string name;
  BranchKind kind = BranchKind::kPager;
  std::vector<std::string> serves;
  std::string reads = "bronze";
  std::optional<Axis> axis;
  std::optional<Rhythm> rhythm;
  std::string engine = "embedded";  // embedded flink spark pyspark dbt auto
  std::optional<base::Duration> trigger, window;
  std::optional<std::string> schedule;  // cron, UTC
  std::optional<StateSpec> state;
  std::vector<std::string> rules;  // globs, as written
  std::string price_book;          // path, as written
  std::vector<Target> notify;
  std::vector<RollupDecl> rollups;  // empty: the default (service × severity)
  int max_keys = 1000;
  base::Duration allowed_lateness = base::Duration::seconds(10);
  FlinkOptions flink;
  SparkOptions spark;
  DbtOptions dbt;
  std::map<std::string, Place> places;  // of its written keys, for messages

  bool external() const { return engine != "embedded" && engine != "auto"; }
};

struct Expect {
  Place place;
  double events_per_day = 0, peak_to_mean = 2.5, bytes_per_event = 430;
  int partitions = 0, cores = 0;
};

// What the plan counts money with; replaceable in the file. Defaults: on-demand list prices of a large cloud, US region.
struct Prices {
  double core_hour = 0.0408;        // USD a core and hour
  double memory_gb_hour = 0.0045;   // USD a GB and hour
  double storage_gb_month = 0.023;  // USD a GB and month in the object store
  double million_puts = 5.0;        // USD a million PUT or LIST requests
  double million_gets = 0.4;        // USD a million GET requests
};

struct Topology {
  std::string path;  // of the file; relative paths in it are relative to its folder
  std::string directory;
  int version = 1;
  std::string name;
  KafkaSource source;
  std::vector<Consumer> consumers;
  BronzeSpec bronze;
  std::vector<Branch> branches;
  std::optional<Expect> expect;
  Prices prices;
  std::string serve_listen = "127.0.0.1:8080";  // serve: {listen: …}
  // What each ${…} of the file stands for. For redact() only.
  std::map<std::string, std::string> expanded;

  // `path` as written in the file, seen from the process: relative ones are joined to the topology's folder.
  std::string resolve(const std::string& path) const;
  // `text` with every expanded ${…} value put back to its name: for messages that may quote the topology (a client's errors, logs).
  // Values of up to three characters only where they stand alone.
  std::string redact(std::string text) const;
};

// Where things lie. The lake is one object store; every path below is relative to it.
//   location  …/bronze/logs  → lake "…", bronze "bronze/logs";   …/bronze → "…", "bronze";   …/x → "…", "x".
struct LakePaths {
  std::string lake;    // for env::open_store
  std::string bronze;  // the bronze table's folder
  static LakePaths of(const std::string& location);
  std::string gold(const std::string& branch) const { return "gold/" + branch; }        // one Delta table a dashboard
  std::string billing(const std::string& branch) const { return "billing/" + branch; }  // usage_15m, usage_peak, invoice_lines, reports
  std::string pages(const std::string& branch) const {
    return "pages/" + branch;
  }  // Delta table; _receipts/, _leases/, _generations/ beside it
};

struct Issue {
  Place place;
  std::string message;  // found, expected, nearest word
};

struct LoadResult {
  std::optional<Topology> topology;  // absent when there are issues
  std::vector<Issue> issues;         // all of them, in file order
};
std::string to_string(const Issue& issue);                // "topology.yaml:12:5: message"
std::string to_string(const std::vector<Issue>& issues);  // one a line

// Looks up what ${NAME} and ${file:path} mean; injected so that spec does no I/O of its own.
struct Secrets {
  virtual ~Secrets() = default;
  virtual std::optional<std::string> environment(const std::string& name) const = 0;
  virtual std::optional<std::string> file(const std::string& path) const = 0;
};

// `text` is the file's content, `path` its name. Never fails: problems are issues.
LoadResult load(const std::string& text, const std::string& path, const Secrets& secrets);

}  // namespace headpond::spec
