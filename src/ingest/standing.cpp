// What the table and the broker say of each partition: for stalls, for lag monitors, for people.
#include <algorithm>

#include "ingest/stall_watch.h"
#include "ingest/topic_engine.h"

namespace headpond::ingest {
namespace {

constexpr std::string_view kIngest = "ingest";

// Of the ingester whose lowest partition this is.
std::string cursor_of(base::PartitionId lowest) {
  return std::string(kIngest) + (lowest.value() == 0 ? "" : "-" + std::to_string(lowest.value()));
}

}  // namespace

std::vector<bronze::Stalled> TopicEngine::stalled(bool broker_answers) const {
  std::vector<bronze::Stalled> found;
  const auto now = world_.clock.monotonic();
  for (const auto& partition : lanes_->partitions()) {
    if (auto reason = stall_reason(partition, now, topology_.bronze.stall_after, broker_answers)) {
      found.push_back({in_source(partition.id), std::move(*reason)});
    }
  }
  // Whoever reads it names it with a better reason; only what nobody names is without an owner.
  for (const auto& [id, partition] : others_) {
    const auto table = table_.partitions().find(in_source(id));
    if (table != table_.partitions().end() && !table->second.stalled && now - partition.changed_at >= topology_.bronze.stall_after)
      found.push_back({in_source(id), "no owner"});
  }
  return found;
}

void TopicEngine::observe_table() {
  const auto now = world_.clock.monotonic();
  for (auto& partition : lanes_->partitions()) {
    const auto table = table_.partitions().find(in_source(partition.id));
    if (table != table_.partitions().end()) observe(partition, table->second, now);
  }
  if (!owners_.shared()) return;
  for (const auto id : seen_) {
    const auto table = table_.partitions().find(in_source(id));
    if (lanes_->owns(id) || table == table_.partitions().end()) continue;
    const auto [other, fresh] = others_.try_emplace(id);
    if (fresh) other->second.changed_at = now;
    observe(other->second, table->second, now);
  }
}

// What is in the table, not what has been read beyond it.
void TopicEngine::publish_group_offsets() {
  std::vector<kafka::Assignment> next;
  for (const auto& partition : lanes_->partitions()) {
    const auto table = table_.partitions().find(in_source(partition.id));
    if (table != table_.partitions().end() && table->second.position.value() >= 0)
      next.push_back({partition.id, table->second.position.next()});
  }
  if (owners_.group() != nullptr) {
    owners_.group()->publish_offsets(next);
  } else {
    lanes_->source().publish_group_offsets(next);
  }
}

// A cursor each, under a name that no two have for long. Those of ingesters that read before what is read here now are removed.
// For people, and for the upkeep of the log; a store that does not take it now takes the next one.
void TopicEngine::publish_cursor(bronze::BranchStatus status) {
  const auto owned = lanes_->owned();
  if (owners_.shared()) {
    if (owned.empty()) return;
    status.branch = cursor_of(owned.front());
  }
  static_cast<void>(bronze::publish_status(world_.lake, world_.paths.bronze, status));
  if (owned == announced_) return;
  const auto gone = [&](const std::string& cursor) {
    return cursor != status.branch && std::ranges::any_of(owned, [&](base::PartitionId id) { return cursor_of(id) == cursor; });
  };
  if (bronze::remove_statuses(world_.lake, world_.paths.bronze, gone)) announced_ = owned;
}

void TopicEngine::refresh_status() {
  const auto counts = lanes_->counts();
  const auto now = world_.clock.monotonic();
  meter_.note(now, counts.rows, counts.bytes);
  double lag = 0;
  bool ends_known = true;
  int stalled_partitions = 0, partitions = 0;
  std::string message;
  for (const auto& partition : lanes_->partitions()) {
    ++partitions;
    ends_known = ends_known && partition.log_end >= 0;
    lag += static_cast<double>(std::max<std::int64_t>(0, partition.log_end - partition.next));
  }
  for (const auto& [id, partition] : others_) {
    ends_known = ends_known && partition.log_end >= 0;
    lag += static_cast<double>(std::max<std::int64_t>(0, partition.log_end - partition.table_position.next().value()));
  }
  for (const auto& [partition, reason] : table_.stalled()) {
    ++stalled_partitions;
    if (message.empty()) message = "partition " + std::to_string(partition.partition.value()) + " is stalled: " + reason;
  }
  if (stalled_partitions > 1) message += ", and " + std::to_string(stalled_partitions - 1) + " more";
  if (!broker_answers_ && !lanes_->last_trouble().empty()) message += (message.empty() ? "" : "; ") + lanes_->last_trouble();
  bronze::BranchStatus status;
  status.branch = status.kind = kIngest;
  status.engine = "embedded";
  status.state = state_;
  status.message = std::move(message);
  status.version = status.durable_version = version_;
  status.updated_at = world_.clock.now();
  status.complete_until = table_.smallest_unstalled();
  status.figures = {{"rows_per_s", meter_.rows_per_s()},
                    {"bytes_per_s", meter_.bytes_per_s()},
                    {"rows", static_cast<double>(counts.rows)},
                    {"errors", static_cast<double>(counts.errors)},
                    {"type_mismatches", static_cast<double>(counts.mismatches)},
                    {"future_ts", static_cast<double>(counts.future_ts)},
                    {"future_timestamps", static_cast<double>(counts.future_timestamps)},
                    {"partitions", static_cast<double>(partitions)},
                    {"stalled_partitions", static_cast<double>(stalled_partitions)},
                    {"commit_ms", commit_ms_},
                    {"fenced", static_cast<double>(fenced_)}};
  if (ends_known) status.figures["kafka_lag"] = lag;
  status.metrics = metrics_.families(*lanes_, topology_.bronze.memory_bytes);
  if (now >= next_publish_) {
    next_publish_ = now + bronze::publish_every(world_.lake, world_.paths.bronze);
    publish_cursor(status);
  }
  const std::scoped_lock lock(status_mutex_);
  status_ = std::move(status);
}

}  // namespace headpond::ingest
