#include "plan/judge.h"

#include <fmt/format.h>

#include <algorithm>
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

Verdict judge_axis(const BranchPlan& plan) {
  const std::string computed(to_string(plan.axis));
  const std::string need =
      fmt::format("latency_need {} ({})", need_text(plan.latency_need),
                  plan.axis == spec::Axis::kLatency ? "a one-minute micro-batch is too late" : "freshness leaves room, cost decides");
  if (!plan.branch.places.contains("axis")) return passed(Rule::kAxis, plan.branch.place, fmt::format("{}: {}", computed, need));
  const std::string written(to_string(*plan.branch.axis));
  if (written == computed) return passed(Rule::kAxis, place_of(plan, "axis"), fmt::format("{} as written: {}", computed, need));
  return refused(Rule::kAxis, place_of(plan, "axis"),
                 fmt::format("`axis: {}` contradicts the computed one, {}: {}", written, computed, need),
                 fmt::format("write `axis: {}`, or leave it out; to keep {}, change the freshness ({} now)", computed, written,
                             promise_text(plan.freshness)));
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
  const double freshness_s = plan.freshness.to_seconds();
  const std::string sum = fmt::format("{} stale at most, {} promised", time_text(plan.staleness_s), promise_text(plan.freshness));
  if (plan.staleness_s <= freshness_s) return passed(Rule::kFreshness, place_of(plan, "rhythm"), sum);
  const std::string why = fmt::format("a {} is {} stale, {} is promised", to_string(*plan.branch.rhythm), time_text(plan.staleness_s),
                                      promise_text(plan.freshness));
  std::string mend;
  const bool free = plan.branch.kind != spec::BranchKind::kDashboard;
  if (free && candidate(plan, plan.cheapest).keeps_freshness) {
    mend = fmt::format("write {} ({} stale), or promise {}", rhythm_words(plan.cheapest),
                       time_text(candidate(plan, plan.cheapest).staleness_s), round_up_text(plan.staleness_s));
  } else if (free && facts.load.commit_interval_s > 1) {
    mend = fmt::format("shorten `commit_interval` ({} now), or promise {}", time_text(facts.load.commit_interval_s),
                       round_up_text(candidate(plan, Rhythm::kStream).staleness_s));
  } else {
    mend = fmt::format("promise `freshness: {}`", round_up_text(plan.staleness_s));
    if (!free) mend += "; who needs it sooner is served by a pager";
  }
  return refused(Rule::kFreshness, place_of(plan, "rhythm"), why, mend);
}

Verdict judge_stream(const Facts& facts, const BranchPlan& plan) {
  const spec::Place place = place_of(plan, "rhythm");
  const Candidate& stream = candidate(plan, Rhythm::kStream);
  const Candidate& micro = candidate(plan, Rhythm::kMicroBatch);
  if (micro.keeps_freshness)
    return refused(
        Rule::kStream, place,
        fmt::format("a stream, though a micro-batch ({} stale) keeps {}", time_text(micro.staleness_s), promise_text(plan.freshness)),
        fmt::format("write {}; if the seconds matter, promise a freshness below {}", rhythm_words(plan.cheapest),
                    time_text(micro.staleness_s)));
  double worth = 0;
  bool stated = false;
  for (const auto& name : plan.branch.serves)
    if (const auto* consumer = find_consumer(facts.topology, name); consumer != nullptr && consumer->latency_value) {
      stated = true;
      worth += consumer->latency_value->usd_per_minute * consumer->latency_value->incidents_per_month;
    }
  if (!stated)
    return refused(
        Rule::kStream, place, "a stream, and nobody it serves says what a minute is worth",
        fmt::format("write `latency_value: {{usd_per_minute: …, incidents_per_month: …}}` on consumer {}, or promise {} and take {}",
                    plan.branch.serves.front(), round_up_text(micro.staleness_s), rhythm_words(Rhythm::kMicroBatch)));
  const double minutes = (micro.staleness_s - stream.staleness_s) / 60;
  const double saved = worth * minutes, extra = stream.usd_per_month - micro.usd_per_month;
  const std::string sum =
      fmt::format("{:.1f} minutes sooner are worth {} a month, the stream costs {} more", minutes, usd_text(saved), usd_text(extra));
  if (saved >= extra) return passed(Rule::kStream, place, sum);
  return refused(Rule::kStream, place, sum,
                 fmt::format("promise {} and write {}, or state the true `latency_value`", round_up_text(micro.staleness_s),
                             rhythm_words(Rhythm::kMicroBatch)));
}

Verdict judge_state(const BranchPlan& plan) {
  const auto& state = plan.branch.state;
  if (state && !state->store.empty() && !state->checkpoints.empty())
    return passed(Rule::kState, place_of(plan, "state"), state->store + ", checkpoints at " + state->checkpoints_as_written);
  return refused(Rule::kState, place_of(plan, "state"),
                 state ? "a stream whose state has no checkpoints loses it with its disk"
                       : "a stream without a state store forgets what it has paged for",
                 "write `state: {store: rocksdb, checkpoints: <a folder of the lake>}`");
}

Verdict judge_tiers(const Facts& facts, const BranchPlan& plan) {
  std::set<int> tiers;
  std::string who;
  for (const auto& name : plan.branch.serves)
    if (const auto* consumer = find_consumer(facts.topology, name)) {
      tiers.insert(consumer->tier);
      who += fmt::format("{}{} (tier {})", who.empty() ? "" : ", ", name, consumer->tier);
    }
  if (tiers.size() > 1)
    return refused(Rule::kTiers, place_of(plan, "serves"),
                   fmt::format("one branch serves {}: it would run at the pace of the fastest at the size of the largest", who),
                   "give each tier a branch of its own");
  if (facts.one_rhythm && *plan.branch.rhythm != plan.cheapest)
    return refused(Rule::kTiers, place_of(plan, "rhythm"),
                   fmt::format("one rhythm, {}, is imposed on all branches; this one's is {}", to_string(*plan.branch.rhythm),
                               to_string(plan.cheapest)),
                   "write " + rhythm_words(plan.cheapest));
  return passed(Rule::kTiers, place_of(plan, "serves"), fmt::format("serves {}", who));
}

Verdict judge_throughput(const Facts& facts, const BranchPlan& plan) {
  const std::string sum =
      fmt::format("need {}: {} core-seconds a run", need_text(plan.throughput_need), count_text(plan.engines.front().core_seconds));
  if (plan.throughput_need <= 1) return passed(Rule::kThroughput, plan.branch.place, sum);
  return refused(Rule::kThroughput, place_of(plan, "engine"),
                 fmt::format("{}: a run of {} core-seconds does not end before its deadline on the cores it has", sum,
                             count_text(plan.engines.front().core_seconds)),
                 fmt::format("raise `expect.cores` ({} now), or write `engine: auto` to see the other engine's figures", facts.load.cores));
}

}  // namespace

void judge(const Facts& facts, BranchPlan& plan) {
  auto& verdicts = plan.verdicts;
  verdicts.push_back(judge_one_edge(facts, plan));
  verdicts.push_back(judge_axis(plan));
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
