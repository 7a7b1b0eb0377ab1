#include "ingest/engine.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "ingest/committer.h"
#include "ingest/config.h"
#include "ingest/lane.h"
#include "ingest/meter.h"
#include "ingest/stall_watch.h"
#include "ingest/start.h"
#include "kafka/client.h"

namespace headpond::ingest {
namespace {

// Log ends are asked for so long before a cut: the answer is there by then, and the clock it proves is fresh.
constexpr auto kAskAhead = base::Duration::millis(100);
constexpr auto kPublishLocal = base::Duration::seconds(1);
constexpr auto kPublishRemote = base::Duration::seconds(10);

class TopicEngine final : public Engine {
 public:
  TopicEngine(const spec::Topology& topology, World world, Settings settings)
      : topology_(topology), world_(std::move(world)), settings_(settings), source_name_(topic_of(topology, "").source()) {}

  base::Result<void> start(std::unique_ptr<kafka::Source> source);
  base::Result<bool> step() override;
  base::Result<void> drain() override;
  bronze::BranchStatus status() const override {
    const std::scoped_lock lock(status_mutex_);
    return status_;
  }

 private:
  base::Result<void> check_topic(const std::string& id) const;
  base::Result<void> name_first_partitions(const kafka::TopicInfo& info, bronze::Writer& writer);
  base::Result<std::vector<Partition>> resume(const std::vector<base::PartitionId>& ids);
  base::Result<void> learn(const kafka::TopicInfo& info);
  base::Result<void> look_after_topic();
  void ask_log_ends();
  base::Result<void> begin_commit();
  base::Result<void> finish_commit(base::Result<Committer::Done> outcome);
  base::Result<void> adopt_new_partitions();
  std::vector<bronze::Stalled> stalled(bool broker_answers) const;
  void observe_table();
  void publish_group_offsets();
  void refresh_status();
  base::SourcePartition in_source(base::PartitionId id) const { return {source_name_, id}; }

  const spec::Topology topology_;
  World world_;
  Settings settings_;
  std::string source_name_;
  std::string topic_id_;
  std::unique_ptr<Committer> committer_;  // before the lane, which borrows it
  bronze::TableClock table_;              // after the last finished commit
  base::Version version_;
  std::unique_ptr<Lane> lane_;
  TopicTraits traits_;
  std::vector<base::PartitionId> unnamed_;    // seen at the broker, not in the table yet
  std::vector<base::PartitionId> named_now_;  // by the commit under way; ours once it is done

  base::Duration next_cut_, next_describe_, next_publish_;
  bool ask_due_ = true;  // once a commit interval
  bool asked_ = false, describing_ = false;
  base::Micros asked_at_;                // of the question that is out
  std::vector<kafka::LogEnd> log_ends_;  // the latest answer
  base::Micros log_ends_asked_at_;
  bool broker_answers_ = true;
  double commit_ms_ = 0;
  std::string state_ = "running";  // "stopped" once drained
  Meter meter_;

  mutable std::mutex status_mutex_;
  bronze::BranchStatus status_;
};

base::Result<void> TopicEngine::check_topic(const std::string& id) const {
  const auto& theirs = table_.topic();
  if (!theirs) return {};
  const auto mine = topic_of(topology_, id);
  const auto next = std::to_string(theirs->generation + 1);
  if (mine.generation < theirs->generation) {
    return base::fail(base::ErrorKind::kInvalid, "the table is at generation " + std::to_string(theirs->generation) + " of topic '" +
                                                     theirs->name + "', the topology says " + std::to_string(mine.generation) +
                                                     "; set `generation: " + std::to_string(theirs->generation) + "` under source.kafka");
  }
  if (mine.generation > theirs->generation) return {};
  if (mine.name != theirs->name) {
    return base::fail(base::ErrorKind::kInvalid, "the table holds topic '" + theirs->name + "', the topology names '" + mine.name +
                                                     "'; correct source.kafka.topic, or set `generation: " + next +
                                                     "` to go on with the new one");
  }
  if (mine.id != theirs->id && !mine.id.empty() && !theirs->id.empty()) {
    return base::fail(base::ErrorKind::kInvalid, "topic '" + mine.name + "' was re-created: the table has its id as " + theirs->id +
                                                     ", the broker has " + mine.id + "; set `generation: " + next +
                                                     "` under source.kafka to go on with the new one");
  }
  return {};
}

base::Result<void> TopicEngine::start(std::unique_ptr<kafka::Source> source) {
  TRY(auto decoder, open_decoder(topology_));
  TRY(const auto info, source->describe());
  topic_id_ = info.id;
  bronze::WriterOptions options;
  options.writer_id = "ingest-" + std::to_string(world_.random.next() >> 32);
  TRY(auto writer,
      bronze::Writer::open(table_spec(topology_, world_.paths), options, {world_.lake, world_.clock, world_.random, world_.failpoints}));
  table_ = writer->table_clock();
  TRY_VOID(check_topic(info.id));
  LaneOptions lane_options{
      topology_.source.topic, source_name_, {topology_.bronze.max_future, topology_.bronze.max_clock_error}, settings_.accept_loss};
  lane_ = std::make_unique<Lane>(std::move(lane_options), std::move(source), std::move(decoder), declared_columns(topology_), world_.clock);
  const auto now = world_.clock.monotonic();
  next_cut_ = now + topology_.bronze.commit_interval;
  next_describe_ = now + settings_.describe_every;
  next_publish_ = now;
  TRY_VOID(learn(info));
  TRY_VOID(name_first_partitions(info, *writer));
  table_ = writer->table_clock();
  version_ = writer->version();
  committer_ = std::make_unique<Committer>(std::move(writer), declared_columns(topology_), world_.workers, world_.clock);
  lane_->bind(*committer_);
  std::vector<base::PartitionId> ids;
  for (const auto& partition : info.partitions) ids.push_back(partition.id);
  unnamed_.clear();
  TRY(auto partitions, resume(ids));
  TRY_VOID(lane_->own(std::move(partitions)));
  observe_table();
  meter_.start(now);
  refresh_status();
  return {};
}

// The first commit of a generation names topic and partitions; where reading does not start at the beginning, it also says what lies
// before.
base::Result<void> TopicEngine::name_first_partitions(const kafka::TopicInfo& info, bronze::Writer& writer) {
  bronze::CommitRequest request;
  request.topic = topic_of(topology_, topic_id_);
  request.topic->log_append_time = info.log_append_time;
  std::vector<base::PartitionId> fresh;
  for (const auto& partition : info.partitions) {
    request.partitions.push_back(in_source(partition.id));
    if (!table_.partitions().contains(in_source(partition.id))) fresh.push_back(partition.id);
  }
  if (fresh.size() == info.partitions.size()) {
    TRY(const auto begin, beginnings(topology_, lane_->source(), fresh, world_.clock));
    for (const auto& [id, next, clock] : begin) {
      writer.declare_gap(source_name_, id, base::Offset(0), next.prev(), "before start", clock);
      request.clocks.push_back({in_source(id), clock, next.prev()});
    }
  }
  TRY(const auto committed, writer.commit(request));
  static_cast<void>(committed);
  return {};
}

// Where each partition goes on, by the table.
base::Result<std::vector<Partition>> TopicEngine::resume(const std::vector<base::PartitionId>& ids) {
  std::vector<Partition> partitions;
  std::vector<base::PartitionId> untouched;
  for (const auto id : ids) {
    const auto& table = table_.partitions().at(in_source(id));
    Partition partition;
    partition.id = id;
    partition.next = table.position.value() + 1;
    partition.arrival = ArrivalClock({topology_.bronze.max_future, topology_.bronze.max_clock_error}, table.clock);
    partition.leader_epoch = table.leader_epoch;
    partition.table_position = table.position;
    partition.table_clock = table.clock;
    if (table.position.value() < 0) untouched.push_back(id);
    partitions.push_back(std::move(partition));
  }
  if (untouched.empty()) return partitions;
  TRY(const auto starts, lane_->source().log_starts(untouched));
  for (auto& partition : partitions) {
    const auto start = starts.find(partition.id);
    if (start == starts.end() || start->second.value() == 0) continue;
    partition.next = start->second.value();
    partition.initial_gap = start->second.value();
  }
  return partitions;
}

base::Result<void> TopicEngine::learn(const kafka::TopicInfo& info) {
  if (info.id != topic_id_ && !info.id.empty()) {
    TRY_VOID(check_topic(info.id));
    topic_id_ = info.id;
  }
  traits_.compacted = info.compacted;
  traits_.transactions = info.transactions;
  ++traits_.knowledge;
  lane_->know(traits_);
  for (const auto& partition : info.partitions) {
    const auto index = static_cast<std::size_t>(partition.id.value());
    auto& known = lane_->partitions();
    if (index < known.size() && known[index].owned) {
      known[index].has_leader = partition.has_leader;
    } else if (std::ranges::find(unnamed_, partition.id) == unnamed_.end() &&
               std::ranges::find(named_now_, partition.id) == named_now_.end()) {
      unnamed_.push_back(partition.id);
    }
  }
  return {};
}

base::Result<void> TopicEngine::look_after_topic() {
  const auto now = world_.clock.monotonic();
  if (describing_) {
    auto info = lane_->source().take_topic();
    if (!info) return {};
    describing_ = false;
    // Not being able to ask just now is the broker's trouble, and shows as stalled partitions; a topic that is gone is not.
    if (!*info && info->error().kind == base::ErrorKind::kRetry) return {};
    TRY(const auto description, std::move(*info));
    return learn(description);
  }
  if (now < next_describe_ && !lane_->wants_description()) return {};
  lane_->description_asked();
  lane_->source().ask_topic();
  describing_ = true;
  next_describe_ = now + settings_.describe_every;
  return {};
}

void TopicEngine::ask_log_ends() {
  asked_at_ = world_.clock.now();
  asked_ = true;
  lane_->source().ask_log_ends(lane_->owned());
}

base::Result<bool> TopicEngine::step() {
  const auto now = world_.clock.monotonic();
  const auto ahead = std::min(kAskAhead, base::Duration(topology_.bronze.commit_interval.value() / 4));
  if (ask_due_ && now >= next_cut_ - ahead) {
    broker_answers_ = !asked_;  // an unanswered question is forgotten by the next
    ask_log_ends();
    ask_due_ = false;
  }
  if (asked_) {
    if (auto ends = lane_->source().take_log_ends()) {
      log_ends_ = std::move(*ends);
      log_ends_asked_at_ = asked_at_;
      asked_ = false;
      broker_answers_ = true;
    }
  }
  TRY_VOID(look_after_topic());
  const auto wait = std::clamp(next_cut_ - now, base::Duration(0), settings_.poll);
  TRY(const bool more, lane_->pump(wait));
  if (auto outcome = committer_->take()) TRY_VOID(finish_commit(std::move(*outcome)));
  if (world_.clock.monotonic() >= next_cut_ && !committer_->committing()) {
    TRY_VOID(begin_commit());
    if (auto outcome = committer_->take()) TRY_VOID(finish_commit(std::move(*outcome)));
  }
  return more;
}

std::vector<bronze::Stalled> TopicEngine::stalled(bool broker_answers) const {
  std::vector<bronze::Stalled> found;
  const auto now = world_.clock.monotonic();
  for (const auto& partition : lane_->partitions()) {
    if (!partition.owned) continue;
    if (auto reason = stall_reason(partition, now, topology_.bronze.stall_after, broker_answers)) {
      found.push_back({in_source(partition.id), std::move(*reason)});
    }
  }
  return found;
}

base::Result<void> TopicEngine::begin_commit() {
  TRY_VOID(lane_->flush());
  // The cut: clocks are fixed before any further row is stamped, so that no later arrival is below them.
  bronze::CommitRequest request;
  request.clocks = lane_->cut(log_ends_, log_ends_asked_at_);
  log_ends_.clear();
  ask_due_ = true;
  request.stalled = stalled(broker_answers_);
  named_now_ = std::exchange(unnamed_, {});
  for (const auto id : named_now_) request.partitions.push_back(in_source(id));
  for (auto& partition : lane_->partitions()) {
    if (std::exchange(partition.epoch_changed, false)) request.leader_epochs.emplace_back(in_source(partition.id), partition.leader_epoch);
  }
  next_cut_ = std::max(next_cut_ + topology_.bronze.commit_interval, world_.clock.monotonic());
  committer_->commit(std::move(request));
  return {};
}

base::Result<void> TopicEngine::finish_commit(base::Result<Committer::Done> outcome) {
  TRY(auto done, std::move(outcome));
  table_ = std::move(done.table);
  version_ = done.result.version;
  commit_ms_ = done.ms;
  observe_table();
  publish_group_offsets();
  TRY_VOID(adopt_new_partitions());
  refresh_status();
  return {};
}

base::Result<void> TopicEngine::adopt_new_partitions() {
  if (named_now_.empty()) return {};
  TRY(auto partitions, resume(std::exchange(named_now_, {})));
  return lane_->own(std::move(partitions));
}

void TopicEngine::observe_table() {
  const auto now = world_.clock.monotonic();
  for (auto& partition : lane_->partitions()) {
    if (!partition.owned) continue;
    const auto table = table_.partitions().find(in_source(partition.id));
    if (table != table_.partitions().end()) observe(partition, table->second, now);
  }
}

// What is in the table, not what has been read beyond it.
void TopicEngine::publish_group_offsets() {
  std::vector<kafka::Assignment> next;
  for (const auto& partition : lane_->partitions()) {
    if (!partition.owned) continue;
    const auto table = table_.partitions().find(in_source(partition.id));
    if (table != table_.partitions().end() && table->second.position.value() >= 0)
      next.push_back({partition.id, table->second.position.next()});
  }
  lane_->source().publish_group_offsets(next);
}

void TopicEngine::refresh_status() {
  const auto counts = lane_->counts();
  const auto now = world_.clock.monotonic();
  meter_.note(now, counts.rows, counts.bytes);
  double lag = 0;
  bool ends_known = true;
  int stalled_partitions = 0, partitions = 0;
  std::string message;
  for (const auto& partition : lane_->partitions()) {
    if (!partition.owned) continue;
    ++partitions;
    ends_known = ends_known && partition.log_end >= 0;
    lag += static_cast<double>(std::max<std::int64_t>(0, partition.log_end - partition.next));
    const auto table = table_.partitions().find(in_source(partition.id));
    if (table == table_.partitions().end() || !table->second.stalled) continue;
    ++stalled_partitions;
    if (message.empty()) message = "partition " + std::to_string(partition.id.value()) + " is stalled: " + *table->second.stalled;
  }
  if (stalled_partitions > 1) message += ", and " + std::to_string(stalled_partitions - 1) + " more";
  if (!broker_answers_ && !lane_->last_trouble().empty()) message += (message.empty() ? "" : "; ") + lane_->last_trouble();
  bronze::BranchStatus status;
  status.branch = "ingest";
  status.kind = "ingest";
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
                    {"commit_ms", commit_ms_}};
  if (ends_known) status.figures["kafka_lag"] = lag;
  if (now >= next_publish_) {
    const bool local = world_.lake.local_path(world_.paths.bronze).has_value();
    next_publish_ = now + (local ? kPublishLocal : kPublishRemote);
    // For people; a store that does not take it now takes the next one.
    static_cast<void>(bronze::publish_status(world_.lake, world_.paths.bronze, status));
  }
  const std::scoped_lock lock(status_mutex_);
  status_ = std::move(status);
}

base::Result<void> TopicEngine::drain() {
  if (committer_->committing()) TRY_VOID(finish_commit(committer_->wait()));
  TRY_VOID(begin_commit());
  TRY_VOID(finish_commit(committer_->wait()));
  next_publish_ = base::Duration(0);
  state_ = "stopped";
  refresh_status();
  return {};
}

}  // namespace

base::Result<std::unique_ptr<Engine>> Engine::open_over(std::unique_ptr<kafka::Source> source, const spec::Topology& topology, World world,
                                                        Settings settings) {
  auto engine = std::make_unique<TopicEngine>(topology, std::move(world), settings);
  TRY_VOID(engine->start(std::move(source)));
  return engine;
}

base::Result<std::unique_ptr<Engine>> Engine::open(const spec::Topology& topology, World world, Settings settings) {
  const kafka::ClientOptions client{topology.source.brokers, topology.source.librdkafka_options};
  TRY(auto source, kafka::open_source(client, topology.source.topic, "headpond-" + topology.name));
  return open_over(std::move(source), topology, std::move(world), settings);
}

}  // namespace headpond::ingest
