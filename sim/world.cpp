#include "sim/world.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <ranges>
#include <vector>

#include "ingest/engine.h"
#include "sim/broker.h"
#include "sim/check_log.h"
#include "sim/check_rows.h"
#include "sim/client.h"
#include "sim/group.h"
#include "sim/lake.h"
#include "sim/process.h"
#include "sim/profile.h"
#include "sim/weather.h"

namespace headpond::sim {
namespace {

using base::ErrorKind;

constexpr std::int64_t kSecond = 1'000'000;
constexpr int kCalmRounds = 1200;           // each 50 ms and a step of every process: within these the table has everything
constexpr int kVersionsMax = 150;           // of the table: opening reads them all
constexpr std::int64_t kSkewMax = 400'000;  // of a wall clock that holds

spec::Topology topology_of(int generation, bool latest) {
  spec::Topology t;
  t.name = "acme";
  t.source.topic = "logs";
  t.source.brokers = "sim:1";
  t.source.generation = generation;
  t.source.start = latest ? spec::StartAt::kLatest : spec::StartAt::kEarliest;
  t.bronze.ts = {.place = {}, .name = "ts", .from = {"/ts"}, .type = "timestamp", .default_value = {}};
  t.bronze.columns = {{.place = {}, .name = "tenant", .from = {"/tenant"}, .type = "string", .default_value = {}},
                      {.place = {}, .name = "status", .from = {"/status"}, .type = "int32", .default_value = {}}};
  return t;
}

class World {
 public:
  explicit World(const RunOptions& options);
  Run play();

 private:
  void pass(std::int64_t elapsed_us);
  void step(Process& process);
  void open(Process& process);
  void call(Process& process);
  void publish(Process& process);
  void restart(Process& process);
  void meet(Process& process, bool quick);
  void ended(Process& process, const base::Error& error);
  void stopped(Process& process, const base::Error& error);
  void drop(Process& process, std::int64_t down_us);
  void maybe_die(Process& process, double probability);
  void befall(Process& process);
  bool settle();
  bool caught_up() const;
  void wrong(const std::string& what) {
    if (!run_.violation) run_.violation = what;
  }

  RunOptions options_;
  Profile profile_;
  Dice dice_;
  Trace trace_;
  std::int64_t now_us_;
  Broker broker_;
  Weather weather_;
  double store_faults_, broker_faults_;
  bool calm_ = false;
  std::int64_t calm_us_ = 0;
  std::vector<int> writers_;  // by version: the instance that has committed it
  Run run_;
  std::deque<Served> served_;
  Lake lake_;
  LogChecker checker_;
  Coordinator group_;
  int generation_ = 0;
  bool accept_loss_;
  std::int64_t gone_us_ = INT64_MIN;  // when the topic was last not there
  std::vector<std::unique_ptr<Process>> processes_;
};

World::World(const RunOptions& options)
    : options_(options),
      profile_(Profile::of(options.seed)),
      dice_(options.seed),
      trace_(options.trace),
      now_us_(profile_.start_us),
      broker_(profile_.partitions, profile_.log_append_time, profile_.transactions, profile_.compacted),
      weather_(profile_, broker_, dice_, trace_),
      store_faults_(profile_.store_faults),
      broker_faults_(profile_.broker_faults),
      lake_([this](const std::string& path, const std::string& bytes, int instance, bool replaced) {
        trace_.line(now_us_, "{} by instance {} is there: {} bytes, {:016x}", path, instance, bytes.size(), base::xxh3(bytes));
        checker_.landed(path, bytes, instance, replaced, now_us_);
        writers_.resize(static_cast<std::size_t>(checker_.version() + 1), instance);
      }),
      checker_({.clocks_hold = !profile_.wild_clock, .start_latest = profile_.start_latest}, broker_, lake_, served_),
      group_(broker_, dice_, trace_, now_us_),
      accept_loss_(profile_.accept_loss) {
  for (int i = 0; i < profile_.engines; ++i) {
    auto process = std::make_unique<Process>(i, now_us_);
    process->clock.offset_us = dice_.between(-kSkewMax, kSkewMax);
    processes_.push_back(std::move(process));
  }
}

void World::pass(std::int64_t elapsed_us) {
  now_us_ += elapsed_us;
  if (!calm_) weather_.pass(elapsed_us, now_us_);
  if (!broker_.topic().exists) gone_us_ = now_us_;
  run_.late_writes += lake_.land(now_us_);
  if (profile_.owners == Profile::Owners::kGroup) group_.pass(calm_);
}

void World::maybe_die(Process& process, double probability) {
  if (calm_ || process.dead || !dice_.chance(probability)) return;
  process.dead = true;
  trace_.line(now_us_, "process {} dies", process.index);
}

// What may happen to a process between two of its steps.
void World::befall(Process& process) {
  if (dice_.chance(profile_.pauses)) {
    process.resumes_us = now_us_ + dice_.below(30 * kSecond);
    trace_.line(now_us_, "process {} stands still", process.index);
  }
  if (dice_.chance(0.01)) {
    process.clock.offset_us = dice_.between(-kSkewMax, kSkewMax);
    if (profile_.wild_clock && dice_.chance(0.5)) process.clock.offset_us = dice_.between(-7200, 7200) * kSecond;
    trace_.line(now_us_, "process {}: wall clock {} us off", process.index, process.clock.offset_us);
  }
  maybe_die(process, profile_.crashes);
}

void World::drop(Process& process, std::int64_t down_us) {
  if (process.publishing) {  // its publisher's task is on the stack
    process.ended = true;
    process.down_us = down_us;
    return;
  }
  process.ended = false;
  if (process.engine) run_.recovered += static_cast<int>(process.engine->status().figures.at("fenced"));
  process.engine.reset();
  process.lake.reset();
  process.dead = false;
  process.resumes_us = now_us_ + down_us;
}

// A call of the process to its store: time passes, it may die, others go on, its engine too while its publisher is calling.
void World::meet(Process& process, bool quick) {
  pass(profile_.store_us_max > 0 ? dice_.below(profile_.store_us_max) / (quick ? 50 : calm_ ? 8 : 1) : 0);
  maybe_die(process, profile_.crashes / 2);
  if (quick) return;
  if (dice_.chance(profile_.interleave)) step(*processes_[static_cast<std::size_t>(dice_.below(profile_.engines))]);
  if (process.publishing && !process.running && dice_.chance(0.3)) step(process);
}

// The process's other thread does one task.
void World::publish(Process& process) {
  process.publishing = true;
  process.publisher->run_one();
  process.publishing = false;
  if (process.ended) drop(process, process.down_us);
}

// Somebody stops the process in good order.
void World::restart(Process& process) {
  trace_.line(now_us_, "process {} is asked to end", process.index);
  process.prompt = true;
  if (process.publisher != nullptr) process.publisher->run_all();
  const auto drained = process.engine->drain();
  if (process.dead) return;
  if (!drained) return ended(process, drained.error());
  drop(process, dice_.below(kSecond));
}

void World::open(Process& process) {
  ++run_.opens;
  process.instance = static_cast<int>(served_.size());
  process.generation = generation_;
  process.versions = static_cast<std::int64_t>(writers_.size());
  auto& served = served_.emplace_back();
  process.random = std::make_unique<env::SeededRandom>(dice_.next());
  process.failpoints.on_reach = [this, &process] { maybe_die(process, profile_.crashes * 4); };
  process.lake = std::make_unique<LakeView>(
      LakeWorld{lake_, dice_, trace_, now_us_, store_faults_, options_.plant, [this, &process](bool quick) { meet(process, quick); }},
      process.instance, process.dead);
  std::vector<std::unique_ptr<kafka::Source>> clients;
  for (int lane = 0; lane < profile_.lanes; ++lane)
    clients.push_back(std::make_unique<Client>(ClientWorld{broker_, dice_, trace_, now_us_, broker_faults_, options_.plant, calm_}, served,
                                               process.instance, process.dead));
  trace_.line(now_us_, "process {} opens as instance {}, generation {}", process.index, process.instance, generation_);
  ingest::Settings settings;
  settings.accept_loss = accept_loss_;
  if (profile_.owners == Profile::Owners::kShares) settings.share = {process.index, profile_.engines, {}};
  std::unique_ptr<kafka::Group> group;
  if (profile_.owners == Profile::Owners::kGroup)
    group = group_.join(
        process.instance, process.dead,
        [&process] {
          if (process.publishing) return true;
          if (process.publisher != nullptr) process.publisher->run_all();
          return false;
        },
        [this, &process](bool changing) { process.prompt = changing || !profile_.lazy_publisher; });
  process.prompt = !profile_.lazy_publisher;
  const env::Workers workers = [&process](const std::string& name) -> std::unique_ptr<env::Worker> {
    if (name != "ingest-publish") return env::inline_worker();
    return std::make_unique<LazyWorker>(process.publisher, process.prompt);
  };
  auto engine = ingest::Engine::open_over(std::move(clients), topology_of(generation_, profile_.start_latest),
                                          {*process.lake, {"", "bronze/logs"}, process.clock, *process.random, process.failpoints, workers},
                                          settings, std::move(group));
  if (process.dead) return;
  if (!engine) return ended(process, engine.error());
  process.engine = std::move(*engine);
}

void World::call(Process& process) {
  if (!process.engine) return open(process);
  if (!calm_ && !process.publishing && dice_.chance(0.003)) return restart(process);
  const auto stepped = process.engine->step();
  if (process.dead) return;
  if (!stepped) return ended(process, stepped.error());
  process.failures = 0;
}

void World::step(Process& process) {
  if (process.running || process.ended || now_us_ < process.resumes_us || run_.violation) return;
  if (!calm_ && !process.publishing) befall(process);
  // Sooner or later somebody gives every process the topology with the new generation.
  if (process.engine && process.generation < generation_ && !process.publishing && (calm_ || dice_.chance(0.05))) return drop(process, 0);
  if (now_us_ < process.resumes_us) return;
  if (!process.publishing && !process.dead && process.publisher != nullptr && !process.publisher->idle() && dice_.chance(0.4)) {
    publish(process);
  } else {
    process.running = true;
    call(process);
    process.running = false;
  }
  if (!process.dead || process.ended) return;
  ++run_.crashes;
  drop(process, dice_.below(3 * kSecond));
}

void World::ended(Process& process, const base::Error& error) {
  trace_.line(now_us_, "instance {} ends: {}", process.instance, error.message);
  switch (error.kind) {
    case ErrorKind::kRetry:
    case ErrorKind::kUnknown: break;
    case ErrorKind::kFenced:
      ++run_.fences;
      if (std::ranges::none_of(std::views::drop(writers_, process.versions), [&](int by) { return by != process.instance; }))
        wrong("fenced, though nobody else has committed: " + error.message);
      break;
    case ErrorKind::kNotFound:
      if (now_us_ - gone_us_ > 10 * kSecond) wrong("the topic is there, yet: " + error.message);
      break;
    case ErrorKind::kInvalid: return stopped(process, error);
    default: wrong("an engine ends with an error it must not give: " + error.message);
  }
  process.failures = std::min(process.failures + 1, 5);
  drop(process, (200'000 << process.failures) / 2);
}

// A person reads why it stopped, and does what it says.
void World::stopped(Process& process, const base::Error& error) {
  ++run_.stops;
  const auto says = [&](const char* words) { return error.message.find(words) != std::string::npos; };
  if (says("deleted by the topic's retention")) {
    const auto& partitions = broker_.topic().partitions;
    if (std::ranges::none_of(partitions, [](const auto& log) { return log.start > 0; }))
      wrong("nothing was deleted, yet: " + error.message);
    accept_loss_ = true;
  } else if (says("re-created") || says("log ends at") || says("was cut below")) {
    const auto was = checker_.incarnation_of(fmt::format("logs@{}", process.generation));
    if (was == broker_.incarnation() && !broker_.lost_by_truncation) wrong("the topic is the same, yet: " + error.message);
    if (process.generation == generation_) {
      ++generation_;
      ++run_.generations;
    }
  } else if (!says("the table is at generation") || process.generation == generation_) {
    wrong("an engine stops without a reason in this world: " + error.message);
  }
  drop(process, dice_.between(kSecond / 2, 3 * kSecond));
}

bool World::caught_up() const {
  const auto& partitions = broker_.topic().partitions;
  for (std::size_t p = 0; p < partitions.size(); ++p) {
    const auto it = checker_.partitions().find({fmt::format("logs@{}", generation_), static_cast<int>(p)});
    if (it == checker_.partitions().end() || !it->second.in_force) return false;
    if (it->second.position != partitions[p].end() - 1) return false;
    if (!profile_.wild_clock && (!it->second.clock || *it->second.clock < calm_us_ || it->second.stalled)) return false;
  }
  return true;
}

// Everything is well again: within a bounded time the table has all.
bool World::settle() {
  calm_ = true;
  calm_us_ = now_us_;
  store_faults_ = broker_faults_ = 0;
  weather_.calm(now_us_);
  trace_.line(now_us_, "calm");
  for (auto& process : processes_) {
    process->clock.offset_us = std::clamp(process->clock.offset_us, -kSkewMax, kSkewMax);
    process->resumes_us = std::min(process->resumes_us, now_us_ + 2 * kSecond);
  }
  for (int round = 0; round < kCalmRounds && !run_.violation; ++round) {
    pass(50'000);
    for (auto& process : processes_) step(*process);
    if (checker_.violation()) return true;
    if (round % 8 == 7 && !lake_.anything_on_its_way() && caught_up()) return true;
  }
  return false;
}

Run World::play() {
  for (int i = 0; i < options_.steps && checker_.version() < kVersionsMax && !run_.violation && !checker_.violation(); ++i) {
    pass(dice_.below(profile_.step_us_max));
    step(*processes_[static_cast<std::size_t>(dice_.below(profile_.engines))]);
  }
  if (!run_.violation && !checker_.violation() && !settle()) {
    std::string where;
    for (const auto& [key, state] : checker_.partitions())
      if (state.in_force)
        where += fmt::format(" {} partition {}: position {}, clock {}{};", key.first, key.second, state.position, state.clock.value_or(-1),
                             state.stalled ? ", " + *state.stalled : "");
    wrong(fmt::format("not caught up {} steps after all faults had ended:{}", kCalmRounds, where));
  }
  for (auto& process : processes_) drop(*process, 0);
  checker_.finish();
  if (!run_.violation) run_.violation = checker_.violation();
  if (!run_.violation && options_.rows) run_.violation = check_rows(lake_, broker_, checker_, "bronze/logs");
  run_.trace_hash = trace_.hash();
  run_.trace_lines = trace_.lines();
  run_.versions = checker_.version() + 1;
  run_.rows = checker_.rows();
  run_.gaps = checker_.gaps();
  run_.rebalances = group_.rebalances();
  return run_;
}

}  // namespace

Run run(const RunOptions& options) {
  return World(options).play();
}

}  // namespace headpond::sim
