// What a topology amounts to: for each branch its axis, rhythm, engine, cost and the verdict of every rule; and branches for the consumers
// that have none yet.
//
//   const auto plan = plan::make_plan(topology);
//   std::cout << plan::render_table(plan);
//   if (plan.refused()) …nothing of it may run…
//   for (const auto& branch : plan.branches) run(branch.branch);   // whole: what the file left open is filled in
//
// The axis is computed from times and sizes, never looked up by kind. A pure function: no I/O, no clock. Guide: docs/guides/topology.md.
// Threads: values; any.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "spec/topology.h"

namespace headpond::plan {

enum class Rule {
  kOneEdge,     // Kafka has one outgoing edge, into bronze
  kAxis,        // i-s0: a written axis is the computed one
  kDashboard,   // i-s1: a dashboard is a micro-batch with a 1-minute trigger
  kFreshness,   // the rhythm's staleness keeps the freshness
  kStream,      // i-s2: a stream is needed, and worth its cost
  kState,       // i-s3: a stream has a state store with checkpoints
  kTiers,       // i-s4: a branch serves one tier, a rhythm is chosen for each
  kThroughput,  // a run ends before its deadline on the cores there are
};
std::string_view to_string(Rule rule);  // "one edge", "i-s0", …

struct Verdict {
  Rule rule = Rule::kOneEdge;
  bool refused = false;
  spec::Place place;  // of the value that decides
  std::string why;
  std::string mend;  // the change that mends it; empty when not refused
};

// What something needs, at the rate it is dimensioned for.
struct Capacity {
  double events_per_s = 0;  // peak for tiers 1 to 3, mean for tier 4
  double cores = 0;         // busy at that rate
  double provisioned_cores = 0;
  double memory_gb = 0;
  double read_bytes_per_day = 0;
  double written_bytes_per_day = 0;
  double requests_per_month = 0;  // to the object store
  double usd_per_month = 0;
  double catch_up_s = 0;  // after an outage of 10 minutes at that rate; < 0 = never
};

struct Candidate {  // one rhythm for a branch
  spec::Rhythm rhythm = spec::Rhythm::kStream;
  double staleness_s = 0;
  double usd_per_month = 0;
  bool keeps_freshness = false;
};

struct EngineFigures {  // one engine for a branch, at its rhythm
  std::string engine;
  double run_s = 0;         // one run
  double core_seconds = 0;  // of one run
  Capacity capacity;
  bool fits = false;  // the freshness and the cores
};

struct BranchPlan {
  spec::Branch branch;  // as written, what was left open filled in: axis, rhythm, engine (never "auto"), trigger or schedule, state
  bool proposed = false;
  std::string written_engine;  // "auto" where that was written
  int tier = 0;
  base::Duration freshness;  // the tightest of its consumers
  std::string tag;           // "real-time", "< 15min", "< 1h", "< 24h", "≥ 24h"
  double latency_need = 0;
  double throughput_need = 0;
  spec::Axis axis = spec::Axis::kLatency;         // computed
  spec::Rhythm cheapest = spec::Rhythm::kStream;  // that keeps the freshness
  double staleness_s = 0;                         // at branch.rhythm
  double run_s = 0;                               // one run at branch.rhythm
  std::vector<Candidate> candidates;              // batch, micro-batch, stream
  std::vector<EngineFigures> engines;             // the chosen first
  std::vector<Verdict> verdicts;                  // one a rule that applies, in the order of Rule
  Capacity capacity;
};

struct Assumption {  // a figure the plan counts with
  std::string name;
  double value = 0;
  std::string unit;
  std::string origin;  // "measured: …", "stated: …", "estimated", "price table", "expect"
};

struct Plan {
  std::string name, path;
  std::string source;    // "Kafka topic logs (json)"
  std::string location;  // of bronze, as written
  double events_per_day = 0, mean_events_per_s = 0, peak_events_per_s = 0, bytes_per_event = 0;
  int cores = 0, partitions = 0;
  Capacity ingest;
  double bronze_bytes = 0;  // kept at rest
  double storage_usd_per_month = 0;
  std::vector<BranchPlan> branches;
  std::vector<Assumption> assumptions;
  std::vector<std::string> notes;
  double usd_per_month = 0;  // everything

  bool refused() const;
  std::vector<Verdict> refusals() const;
};

Plan make_plan(const spec::Topology& topology);

// Why the engines of this binary do not run a planned branch, and what to do; nothing when they do.
std::optional<std::string> why_not_here(const spec::Branch& branch);

// For people, at most `width` columns.
struct TableStyle {
  int width = 100;
  bool color = false;
};
std::string render_table(const Plan& plan, const TableStyle& style = {});
// The same, whole, for machines; its keys: docs/guides/topology.md.
std::string to_json(const Plan& plan);
// The refusals alone: "file:line:column: [rule] why" and the mend, for stderr.
std::string render_refusals(const Plan& plan);

// `text`, the topology's file, with the proposed branches put in; everything else, comments and formatting included, stays as it is.
// Requires: `plan` was made of that text. Returns it unchanged when there is nothing to put in, or no place for it that can be told from
// the text.
std::string write_branches(const std::string& text, const Plan& plan);

}  // namespace headpond::plan
