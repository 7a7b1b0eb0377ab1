#include "ingest/lanes.h"

#include <algorithm>
#include <latch>
#include <utility>

namespace headpond::ingest {

Lanes::Lanes(std::vector<std::unique_ptr<Lane>> lanes, const env::Workers& workers, env::Clock& clock)
    : lanes_(std::move(lanes)), clock_(clock) {
  HP_ASSERT(!lanes_.empty());
  for (std::size_t i = 1; i < lanes_.size(); ++i)
    workers_.push_back(workers ? workers("ingest-lane-" + std::to_string(i)) : env::inline_worker());
}

base::Result<kafka::TopicInfo> Lanes::describe() {
  TRY(auto info, lanes_.front()->source().describe());
  for (std::size_t i = 1; i < lanes_.size(); ++i) {
    TRY(const auto other, lanes_[i]->source().describe());
    if (other.id != info.id)
      return base::fail(base::ErrorKind::kRetry, "topic '" + info.name + "' was re-created while ingest was opening it; open it again");
  }
  return info;
}

void Lanes::bind(Committer& committer) {
  for (auto& lane : lanes_) lane->bind(committer);
}

void Lanes::know(const TopicTraits& topic) {
  for (auto& lane : lanes_) lane->know(topic);
}

// What a lane has, it keeps; the rest goes to whoever has the fewest.
std::vector<std::vector<Partition>> Lanes::deal(std::vector<Partition> partitions) const {
  std::vector<std::vector<Partition>> dealt(lanes_.size());
  std::vector<std::size_t> load;
  for (const auto& lane : lanes_) load.push_back(lane->owned().size());
  for (auto& partition : partitions) {
    const auto has = std::ranges::find_if(lanes_, [&](const auto& lane) { return lane->owns(partition.id); });
    auto to = static_cast<std::size_t>(has - lanes_.begin());
    if (has == lanes_.end()) {
      to = static_cast<std::size_t>(std::ranges::min_element(load) - load.begin());
      ++load[to];
    }
    dealt[to].push_back(std::move(partition));
  }
  return dealt;
}

base::Result<void> Lanes::own(std::vector<Partition> partitions) {
  auto dealt = deal(std::move(partitions));
  for (std::size_t i = 0; i < lanes_.size(); ++i) TRY_VOID(lanes_[i]->own(std::move(dealt[i])));
  return {};
}

base::Result<void> Lanes::quiet(const std::vector<base::PartitionId>& ids) {
  for (auto& lane : lanes_) TRY_VOID(lane->quiet(ids));
  return {};
}

void Lanes::release(const std::vector<base::PartitionId>& ids) {
  for (auto& lane : lanes_) lane->release(ids);
}

base::Result<void> Lanes::restart(Committer& committer, std::vector<Partition> partitions) {
  auto dealt = deal(std::move(partitions));
  for (std::size_t i = 0; i < lanes_.size(); ++i) TRY_VOID(lanes_[i]->restart(committer, std::move(dealt[i])));
  return {};
}

base::Result<bool> Lanes::pump_one(Lane& lane, base::Duration until) {
  for (bool any = false;; any = true) {
    const auto left = until - clock_.monotonic();
    if (any && left <= base::Duration(0)) return true;
    TRY(const bool more, lane.pump(std::max(left, base::Duration(0))));
    if (!more) return any;
  }
}

base::Result<bool> Lanes::pump(base::Duration timeout) {
  if (lanes_.size() == 1) return lanes_.front()->pump(timeout);
  const auto until = clock_.monotonic() + timeout;
  std::vector<base::Result<bool>> outcomes(lanes_.size(), false);
  std::latch others(static_cast<std::ptrdiff_t>(workers_.size()));
  for (std::size_t i = 1; i < lanes_.size(); ++i) {
    workers_[i - 1]->post([&, i] {
      outcomes[i] = pump_one(*lanes_[i], until);
      others.count_down();
    });
  }
  outcomes[0] = pump_one(*lanes_[0], until);
  others.wait();
  bool any = false;
  for (auto& outcome : outcomes) {
    TRY(const bool more, std::move(outcome));
    any = any || more;
  }
  return any;
}

base::Result<void> Lanes::flush() {
  for (auto& lane : lanes_) TRY_VOID(lane->flush());
  return {};
}

std::vector<bronze::PartitionClock> Lanes::cut(const std::vector<kafka::LogEnd>& ends, base::Micros asked_at) {
  std::vector<bronze::PartitionClock> clocks;
  for (auto& lane : lanes_) {
    auto some = lane->cut(ends, asked_at);
    clocks.insert(clocks.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
  return clocks;
}

std::vector<base::PartitionId> Lanes::owned() const {
  std::vector<base::PartitionId> ids;
  for (const auto& partition : partitions()) ids.push_back(partition.id);
  std::ranges::sort(ids);
  return ids;
}

Partition* Lanes::find(base::PartitionId id) {
  for (auto& lane : lanes_)
    if (lane->owns(id)) return &lane->partitions()[static_cast<std::size_t>(id.value())];
  return nullptr;
}

LaneCounts Lanes::counts() const {
  LaneCounts sum;
  for (const auto& lane : lanes_) {
    const auto counts = lane->counts();
    sum.rows += counts.rows;
    sum.bytes += counts.bytes;
    sum.errors += counts.errors;
    sum.mismatches += counts.mismatches;
    sum.future_ts += counts.future_ts;
    sum.future_timestamps += counts.future_timestamps;
    sum.interruptions += counts.interruptions;
  }
  return sum;
}

bool Lanes::wants_description() const {
  return std::ranges::any_of(lanes_, [](const auto& lane) { return lane->wants_description(); });
}

void Lanes::description_asked() {
  for (auto& lane : lanes_) lane->description_asked();
}

std::string Lanes::last_trouble() const {
  const auto troubled = std::ranges::find_if(lanes_, [](const auto& lane) { return !lane->last_trouble().empty(); });
  return troubled == lanes_.end() ? std::string() : (*troubled)->last_trouble();
}

}  // namespace headpond::ingest
