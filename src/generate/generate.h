// A deterministic generator of logs into Kafka: the same options give the same records, byte by byte (of live traffic all but the times).
//
//   generate::Options options{.seed = 7, .history = {{from, to, 100'000}}};
//   TRY(auto summary, generate::run(options, *producer, clock, [](const Progress&) { return true; }));
//
// A record is one JSON object of about 430 bytes: ts, severity_number, severity, service, tenant, host, event, status, duration_ms,
// user_id, trace_id, span_id, message; or an OTLP message of `batch` log records that say the same. Tenants and services follow a Zipf law.
// Times rise within a partition, so history comes in one pass, before live traffic: what ingest has read to its end has no past that could
// be filled.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "env/clock.h"
#include "kafka/client.h"

namespace headpond::generate {

// `events` records with times spread evenly over [from, to).
struct Span {
  base::Micros from, to;
  std::int64_t events = 0;
};

// Something a rule should notice, in [at, at + lasts).
struct Incident {
  base::Micros at;
  base::Duration lasts = base::Duration::minutes(1);
  std::string service;       // its events fail with error_share (status 500, severity ERROR); empty: no service
  double error_share = 0.5;  // 0…1
  double traffic_share = 0;  // 0…1 of all events go to `service` meanwhile
  std::string silent_host;   // sends no heartbeat meanwhile; empty: none
};

enum class Encoding { kJson, kOtlpProto, kOtlpJson };

struct Options {
  std::uint64_t seed = 1;
  Encoding encoding = Encoding::kJson;
  int batch = 500;               // log records an OTLP message; every one of a message but heartbeats is of one host
  int partitions = 1;            // of the topic
  std::vector<Span> history;     // in rising times; empty: none
  std::int64_t live_events = 0;  // after the history, at their own time; -1: until stopped
  double rate = 0;               // live events a second; 0: flat out
  int tenants = 200, services = 40, hosts = 120;
  base::Duration heartbeat = base::Duration::seconds(10);  // of each host; at most every fourth event is one
  double error_share = 0.01, warn_share = 0.04;
  double late_share = 0, future_share = 0, malformed_share = 0;
  base::Duration late_by_max = base::Duration::minutes(10);  // a late event's ts is up to this before its record's time
  std::vector<Incident> incidents;
};

struct Progress {
  std::int64_t events = 0;     // queued so far, heartbeats and malformed ones included
  std::int64_t delivered = 0;  // acknowledged
  std::int64_t bytes = 0;      // of payload
  std::int64_t malformed = 0, late = 0, future = 0, heartbeats = 0, errors = 0;
  base::Micros time;  // of the newest record
};

// Called after everything sent and while waiting; false ends the run after what is queued.
using OnProgress = std::function<bool(const Progress&)>;

// What is wrong with the options: "" = nothing. One line that names the option and what it may be.
std::string check(const Options& options);

// Produces everything and waits until it is acknowledged. Blocks; waits only inside `producer`.
// Errors: kInvalid: check(). kRetry: not delivered.
base::Result<Progress> run(const Options& options, kafka::Producer& producer, env::Clock& clock, const OnProgress& on_progress);

// Refuses history that would lie before what the topic already holds. Errors: kInvalid: with the newest time there and what to do.
base::Result<void> check_past(const Options& options, const kafka::ClientOptions& client, const std::string& topic);

// Names of what is generated. Rank 0 is the busiest: "checkout", "cart", …
std::string service_name(int rank);
std::string tenant_name(int rank);  // "t000"
std::string host_name(int number);  // "web-001.eu-1"

}  // namespace headpond::generate
