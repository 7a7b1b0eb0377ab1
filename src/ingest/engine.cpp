#include "ingest/engine.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include "ingest/committer.h"
#include "ingest/config.h"
#include "ingest/lane.h"
#include "ingest/memory.h"
#include "ingest/meter.h"
#include "ingest/metrics.h"
#include "ingest/ownership.h"
#include "ingest/stall_watch.h"
#include "ingest/start.h"
#include "kafka/client.h"

namespace headpond::ingest {
namespace {

// Log ends are asked for so long before a cut: the answer is there by then, and the clock it proves is fresh.
constexpr auto kAskAhead = base::Duration::millis(100);
constexpr auto kPublishLocal = base::Duration::seconds(1);
constexpr auto kPublishRemote = base::Duration::seconds(10);
constexpr int kOpenAttemptsMax = 8;

class TopicEngine final : public Engine {
 public:
  TopicEngine(const spec::Topology& topology, World world, Settings settings, std::unique_ptr<kafka::Group> group)
      : topology_(topology),
        world_(std::move(world)),
        settings_(settings),
        source_name_(topic_of(topology, "").source()),
        owners_(settings.share, std::move(group)),
        metrics_(topology.source.topic) {}

  base::Result<void> start(std::unique_ptr<kafka::Source> source);
  base::Result<bool> step() override;
  base::Result<void> drain() override;
  bool finished() const override;
  bronze::BranchStatus status() const override {
    const std::scoped_lock lock(status_mutex_);
    return status_;
  }

 private:
  base::Result<void> check_topic(const std::string& id) const;
  base::Result<bool> work();
  base::Result<std::unique_ptr<bronze::Writer>> open_writer();
  base::Result<std::unique_ptr<bronze::Writer>> open_table(const kafka::TopicInfo& info);
  base::Result<void> name_first_partitions(const kafka::TopicInfo& info, bronze::Writer& writer);
  void write_through(std::unique_ptr<bronze::Writer> writer);
  base::Result<std::vector<Partition>> resume(const std::vector<base::PartitionId>& ids);
  base::Result<void> learn(const kafka::TopicInfo& info);
  base::Result<void> look_after_topic();
  void ask_log_ends();
  base::Result<void> begin_commit();
  base::Result<void> finish_commit(base::Result<Committer::Done> outcome);
  base::Result<void> finish_any_commit();
  base::Duration next_cut() const;
  // Owners.
  base::Result<void> rebalance();
  base::Result<void> give(const std::vector<base::PartitionId>& ids);
  base::Result<void> follow();
  base::Result<void> recover();
  base::Result<void> adopt();
  std::vector<bronze::Stalled> stalled(bool broker_answers) const;
  void observe_table();
  void publish_group_offsets();
  void refresh_status();
  base::SourcePartition in_source(base::PartitionId id) const { return {source_name_, id}; }

  const spec::Topology topology_;
  World world_;
  Settings settings_;
  std::string source_name_;
  Ownership owners_;
  std::string topic_id_;
  std::unique_ptr<Committer> committer_;  // before the lane, which borrows it
  bronze::TableClock table_;              // after the last finished commit
  base::Version version_;
  std::unique_ptr<Lane> lane_;
  TopicTraits traits_;
  std::set<base::PartitionId> seen_;                 // at the broker
  std::map<base::PartitionId, Partition> others_;    // of seen_, what others read or nobody, as far as the table and the broker tell
  std::map<base::PartitionId, base::Offset> until_;  // of until_end: where each ended at the start
  int fenced_ = 0;

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
  Metrics metrics_;

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
  LaneOptions lane_options{
      topology_.source.topic, source_name_, {topology_.bronze.max_future, topology_.bronze.max_clock_error}, settings_.accept_loss};
  lane_ = std::make_unique<Lane>(std::move(lane_options), std::move(source), std::move(decoder), declared_columns(topology_), world_.clock);
  TRY(auto writer, open_table(info));
  write_through(std::move(writer));
  lane_->bind(*committer_);
  const auto now = world_.clock.monotonic();
  next_cut_ = next_cut();
  next_describe_ = now + settings_.describe_every;
  next_publish_ = now;
  TRY_VOID(learn(info));
  if (settings_.until_end) {
    TRY(until_, lane_->source().log_ends({seen_.begin(), seen_.end()}));
  }
  TRY_VOID(adopt());
  observe_table();
  meter_.start(now);
  refresh_status();
  return {};
}

base::Result<std::unique_ptr<bronze::Writer>> TopicEngine::open_writer() {
  bronze::WriterOptions options;
  options.row_group_bytes_max = shares_of(topology_.bronze.memory_bytes).row_group_bytes;
  options.writer_id = "ingest-" + std::to_string(world_.random.next() >> 32);
  return bronze::Writer::open(table_spec(topology_, world_.paths), options, {world_.lake, world_.clock, world_.random, world_.failpoints});
}

// Opens the table with the topic's partitions in it. Several ingesters may do so at once: the gap in front of a start is one's alone.
base::Result<std::unique_ptr<bronze::Writer>> TopicEngine::open_table(const kafka::TopicInfo& info) {
  for (int attempt = 1;; ++attempt) {
    TRY(auto writer, open_writer());
    table_ = writer->table_clock();
    TRY_VOID(check_topic(info.id));
    const auto named = name_first_partitions(info, *writer);
    if (named) return writer;
    if (named.error().kind != base::ErrorKind::kFenced || attempt == kOpenAttemptsMax) return std::unexpected(named.error());
  }
}

void TopicEngine::write_through(std::unique_ptr<bronze::Writer> writer) {
  table_ = writer->table_clock();
  version_ = writer->version();
  committer_.reset();
  committer_ = std::make_unique<Committer>(std::move(writer), declared_columns(topology_), world_.workers, world_.clock);
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
    partition.position_epoch = table.ends_in_row ? table.leader_epoch : -1;
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
    partition.held_gaps = {{0, start->second.value() - 1, "before start"}};
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
    seen_.insert(partition.id);
    if (lane_->owns(partition.id)) lane_->partitions()[static_cast<std::size_t>(partition.id.value())].has_leader = partition.has_leader;
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
  lane_->source().ask_log_ends({seen_.begin(), seen_.end()});
}

base::Result<bool> TopicEngine::step() {
  auto worked = work();
  if (worked || worked.error().kind != base::ErrorKind::kFenced || !owners_.shared()) return worked;
  TRY_VOID(recover());
  return true;
}

base::Result<bool> TopicEngine::work() {
  TRY_VOID(rebalance());
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
  // Whoever reads it names it with a better reason; only what nobody names is without an owner.
  for (const auto& [id, partition] : others_) {
    const auto table = table_.partitions().find(in_source(id));
    if (table != table_.partitions().end() && !table->second.stalled && now - partition.changed_at >= topology_.bronze.stall_after)
      found.push_back({in_source(id), "no owner"});
  }
  return found;
}

// Alone: an interval after the one before. Of several each has its moment within the interval.
base::Duration TopicEngine::next_cut() const {
  const auto now = world_.clock.monotonic();
  const auto interval = topology_.bronze.commit_interval;
  if (owners_.shared()) return now + until_phase(owners_.phase(), world_.clock.now(), interval);
  return next_cut_ == base::Duration() ? now + interval : std::max(next_cut_ + interval, now);
}

base::Result<void> TopicEngine::begin_commit() {
  TRY_VOID(lane_->flush());
  // The cut: clocks are fixed before any further row is stamped, so that no later arrival is below them.
  bronze::CommitRequest request;
  request.clocks = lane_->cut(log_ends_, log_ends_asked_at_);
  for (const auto& answer : log_ends_) {
    if (const auto other = others_.find(answer.partition); other != others_.end()) other->second.log_end = answer.end.value();
  }
  log_ends_.clear();
  ask_due_ = true;
  request.stalled = stalled(broker_answers_);
  for (const auto id : seen_) {
    if (!table_.partitions().contains(in_source(id))) request.partitions.push_back(in_source(id));
  }
  for (auto& partition : lane_->partitions()) {
    if (std::exchange(partition.epoch_changed, false)) request.leader_epochs.emplace_back(in_source(partition.id), partition.leader_epoch);
  }
  next_cut_ = next_cut();
  committer_->commit(std::move(request));
  return {};
}

base::Result<void> TopicEngine::finish_commit(base::Result<Committer::Done> outcome) {
  TRY(auto done, std::move(outcome));
  version_ = done.result.version;
  commit_ms_ = done.ms;
  metrics_.note(done, world_.clock.now());
  table_ = std::move(done.table);
  observe_table();
  publish_group_offsets();
  TRY_VOID(adopt());
  refresh_status();
  return {};
}

base::Result<void> TopicEngine::finish_any_commit() {
  return committer_->committing() ? finish_commit(committer_->wait()) : base::Result<void>();
}

// Reads what is ours and in the table, and not read yet.
base::Result<void> TopicEngine::adopt() {
  std::vector<base::PartitionId> fresh;
  for (const auto id : seen_) {
    if (owners_.has(id) && !lane_->owns(id) && table_.partitions().contains(in_source(id))) fresh.push_back(id);
  }
  if (fresh.empty()) return {};
  TRY(auto partitions, resume(fresh));
  for (const auto id : fresh) others_.erase(id);
  return lane_->own(std::move(partitions));
}

// Carries out what the group wants, and only then tells it so.
base::Result<void> TopicEngine::rebalance() {
  const auto change = owners_.take();
  if (!change) return {};
  using Kind = kafka::GroupChange::Kind;
  if (change->kind == Kind::kGiven) {
    TRY_VOID(give(change->partitions));
  } else if (change->kind == Kind::kLost) {
    lane_->release(change->partitions);
    TRY_VOID(recover());
  } else {
    for (const auto id : change->partitions) seen_.insert(id);
    TRY_VOID(follow());
  }
  world_.failpoints.reach(change->kind == Kind::kGained ? "ingest.mid_assign" : "ingest.mid_revoke");
  TRY_VOID(owners_.done());
  TRY_VOID(adopt());
  observe_table();
  return {};
}

// What was stamped of them is committed before they are another's; what was only fetched is discarded.
base::Result<void> TopicEngine::give(const std::vector<base::PartitionId>& ids) {
  TRY_VOID(lane_->quiet(ids));
  TRY_VOID(finish_any_commit());
  TRY_VOID(begin_commit());
  TRY_VOID(finish_any_commit());
  lane_->release(ids);
  return {};
}

// The table as the last owner left it.
base::Result<void> TopicEngine::follow() {
  TRY_VOID(finish_any_commit());
  committer_->follow();
  TRY(auto done, committer_->wait());
  table_ = std::move(done.table);
  version_ = done.result.version;
  return {};
}

// Another ingester has committed a partition of ours: what we had of it is dropped, and the table tells where to go on.
base::Result<void> TopicEngine::recover() {
  ++fenced_;
  if (committer_->committing()) static_cast<void>(committer_->wait());  // whatever came of it, the table tells
  TRY(auto writer, open_writer());
  write_through(std::move(writer));
  TRY_VOID(check_topic(topic_id_));
  TRY(auto partitions, resume(lane_->owned()));
  TRY_VOID(lane_->restart(*committer_, std::move(partitions)));
  log_ends_.clear();
  ask_due_ = true;
  observe_table();
  return {};
}

bool TopicEngine::finished() const {
  if (!settings_.until_end || !owners_.settled()) return false;
  return std::ranges::all_of(seen_, [&](base::PartitionId id) {
    const auto until = until_.find(id);
    if (!owners_.has(id) || until == until_.end()) return true;
    if (!lane_->owns(id)) return false;
    const auto& partition = lane_->partitions()[static_cast<std::size_t>(id.value())];
    return partition.next >= until->second.value() || (partition.end_seen == partition.next && partition.suspect < 0);
  });
}

void TopicEngine::observe_table() {
  const auto now = world_.clock.monotonic();
  for (auto& partition : lane_->partitions()) {
    if (!partition.owned) continue;
    const auto table = table_.partitions().find(in_source(partition.id));
    if (table != table_.partitions().end()) observe(partition, table->second, now);
  }
  if (!owners_.shared()) return;
  for (const auto id : seen_) {
    const auto table = table_.partitions().find(in_source(id));
    if (lane_->owns(id) || table == table_.partitions().end()) continue;
    const auto [other, fresh] = others_.try_emplace(id);
    if (fresh) other->second.changed_at = now;
    observe(other->second, table->second, now);
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
  if (owners_.group() != nullptr) {
    owners_.group()->publish_offsets(next);
  } else {
    lane_->source().publish_group_offsets(next);
  }
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
  if (!broker_answers_ && !lane_->last_trouble().empty()) message += (message.empty() ? "" : "; ") + lane_->last_trouble();
  if (const auto trouble = owners_.group() == nullptr ? "" : owners_.group()->trouble(); !trouble.empty())
    message += (message.empty() ? "" : "; ") + trouble;
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
                    {"commit_ms", commit_ms_},
                    {"fenced", static_cast<double>(fenced_)}};
  if (ends_known) status.figures["kafka_lag"] = lag;
  status.metrics = metrics_.families(*lane_, topology_.bronze.memory_bytes);
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
  TRY_VOID(finish_any_commit());
  TRY_VOID(begin_commit());
  TRY_VOID(finish_any_commit());
  next_publish_ = base::Duration(0);
  state_ = "stopped";
  refresh_status();
  return {};
}

}  // namespace

base::Result<std::unique_ptr<Engine>> Engine::open_over(std::unique_ptr<kafka::Source> source, const spec::Topology& topology, World world,
                                                        Settings settings, std::unique_ptr<kafka::Group> group) {
  auto engine = std::make_unique<TopicEngine>(topology, std::move(world), settings, std::move(group));
  TRY_VOID(engine->start(std::move(source)));
  return engine;
}

base::Result<std::unique_ptr<Engine>> Engine::open(const spec::Topology& topology, World world, Settings settings) {
  const auto shares = shares_of(topology.bronze.memory_bytes);
  const kafka::ClientOptions client{.brokers = topology.source.brokers,
                                    .librdkafka_options = topology.source.librdkafka_options,
                                    .queue_bytes = shares.client_queue_bytes,
                                    .fetch_bytes = shares.fetch_bytes};
  const auto group_id = topology.source.group.empty() ? "headpond-" + topology.name : topology.source.group;
  const bool grouped = topology.source.assignment == spec::Assignment::kGroup;
  if (grouped && !settings.share.alone())
    return base::fail(base::ErrorKind::kInvalid,
                      spec::to_string(topology.source.place) +
                          ": source.kafka.assignment is group, so the group deals out the partitions; start ingest without --instance and "
                          "--partitions, or say assignment: static");
  TRY(auto source, kafka::open_source(client, topology.source.topic, group_id));
  std::unique_ptr<kafka::Group> group;
  if (grouped) {
    TRY(group, kafka::open_group(client, topology.source.topic, group_id));
  }
  return open_over(std::move(source), topology, std::move(world), settings, std::move(group));
}

}  // namespace headpond::ingest
