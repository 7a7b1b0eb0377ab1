#include "plan/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/time.h"
#include "plan/judge.h"
#include "plan/propose.h"

namespace headpond::plan {
namespace {

using spec::Rhythm;

std::string tag_of(base::Duration freshness) {
  if (freshness <= base::kMinute) return "real-time";
  if (freshness <= base::kQuarterHour) return "< 15min";
  if (freshness <= base::Duration::hours(1)) return "< 1h";
  if (freshness <= base::kDay) return "< 24h";
  return "≥ 24h";
}

std::vector<std::string> engines_of(spec::BranchKind kind) {
  switch (kind) {
    case spec::BranchKind::kPager: return {"embedded", "flink"};
    case spec::BranchKind::kDashboard: return {"embedded", "spark"};
    case spec::BranchKind::kBilling: return {"embedded", "dbt"};
  }
  return {};
}

class Planner {
 public:
  explicit Planner(const spec::Topology& topology) : topology_(topology), load_(load_of(topology)) {}

  BranchPlan plan_branch(const spec::Branch& written, bool proposed) const {
    BranchPlan plan;
    plan.branch = written;
    plan.proposed = proposed;
    plan.written_engine = written.engine;
    set_promise(plan);
    if (written.engine == "auto") plan.branch.engine = engines_of(written.kind).front();
    set_axis_and_rhythm(plan);
    if (written.engine == "auto") choose_engine(plan);
    set_figures(plan);
    return plan;
  }

  const Load& load() const { return load_; }

 private:
  void set_promise(BranchPlan& plan) const {
    plan.tier = 4;
    plan.freshness = base::Duration(INT64_MAX);
    for (const auto& name : plan.branch.serves)
      if (const auto* consumer = find_consumer(topology_, name)) {
        plan.tier = std::min(plan.tier, consumer->tier);
        plan.freshness = std::min(plan.freshness, consumer->freshness);
      }
    plan.tag = tag_of(plan.freshness);
  }

  void set_axis_and_rhythm(BranchPlan& plan) const {
    spec::Branch minutely = plan.branch;
    minutely.trigger = base::kMinute;
    const double freshness_s = plan.freshness.to_seconds();
    plan.latency_need = run_of(minutely, plan.tier, Rhythm::kMicroBatch, plan.branch.engine, load_).staleness_s / freshness_s;
    plan.axis = plan.latency_need > 1 ? spec::Axis::kLatency : spec::Axis::kThroughput;

    // From the cheapest to the dearest: a batch pays for runs at the mean, a micro-batch for a start each minute, a stream for idle cores.
    plan.candidates.clear();
    for (const Rhythm rhythm : {Rhythm::kBatch, Rhythm::kMicroBatch, Rhythm::kStream}) {
      const spec::Branch& branch = plan.branch.rhythm == rhythm ? plan.branch : minutely;
      const Run run = run_of(branch, plan.tier, rhythm, plan.branch.engine, load_);
      const Capacity capacity = capacity_of(branch, plan.tier, rhythm, plan.branch.engine, load_, topology_.prices);
      plan.candidates.push_back({rhythm, run.staleness_s, capacity.usd_per_month, run.staleness_s <= freshness_s});
    }
    const auto keeps = std::find_if(plan.candidates.begin(), plan.candidates.end(), [](const Candidate& c) { return c.keeps_freshness; });
    plan.cheapest = keeps == plan.candidates.end() ? Rhythm::kStream : keeps->rhythm;

    if (!plan.branch.places.contains("axis")) plan.branch.axis = plan.axis;
    if (!plan.branch.places.contains("rhythm"))
      plan.branch.rhythm = plan.branch.kind == spec::BranchKind::kDashboard ? Rhythm::kMicroBatch : plan.cheapest;
    if (*plan.branch.rhythm == Rhythm::kMicroBatch && !plan.branch.trigger) plan.branch.trigger = base::kMinute;
    if (*plan.branch.rhythm == Rhythm::kBatch && !plan.branch.schedule) plan.branch.schedule = kDefaultSchedule;
  }

  EngineFigures figures(const BranchPlan& plan, const std::string& engine) const {
    const Run run = run_of(plan.branch, plan.tier, *plan.branch.rhythm, engine, load_);
    EngineFigures f;
    f.engine = engine;
    f.run_s = run.seconds;
    f.core_seconds = run.core_seconds;
    f.capacity = capacity_of(plan.branch, plan.tier, *plan.branch.rhythm, engine, load_, topology_.prices);
    f.fits = run.staleness_s <= plan.freshness.to_seconds() && throughput_need(plan, run) <= 1;
    return f;
  }

  // `auto` takes the cheapest that fits; what fits nowhere stays embedded, and is refused.
  void choose_engine(BranchPlan& plan) const {
    for (const auto& engine : engines_of(plan.branch.kind)) plan.engines.push_back(figures(plan, engine));
    std::stable_sort(plan.engines.begin(), plan.engines.end(), [](const EngineFigures& a, const EngineFigures& b) {
      return std::pair(!a.fits, a.capacity.usd_per_month) < std::pair(!b.fits, b.capacity.usd_per_month);
    });
    plan.branch.engine = plan.engines.front().engine;
    set_axis_and_rhythm(plan);
  }

  void set_figures(BranchPlan& plan) const {
    const Rhythm rhythm = *plan.branch.rhythm;
    const Run run = run_of(plan.branch, plan.tier, rhythm, plan.branch.engine, load_);
    plan.staleness_s = run.staleness_s;
    plan.run_s = run.seconds;
    plan.throughput_need = throughput_need(plan, run);
    plan.capacity = capacity_of(plan.branch, plan.tier, rhythm, plan.branch.engine, load_, topology_.prices);
    if (plan.engines.empty()) plan.engines.push_back(figures(plan, plan.branch.engine));
  }

  // Core-seconds of one run over those there are from its start to its deadline: the next run's start, or for a batch the promised report.
  double throughput_need(const BranchPlan& plan, const Run& run) const {
    double until_deadline_s = run.period_s;
    if (*plan.branch.rhythm == Rhythm::kBatch) {
      const double left_s = plan.freshness.to_seconds() - schedule_wait_s(plan.branch.schedule);
      if (left_s > 0) until_deadline_s = left_s;  // else the freshness rule refuses it: here it need only end before the next
    }
    return run.core_seconds / (run.cores * until_deadline_s);
  }

  const spec::Topology& topology_;
  Load load_;
};

// i-s4's second half: the same rhythm written on every branch (two at least), though they need different ones.
bool imposes_one_rhythm(const std::vector<BranchPlan>& branches) {
  std::set<Rhythm> written, needed;
  std::size_t count = 0;
  for (const auto& plan : branches) {
    if (plan.proposed) continue;
    if (!plan.branch.places.contains("rhythm")) return false;
    ++count;
    written.insert(*plan.branch.rhythm);
    needed.insert(plan.cheapest);
  }
  return count >= 2 && written.size() == 1 && needed.size() > 1;
}

std::vector<std::string> notes_of(const spec::Topology& topology, const Plan& plan) {
  std::vector<std::string> notes;
  if (!topology.expect)
    notes.push_back("no `expect:` is written: counted with 10 M events a day, a peak of 2.5 times the mean, 430 B an event, 2 cores");
  else if (topology.expect->cores == 0)
    notes.push_back("`expect.cores` is not written: counted with 2");
  double cores = plan.ingest.cores;
  for (const auto& branch : plan.branches)
    if (*branch.branch.rhythm != Rhythm::kBatch)
      cores += *branch.branch.rhythm == Rhythm::kStream ? branch.capacity.cores
                                                        : branch.engines.front().core_seconds / branch.branch.trigger->to_seconds();
  if (cores > plan.cores)
    notes.push_back(
        fmt::format("at the peak ingest, streams and micro-batches keep {:.1f} cores busy; `expect.cores` is {}", cores, plan.cores));
  for (const auto& consumer : topology.consumers) {
    const int usual = consumer.freshness <= base::kMinute              ? 1
                      : consumer.freshness <= base::kQuarterHour       ? 2
                      : consumer.freshness <= base::Duration::hours(1) ? 3
                                                                       : 4;
    if (usual != consumer.tier)
      notes.push_back(fmt::format("{}: consumer {} is tier {}, yet its freshness of {} is that of tier {}", to_string(consumer.place),
                                  consumer.name, consumer.tier, base::format_duration(consumer.freshness), usual));
  }
  for (const auto& branch : plan.branches)
    if (const auto why = why_not_here(branch.branch)) notes.push_back(*why);
  notes.push_back(
      "on a topic with CreateTime a producer whose clock runs ahead makes its neighbours late; LogAppendTime does not have that");
  return notes;
}

}  // namespace

std::string_view to_string(Rule rule) {
  switch (rule) {
    case Rule::kOneEdge: return "one edge";
    case Rule::kAxis: return "i-s0";
    case Rule::kDashboard: return "i-s1";
    case Rule::kFreshness: return "freshness";
    case Rule::kStream: return "i-s2";
    case Rule::kState: return "i-s3";
    case Rule::kTiers: return "i-s4";
    case Rule::kThroughput: return "throughput";
  }
  return "";
}

const spec::Consumer* find_consumer(const spec::Topology& topology, const std::string& name) {
  const auto at =
      std::find_if(topology.consumers.begin(), topology.consumers.end(), [&](const spec::Consumer& c) { return c.name == name; });
  return at == topology.consumers.end() ? nullptr : &*at;
}

std::optional<std::string> why_not_here(const spec::Branch& branch) {
  if (branch.external() && branch.kind != spec::BranchKind::kBilling)  // a bill is run from here, whatever computes it
    return fmt::format(
        "branch {} runs on {}: `headpond deploy` hands it over, `headpond up` runs the others; `engine: embedded` runs it here",
        branch.name, branch.engine);
  const Rhythm runs = branch.kind == spec::BranchKind::kPager       ? Rhythm::kStream
                      : branch.kind == spec::BranchKind::kDashboard ? Rhythm::kMicroBatch
                                                                    : Rhythm::kBatch;
  if (branch.rhythm.value_or(runs) == runs) return std::nullopt;
  return fmt::format("branch {}: this binary runs a {} as a {}, not as a {}", branch.name, to_string(branch.kind), to_string(runs),
                     to_string(*branch.rhythm));
}

bool Plan::refused() const {
  return !refusals().empty();
}

std::vector<Verdict> Plan::refusals() const {
  std::vector<Verdict> list;
  for (const auto& branch : branches)
    for (const auto& verdict : branch.verdicts)
      if (verdict.refused) list.push_back(verdict);
  return list;
}

Plan make_plan(const spec::Topology& topology) {
  const Planner planner(topology);
  const Load& load = planner.load();
  Plan plan;
  plan.name = topology.name;
  plan.path = topology.path;
  plan.source = fmt::format("Kafka topic {} ({})", topology.source.topic_as_written, to_string(topology.source.encoding));
  plan.location = topology.bronze.location_as_written;
  plan.events_per_day = load.events_per_day;
  plan.mean_events_per_s = load.mean;
  plan.peak_events_per_s = load.peak;
  plan.bytes_per_event = load.bytes_per_event;
  plan.cores = load.cores;
  plan.partitions = load.partitions;
  plan.ingest = ingest_capacity(load, topology.prices);
  plan.bronze_bytes = bronze_bytes_at_rest(load, topology.bronze.retention);
  plan.storage_usd_per_month = plan.bronze_bytes / 1e9 * topology.prices.storage_gb_month;
  for (const auto& branch : topology.branches) plan.branches.push_back(planner.plan_branch(branch, false));
  for (const auto& branch : propose_branches(topology)) {
    BranchPlan proposal = planner.plan_branch(branch, true);
    complete_proposal(topology, proposal.branch);
    plan.branches.push_back(std::move(proposal));
  }
  const Facts facts{topology, load, imposes_one_rhythm(plan.branches)};
  for (auto& branch : plan.branches) judge(facts, branch);
  plan.usd_per_month = plan.ingest.usd_per_month + plan.storage_usd_per_month;
  for (const auto& branch : plan.branches) plan.usd_per_month += branch.capacity.usd_per_month;
  plan.assumptions = assumptions_of(topology, plan);
  plan.notes = notes_of(topology, plan);
  return plan;
}

}  // namespace headpond::plan
