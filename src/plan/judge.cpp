#include "plan/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/time.h"

namespace headpond::plan {
namespace {

using spec::Rhythm;

spec::Place place_of(const BranchPlan& plan, const char* key) {
  const auto at = plan.branch.places.find(key);
  return at == plan.branch.places.end() ? plan.branch.place : at->second;
}

Verdict passed(Rule rule, spec::Place place, std::string why) {
  return {rule, false, std::move(place), std::move(why), ""};
}
Verdict refused(Rule rule, spec::Place place, std::string why, std::string mend) {
  return {rule, true, std::move(place), std::move(why), std::move(mend)};
}

const Candidate& candidate(const BranchPlan& plan, Rhythm rhythm) {
  return *std::find_if(plan.candidates.begin(), plan.candidates.end(), [&](const Candidate& c) { return c.rhythm == rhythm; });
}

// What to write to get `rhythm`, with the keys it brings along.
std::string rhythm_words(Rhythm rhythm) {
  switch (rhythm) {
    case Rhythm::kStream: return "`rhythm: stream` with `state: {store: rocksdb, checkpoints: …}`";
    case Rhythm::kMicroBatch: return "`rhythm: micro-batch` with `trigger: 1m`";
    case Rhythm::kBatch: return fmt::format("`rhythm: batch` with `schedule: \"{}\"`", kDefaultSchedule);
  }
  return "";
}

// "`freshness: 3m` on consumer on-call": the tightest of those served.
std::string freshness_words(const Facts& facts, const BranchPlan& plan, const std::string& freshness) {
  std::string name = plan.branch.serves.front();
  for (const auto& served : plan.branch.serves)
    if (const auto* consumer = find_consumer(facts.topology, served); consumer != nullptr && consumer->freshness == plan.freshness)
      name = served;
  return fmt::format("`freshness: {}` on consumer {}", freshness, name);
}

bool has_latency_value(const Facts& facts, const BranchPlan& plan) {
  return std::any_of(plan.branch.serves.begin(), plan.branch.serves.end(), [&](const std::string& name) {
    const auto* consumer = find_consumer(facts.topology, name);
    return consumer != nullptr && consumer->latency_value;
  });
}

// What to write to get the cheapest rhythm that keeps the freshness, and pass the other rules with it.
std::string cheapest_words(const Facts& facts, const BranchPlan& plan) {
  std::string words = rhythm_words(plan.cheapest);
  if (plan.cheapest == Rhythm::kStream && !has_latency_value(facts, plan))
    words += fmt::format(" and a `latency_value` on consumer {}", plan.branch.serves.front());
  return words;
}

Verdict judge_one_edge(const Facts& facts, const BranchPlan& plan) {
  const auto& source = facts.topology.source;
  for (const auto* key : {"kafka", "topic"})
    if (plan.branch.places.contains(key))
      return refused(
          Rule::kOneEdge, place_of(plan, key),
          fmt::format("a second consumer of topic {}: Kafka has one outgoing edge, into bronze, so that every branch sees the same rows",
                      source.topic_as_written),
          fmt::format("remove `{}`; write `reads: bronze`", key));
  if (plan.branch.reads != "bronze")
    return refused(
        Rule::kOneEdge, place_of(plan, "reads"),
        fmt::format("it reads topic {} itself: Kafka has one outgoing edge, into bronze, so that every branch sees the same rows",
                    source.topic_as_written),
        "write `reads: bronze`");
  return passed(Rule::kOneEdge, place_of(plan, "reads"), "reads bronze");
}

Verdict judge_axis(const Facts& facts, const BranchPlan& plan) {
  const bool latency = plan.axis == spec::Axis::kLatency;
  const std::string computed(to_string(plan.axis));
  const std::string need = fmt::format("latency_need {} ({})", need_text(plan.latency_need),
                                       latency ? "a one-minute micro-batch is too late" : "freshness leaves room, cost decides");
  if (!plan.branch.places.contains("axis")) return passed(Rule::kAxis, plan.branch.place, fmt::format("{}: {}", computed, need));
  const std::string written(to_string(*plan.branch.axis));
  if (written == computed) return passed(Rule::kAxis, place_of(plan, "axis"), fmt::format("{} as written: {}", computed, need));
  const double turn_s = plan.latency_need * plan.freshness.to_seconds();
  return refused(Rule::kAxis, place_of(plan, "axis"),
                 fmt::format("`axis: {}` contradicts the computed one, {}: {}", written, computed, need),
                 fmt::format("write `axis: {}`, or leave it out; {} if {}", computed,
                             latency ? "promise " + freshness_words(facts, plan, round_up_text(turn_s))
                                     : fmt::format("promise less than {}", time_text(turn_s)),
                             latency ? "that is soon enough" : "the seconds matter"));
}

Verdict judge_dashboard(const BranchPlan& plan) {
  if (*plan.branch.rhythm != Rhythm::kMicroBatch)
    return refused(Rule::kDashboard, place_of(plan, "rhythm"),
                   fmt::format("a dashboard is a micro-batch with a 1-minute trigger; this one is a {}", to_string(*plan.branch.rhythm)),
                   "write " + rhythm_words(Rhythm::kMicroBatch));
  if (plan.branch.trigger != base::kMinute)
    return refused(Rule::kDashboard, place_of(plan, "trigger"),
                   fmt::format("a dashboard has a 1-minute trigger; this one has {}", base::format_duration(*plan.branch.trigger)),
                   "write `trigger: 1m`");
  return passed(Rule::kDashboard, place_of(plan, "rhythm"), "a micro-batch each minute");
}

Verdict judge_freshness(const Facts& facts, const BranchPlan& plan) {
  const spec::Place place = place_of(plan, "rhythm");
  if (plan.staleness_s <= plan.freshness.to_seconds())
    return passed(Rule::kFreshness, place,
                  fmt::format("{} stale at most, {} promised", time_text(plan.staleness_s), promise_text(plan.freshness)));
  const std::string later = "promise " + freshness_words(facts, plan, round_up_text(plan.staleness_s));
  const Candidate& cheapest = candidate(plan, plan.cheapest);
  const bool dashboard = plan.branch.kind == spec::BranchKind::kDashboard;
  const bool slow_trigger = *plan.branch.rhythm == Rhythm::kMicroBatch && *plan.branch.trigger > base::kMinute && plan.latency_need <= 1;
  std::string mend = later;
  if (slow_trigger)
    mend = fmt::format("write `trigger: 1m` ({} stale)", time_text(plan.latency_need * plan.freshness.to_seconds()));
  else if (dashboard)
    mend += "; a pager answers who needs it sooner";
  else if (cheapest.keeps_freshness)
    mend = fmt::format("write {} ({} stale), or {}", cheapest_words(facts, plan), time_text(cheapest.staleness_s), later);
  else if (facts.load.commit_interval_s > 1)
    mend = fmt::format("shorten `commit_interval` ({} now), or {}", time_text(facts.load.commit_interval_s), later);
  return refused(Rule::kFreshness, place,
                 fmt::format("a {} is {} stale, {} is promised", to_string(*plan.branch.rhythm), time_text(plan.staleness_s),
                             promise_text(plan.freshness)),
                 mend);
}

Verdict judge_stream(const Facts& facts, const BranchPlan& plan) {
  const spec::Place place = place_of(plan, "rhythm");
  const Candidate& stream = candidate(plan, Rhythm::kStream);
  const Candidate& micro = candidate(plan, Rhythm::kMicroBatch);
  if (micro.keeps_freshness) {
    const Rhythm better = plan.branch.kind == spec::BranchKind::kDashboard ? Rhythm::kMicroBatch : plan.cheapest;
    return refused(
        Rule::kStream, place,
        fmt::format("a stream, though a micro-batch ({} stale) keeps {}", time_text(micro.staleness_s), promise_text(plan.freshness)),
        fmt::format("write {}; if the seconds matter, promise less than {}", rhythm_words(better), time_text(micro.staleness_s)));
  }
  const std::string relax = fmt::format("promise {} and write {}", freshness_words(facts, plan, round_up_text(micro.staleness_s)),
                                        rhythm_words(Rhythm::kMicroBatch));
  if (!has_latency_value(facts, plan))
    return refused(Rule::kStream, place, "a stream, and nobody it serves says what a minute is worth",
                   fmt::format("write `latency_value: {{usd_per_minute: …, incidents_per_month: …}}` on consumer {}, or {}",
                               plan.branch.serves.front(), relax));
  double worth = 0;
  for (const auto& name : plan.branch.serves)
    if (const auto* consumer = find_consumer(facts.topology, name); consumer != nullptr && consumer->latency_value)
      worth += consumer->latency_value->usd_per_minute * consumer->latency_value->incidents_per_month;
  const double minutes = (micro.staleness_s - stream.staleness_s) / 60;
  const double saved = worth * minutes, extra = stream.usd_per_month - micro.usd_per_month;
  const std::string sum = fmt::format("{:.1f} minutes sooner at {} each a month are worth {}; the stream costs {} more", minutes,
                                      usd_text(worth), usd_text(saved), usd_text(extra));
  if (saved >= extra) return passed(Rule::kStream, place, sum);
  return refused(Rule::kStream, place, sum, relax + ", or state a greater `latency_value` if it is true");
}

Verdict judge_state(const BranchPlan& plan) {
  const auto& state = plan.branch.state;
  if (state && !state->store.empty() && !state->checkpoints.empty())
    return passed(Rule::kState, place_of(plan, "state"), state->store + ", checkpoints at " + state->checkpoints_as_written);
  return refused(Rule::kState, place_of(plan, "state"),
                 state ? "a stream whose state has no checkpoints loses it with its disk"
                       : "a stream without a state store starts from nothing after a crash",
                 "write `state: {store: rocksdb, checkpoints: <a folder of the lake>}`");
}

Verdict judge_tiers(const Facts& facts, const BranchPlan& plan) {
  std::set<int> tiers;
  std::string who, own, others;
  for (const auto& name : plan.branch.serves)
    if (const auto* consumer = find_consumer(facts.topology, name)) {
      tiers.insert(consumer->tier);
      who += fmt::format("{}{} (tier {})", who.empty() ? "" : ", ", name, consumer->tier);
      std::string& side = consumer->tier == plan.tier ? own : others;
      side += (side.empty() ? "" : ", ") + name;
    }
  if (tiers.size() > 1)
    return refused(
        Rule::kTiers, place_of(plan, "serves"),
        fmt::format("one branch serves {}: it would run at the pace of the fastest at the size of the largest", who),
        fmt::format("write `serves: [{}]` here and give {} a branch of its own; `headpond plan` proposes one where there is none", own,
                    others));
  if (facts.one_rhythm && *plan.branch.rhythm != plan.cheapest)
    return refused(Rule::kTiers, place_of(plan, "rhythm"),
                   fmt::format("one rhythm, {}, is imposed on all branches; this one's is {}", to_string(*plan.branch.rhythm),
                               to_string(plan.cheapest)),
                   "write " + cheapest_words(facts, plan));
  return passed(Rule::kTiers, place_of(plan, "serves"), fmt::format("serves {}", who));
}

Verdict judge_throughput(const Facts& facts, const BranchPlan& plan) {
  const std::string core_seconds = count_text(plan.engines.front().core_seconds) + " core-seconds";
  if (plan.throughput_need <= 1)
    return passed(Rule::kThroughput, plan.branch.place, fmt::format("need {}: {} a run", need_text(plan.throughput_need), core_seconds));
  const bool one_thread = run_cost(*plan.branch.rhythm, plan.branch.engine).one_thread;
  return refused(Rule::kThroughput, place_of(plan, "engine"),
                 fmt::format("throughput_need {}: a run of {} does not end before its deadline on {}", need_text(plan.throughput_need),
                             core_seconds, one_thread || facts.load.cores == 1 ? "one core" : fmt::format("{} cores", facts.load.cores)),
                 one_thread ? "write `engine: auto`: this one runs on one thread"
                            : fmt::format("write `cores: {:.0f}` or more in `expect`, or `engine: auto`",
                                          std::ceil(plan.throughput_need * facts.load.cores)));
}

}  // namespace

void judge(const Facts& facts, BranchPlan& plan) {
  auto& verdicts = plan.verdicts;
  verdicts.push_back(judge_one_edge(facts, plan));
  verdicts.push_back(judge_axis(facts, plan));
  if (plan.branch.kind == spec::BranchKind::kDashboard) verdicts.push_back(judge_dashboard(plan));
  verdicts.push_back(judge_freshness(facts, plan));
  if (*plan.branch.rhythm == Rhythm::kStream) {
    verdicts.push_back(judge_stream(facts, plan));
    verdicts.push_back(judge_state(plan));
  }
  verdicts.push_back(judge_tiers(facts, plan));
  verdicts.push_back(judge_throughput(facts, plan));
}

}  // namespace headpond::plan
