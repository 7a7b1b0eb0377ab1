// headpond_sim: hunts for bugs of ingest in simulated worlds. docs/simulation.md.
//
//   headpond_sim --seed 7                          one world; exit 1 and what is wrong, if anything is
//   headpond_sim --seed 1 --runs 1000              a thousand of them
//   headpond_sim --seed 7 --trace world.txt        with everything that happened in it
//   headpond_sim --hunt                            every planted bug must be found, and its world be sound without it
//   headpond_sim --suite [--times 20]              fixed seeds, fresh ones, two runs of one seed, the hunt
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

#include "sim/hunt.h"

namespace {

using namespace headpond::sim;

// An assertion of the product has failed; its own message stands above.
void on_abort(int) {
  std::signal(SIGABRT, SIG_DFL);
  std::fprintf(stderr, "FOUND an assertion failed; replay: %s\n", replay_line().c_str());
}

int usage() {
  std::fprintf(stderr,
               "usage: headpond_sim [--seed N] [--runs N] [--steps N] [--trace FILE] [--rows] [--plant NAME]\n"
               "       headpond_sim --hunt | --suite [--times N]\nplants:\n");
  for (const auto& plant : plants()) std::fprintf(stderr, "  %-22s %s\n", std::string(plant.name).c_str(), std::string(plant.what).c_str());
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGABRT, on_abort);
  HuntOptions options;
  options.program = argv[0];
  bool hunt_only = false, whole_suite = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag == "--hunt" || flag == "--suite" || flag == "--rows") {
      (flag == "--hunt" ? hunt_only : flag == "--suite" ? whole_suite : options.rows) = true;
      continue;
    }
    if (i + 1 == argc) return usage();
    const char* value = argv[++i];
    if (flag == "--seed")
      options.seed = std::strtoull(value, nullptr, 10);
    else if (flag == "--runs")
      options.runs = std::atoi(value);
    else if (flag == "--steps")
      options.steps = std::atoi(value);
    else if (flag == "--times")
      options.times = std::atoi(value);
    else if (flag == "--trace")
      options.trace = value;
    else if (const auto plant = plant_named(value); flag == "--plant" && plant)
      options.plant = *plant;
    else
      return usage();
  }
  if (hunt_only) return hunt_plants(options);
  return whole_suite ? suite(options) : hunt(options);
}
