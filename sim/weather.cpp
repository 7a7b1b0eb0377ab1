#include "sim/weather.h"

#include <algorithm>

namespace headpond::sim {
namespace {

constexpr std::int64_t kSecond = 1'000'000;

}  // namespace

std::int64_t Weather::timestamp(std::int64_t now_us) {
  const auto roll = dice_.below(100);
  auto at = now_us - dice_.below(2 * kSecond);
  if (roll < 10) at = now_us - dice_.below(3600 * kSecond);
  if (roll >= 10 && roll < 15) at = now_us + dice_.below(240 * kSecond);
  if (roll >= 15 && roll < 17) at = now_us + 301 * kSecond + dice_.below(86'400 * kSecond);
  if (roll == 17) at = 0;
  if (roll == 18) return -1;
  return at / 1000 * 1000;
}

Record Weather::draft(std::int64_t now_us) {
  Record record;
  const auto n = count_++;
  record.timestamp_us = timestamp(now_us);
  if (dice_.chance(0.5)) record.key = fmt::format("k{}", dice_.below(9));
  const auto kind = dice_.below(20);
  record.tenant = fmt::format("t{}", dice_.below(4));
  record.payload = fmt::format(R"({{"tenant":"{}","status":{},"n":{}}})", *record.tenant, 200 + dice_.below(400), n);
  if (kind >= 16) record.tenant.reset();
  if (kind == 16) record.payload = fmt::format(R"({{"status":200,"n":{}}})", n);
  if (kind == 17) record.payload = fmt::format("not JSON, {}", n), record.error = true;
  if (kind == 18) record.payload.clear(), record.tombstone = true;
  if (kind == 19)
    record.payload = fmt::format(R"({{"n":{},"body":"{}"}})", n, std::string(static_cast<std::size_t>(dice_.below(2000)), 'x'));
  return record;
}

void Weather::produce(std::int64_t now_us) {
  const int partition = any_partition();
  auto& log = broker_.topic().partitions[static_cast<std::size_t>(partition)];
  if (!log.has_leader) return;
  auto record = draft(now_us);
  if (broker_.transactions) record.producer = static_cast<int>(dice_.below(4)) - 2;
  broker_.append(partition, std::move(record), now_us);
}

void Weather::transactions(std::int64_t now_us) {
  auto& partitions = broker_.topic().partitions;
  for (std::size_t p = 0; p < partitions.size(); ++p)
    for (int producer = 0; producer < 2; ++producer)
      if (partitions[p].has_leader && partitions[p].open.contains(producer) && dice_.chance(0.08))
        broker_.end_transaction(static_cast<int>(p), producer, dice_.chance(0.7), now_us);
}

void Weather::upkeep(std::int64_t now_us) {
  const int partition = any_partition();
  auto& log = broker_.topic().partitions[static_cast<std::size_t>(partition)];
  if (profile_.becomes_compacted && !broker_.compacted && dice_.chance(0.01)) {
    broker_.compacted = broker_.ever_compacted = true;
    trace_.line(now_us, "the topic becomes compacted");
  }
  if (broker_.compacted && log.end() - log.start > 2 && dice_.chance(0.1)) {
    const auto first = dice_.between(log.start, log.end() - 2);
    const auto last = std::min(first + dice_.below(5), log.end() - 2);
    for (auto offset = first; offset <= last; ++offset) broker_.compact(partition, offset);
    trace_.line(now_us, "partition {}: {}-{} compacted", partition, first, last);
  }
  if (profile_.retention && log.end() > log.start && dice_.chance(0.01)) {
    broker_.raise_start(partition, dice_.between(log.start, log.end()));
    trace_.line(now_us, "partition {}: log start {}", partition, log.start);
  }
}

void Weather::elections(std::int64_t now_us) {
  auto& partitions = broker_.topic().partitions;
  for (std::size_t p = 0; p < partitions.size(); ++p) {
    auto& log = partitions[p];
    if (log.has_leader) {
      if (!profile_.leader_changes || !dice_.chance(0.004)) continue;
      log.has_leader = false;
      log.leader_back_us = now_us + (dice_.chance(0.2) ? dice_.below(20 * kSecond) : dice_.below(2 * kSecond));
      trace_.line(now_us, "partition {}: no leader", p);
    } else if (now_us >= log.leader_back_us) {
      log.has_leader = true;
      auto keep = log.end();
      if (profile_.truncations && dice_.chance(0.6)) {
        const auto wanted = std::max(log.start, log.end() - dice_.between(1, 8));
        while (keep > wanted && broker_.record(log.log[static_cast<std::size_t>(keep - 1)]).producer < 0) --keep;
      }
      broker_.elect(static_cast<int>(p), keep, dice_.between(-100'000, 100'000));
      trace_.line(now_us, "partition {}: leader epoch {}, log end {}", p, log.epoch, log.end());
    }
  }
}

void Weather::topic(std::int64_t now_us) {
  const auto count = static_cast<int>(broker_.topic().partitions.size());
  if (!broker_.topic().exists) {
    if (now_us < created_again_us_) return;
    broker_.create_topic(count);
    trace_.line(now_us, "the topic is created again");
    for (auto i = dice_.below(60); i > 0; --i) produce(now_us);
    return;
  }
  if (profile_.recreations && broker_.incarnation() < 2 && dice_.chance(0.003)) {
    broker_.remove_topic();
    created_again_us_ = now_us + (dice_.chance(0.5) ? dice_.below(kSecond / 2) : dice_.below(10 * kSecond));
    trace_.line(now_us, "the topic is deleted");
  } else if (profile_.grows && count < 5 && dice_.chance(0.005)) {
    broker_.topic().partitions.emplace_back();
    trace_.line(now_us, "partition {} is added", count);
  }
}

void Weather::pass(std::int64_t elapsed_us, std::int64_t now_us) {
  topic(now_us);
  if (!broker_.topic().exists) return;
  owed_ = std::min(owed_ + profile_.produce * static_cast<double>(elapsed_us) / 50'000, 60.0);
  for (; owed_ >= 1; --owed_) produce(now_us);
  if (dice_.chance(owed_)) produce(now_us), owed_ = 0;
  if (broker_.transactions) transactions(now_us);
  upkeep(now_us);
  elections(now_us);
}

void Weather::calm(std::int64_t now_us) {
  if (!broker_.topic().exists) broker_.create_topic(static_cast<int>(broker_.topic().partitions.size()));
  auto& partitions = broker_.topic().partitions;
  for (std::size_t p = 0; p < partitions.size(); ++p) {
    if (!partitions[p].has_leader) partitions[p].has_leader = true, broker_.elect(static_cast<int>(p), partitions[p].end(), 0);
    for (int producer = 0; producer < 2; ++producer) broker_.end_transaction(static_cast<int>(p), producer, true, now_us);
  }
}

}  // namespace headpond::sim
