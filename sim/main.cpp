// headpond_sim: hunts for bugs of ingest in simulated worlds. docs/simulation.md.
#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <string_view>

#include "sim/world.h"

namespace {

using namespace headpond::sim;

std::string g_replay;  // what repeats the run that is going on

void on_abort(int) {
  // An assertion of the product has failed; its own message stands above.
  std::fprintf(stderr, "aborted; replay: %s\n", g_replay.c_str());
}

struct Arguments {
  std::uint64_t seed = 1;
  int steps = 400, runs = 1;
  std::string trace;
  Plant plant = Plant::kNone;
};

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    if (flag == "--seed") a.seed = std::strtoull(argv[i + 1], nullptr, 10);
    if (flag == "--steps") a.steps = std::atoi(argv[i + 1]);
    if (flag == "--runs") a.runs = std::atoi(argv[i + 1]);
    if (flag == "--trace") a.trace = argv[i + 1];
    if (flag == "--plant") a.plant = plant_named(argv[i + 1]).value();
  }
  std::signal(SIGABRT, on_abort);
  const auto begin = std::chrono::steady_clock::now();
  int bad = 0;
  Run sum;
  for (int i = 0; i < a.runs; ++i) {
    RunOptions o{.seed = a.seed + static_cast<std::uint64_t>(i), .steps = a.steps, .plant = a.plant};
    g_replay = fmt::format("{} --seed {} --steps {}", argv[0], o.seed, o.steps);
    if (!a.trace.empty()) o.trace = std::fopen(a.trace.c_str(), "w");
    const auto r = run(o);
    if (o.trace) std::fclose(o.trace);
    if (r.violation) ++bad, fmt::print("FOUND {}\n  replay: {}\n", *r.violation, g_replay);
    sum.versions += r.versions, sum.rows += r.rows, sum.gaps += r.gaps, sum.opens += r.opens, sum.crashes += r.crashes,
        sum.fences += r.fences;
    sum.stops += r.stops, sum.late_writes += r.late_writes, sum.generations += r.generations;
  }
  const auto s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  fmt::print(
      "{} runs, {} bad, {:.1f} s; {} versions, {} rows, {} gaps, {} opens, {} crashes, {} fences, {} stops, {} late writes, {} "
      "generations\n",
      a.runs, bad, s, sum.versions, sum.rows, sum.gaps, sum.opens, sum.crashes, sum.fences, sum.stops, sum.late_writes, sum.generations);
  return bad > 0;
}
