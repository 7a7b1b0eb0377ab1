#include "sim/profile.h"

#include <algorithm>
#include <array>

namespace headpond::sim {

Profile Profile::of(std::uint64_t seed) {
  Dice dice(seed ^ 0x70726F66696C65u);
  Profile p;
  p.partitions = static_cast<int>(dice.between(1, 3));
  p.engines = dice.chance(0.4) ? 2 : 1;
  p.log_append_time = dice.chance(0.3);
  p.transactions = dice.chance(0.4);
  p.compacted = dice.chance(0.25);
  p.becomes_compacted = !p.compacted && dice.chance(0.1);
  p.start_latest = dice.chance(0.15);
  p.wild_clock = dice.chance(0.15);
  p.leader_changes = dice.chance(0.4);
  p.truncations = p.leader_changes && dice.chance(0.5);
  p.recreations = dice.chance(0.12);
  p.grows = dice.chance(0.25);
  p.retention = dice.chance(0.25);
  p.accept_loss = p.retention && dice.chance(0.4);
  p.produce = std::array{0.1, 0.5, 1.5, 4.0}[static_cast<std::size_t>(dice.below(4))];
  p.store_faults = std::array{0.0, 0.0, 0.01, 0.05, 0.2}[static_cast<std::size_t>(dice.below(5))];
  p.crashes = std::array{0.0, 0.002, 0.01, 0.04}[static_cast<std::size_t>(dice.below(4))];
  p.pauses = std::array{0.0, 0.0, 0.005}[static_cast<std::size_t>(dice.below(3))];
  p.broker_faults = std::array{0.0, 0.02, 0.2}[static_cast<std::size_t>(dice.below(3))];
  p.interleave = p.engines > 1 ? std::array{0.0, 0.1, 0.5}[static_cast<std::size_t>(dice.below(3))] : 0.0;
  p.store_us_max = std::array{0, 20'000, 80'000, 400'000}[static_cast<std::size_t>(dice.below(4))];
  p.step_us_max = std::array{20'000, 60'000, 120'000, 400'000}[static_cast<std::size_t>(dice.below(4))];
  constexpr std::int64_t kDay = 86'400'000'000, kNoon = 1'795'003'200'000'000;  // 2026-11-18T14:00:00Z
  p.start_us = kNoon + dice.below(900'000'000);
  if (dice.chance(0.3)) p.start_us = (kNoon / kDay + 1) * kDay - dice.below(20'000'000);  // the day ends during the run
  if (p.engines > 1 && dice.chance(0.6)) p.owners = dice.chance(0.3) ? Profile::Owners::kShares : Profile::Owners::kGroup;
  if (p.owners == Profile::Owners::kGroup && dice.chance(0.5)) p.engines = 3;
  p.lazy_publisher = dice.chance(0.5);
  p.lanes = dice.chance(0.35) ? static_cast<int>(dice.between(2, 3)) : 1;
  return p;
}

}  // namespace headpond::sim
