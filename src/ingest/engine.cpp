#include "ingest/engine.h"

#include <algorithm>

#include "env/allocator.h"
#include "ingest/memory.h"
#include "ingest/start.h"
#include "ingest/topic_engine.h"
#include "kafka/client.h"

namespace headpond::ingest {
namespace {

// Log ends are asked for so long before a cut: the answer is there by then, and the clock it proves is fresh.
constexpr auto kAskAhead = base::Duration::millis(100);
constexpr int kOpenAttemptsMax = 8;
constexpr int kLooksPerInterval = 4;

}  // namespace

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

base::Result<void> TopicEngine::open_lanes(std::vector<std::unique_ptr<kafka::Source>> sources) {
  LaneOptions options{topology_.source.topic,
                      source_name_,
                      {topology_.bronze.max_future, topology_.bronze.max_clock_error},
                      topology_.bronze.raw == spec::RawOf::kErrors,
                      settings_.accept_loss};
  std::vector<std::unique_ptr<Lane>> lanes;
  for (auto& source : sources) {
    TRY(auto decoder, open_decoder(topology_));
    options.index = lanes.size();
    lanes.push_back(std::make_unique<Lane>(options, std::move(source), std::move(decoder), declared_columns(topology_), world_.clock));
  }
  lanes_ = std::make_unique<Lanes>(std::move(lanes), world_.workers, world_.clock);
  return {};
}

base::Result<void> TopicEngine::start(std::vector<std::unique_ptr<kafka::Source>> sources) {
  TRY_VOID(open_lanes(std::move(sources)));
  TRY(const auto info, lanes_->describe());
  topic_id_ = info.id;
  writer_id_ = "ingest-" + std::to_string(world_.random.next() >> 32);
  TRY(auto writer, open_table(info));
  write_through(std::move(writer));
  lanes_->bind(*committer_);
  const auto now = world_.clock.monotonic();
  next_cut_ = next_cut();
  next_describe_ = now + settings_.describe_every;
  next_publish_ = now;
  TRY_VOID(learn(info));
  if (settings_.until_end) {
    TRY(until_, lanes_->source().log_ends({seen_.begin(), seen_.end()}));
  }
  TRY_VOID(adopt());
  observe_table();
  meter_.start(now);
  refresh_status();
  return {};
}

base::Result<std::unique_ptr<bronze::Writer>> TopicEngine::open_writer() {
  bronze::WriterOptions options;
  options.row_group_bytes_max = shares_of(topology_.bronze.memory_bytes, lanes_->size()).row_group_bytes;
  options.writer_id = writer_id_;
  options.shared = owners_.shared();
  options.lanes = lanes_->size();
  return bronze::Writer::open(table_spec(topology_, world_.paths), options, {world_.lake, world_.clock, world_.random, world_.failpoints});
}

// Opens the table with the topic's partitions in it. Several ingesters may do so at once: the gap in front of a start is one's alone.
base::Result<std::unique_ptr<bronze::Writer>> TopicEngine::open_table(const kafka::TopicInfo& info) {
  for (int attempt = 1;; ++attempt) {
    TRY(auto writer, open_writer());
    table_ = writer->table_clock();
    auto named = check_topic(info.id);
    if (named) named = name_first_partitions(info, *writer);
    if (named) return writer;
    if (named.error().kind == base::ErrorKind::kInvalid) {
      // Perhaps it was re-created since it was described, and another ingester has named the new one: no reason for a person to act.
      TRY(const auto now, lanes_->source().describe());
      if (now.id != info.id)
        return base::fail(base::ErrorKind::kRetry,
                          "topic '" + info.name + "' was re-created while ingest was opening its table; open it again");
    }
    if (named.error().kind != base::ErrorKind::kFenced || attempt == kOpenAttemptsMax) return std::unexpected(named.error());
  }
}

void TopicEngine::write_through(std::unique_ptr<bronze::Writer> writer) {
  table_ = writer->table_clock();
  version_ = writer->version();
  committer_.reset();
  committer_ = std::make_unique<Committer>(std::move(writer), declared_columns(topology_), world_.workers, world_.clock, lanes_->size());
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
    TRY(const auto begin, beginnings(topology_, lanes_->source(), fresh, world_.clock));
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
  TRY(const auto starts, lanes_->source().log_starts(untouched));
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
  lanes_->know(traits_);
  for (const auto& partition : info.partitions) {
    seen_.insert(partition.id);
    if (auto* const mine = lanes_->find(partition.id)) mine->has_leader = partition.has_leader;
  }
  return {};
}

base::Result<void> TopicEngine::look_after_topic() {
  const auto now = world_.clock.monotonic();
  if (describing_) {
    auto info = lanes_->source().take_topic();
    if (!info) return {};
    describing_ = false;
    // Not being able to ask just now is the broker's trouble, and shows as stalled partitions; a topic that is gone is not.
    if (!*info && info->error().kind == base::ErrorKind::kRetry) return {};
    TRY(const auto description, std::move(*info));
    return learn(description);
  }
  if (now < next_describe_ && !lanes_->wants_description()) return {};
  lanes_->description_asked();
  lanes_->source().ask_topic();
  describing_ = true;
  next_describe_ = now + settings_.describe_every;
  return {};
}

// What others commit is read as it comes, some of it at a time: read within a commit it would delay that by a GET for each.
void TopicEngine::look_at_others() {
  const auto now = world_.clock.monotonic();
  if (!owners_.shared() || committer_->committing() || now < next_look_) return;
  next_look_ = now + base::Duration(topology_.bronze.commit_interval.value() / kLooksPerInterval);
  committer_->keep_up();
}

void TopicEngine::ask_log_ends() {
  asked_at_ = world_.clock.now();
  asked_ = true;
  lanes_->source().ask_log_ends({seen_.begin(), seen_.end()});
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
    if (auto ends = lanes_->source().take_log_ends()) {
      log_ends_ = std::move(*ends);
      log_ends_asked_at_ = asked_at_;
      asked_ = false;
      broker_answers_ = true;
    }
  }
  TRY_VOID(look_after_topic());
  look_at_others();
  const auto wait = std::clamp(next_cut_ - now, base::Duration(0), settings_.poll);
  TRY(const bool more, is_full() && committer_->committing() ? false : lanes_->pump(wait));
  // Whoever waits for the end must not wait for ever.
  if (settings_.until_end && std::ranges::any_of(lanes_->partitions(), [](const auto& p) { return !p.stopped.empty(); }))
    return base::fail(base::ErrorKind::kInvalid, lanes_->last_trouble());
  if (auto outcome = committer_->take()) TRY_VOID(finish_commit(std::move(*outcome)));
  if (!committer_->committing() && (world_.clock.monotonic() >= next_cut_ || is_full())) {
    commits_early_ = is_full();
    TRY_VOID(begin_commit());
    if (auto outcome = committer_->take()) TRY_VOID(finish_commit(std::move(*outcome)));
  }
  return more;
}

// What is staged has taken its share of memory: it is committed before its time, and until that can begin nothing more is taken in.
bool TopicEngine::is_full() const {
  return committer_->staged_memory() >= static_cast<std::size_t>(shares_of(topology_.bronze.memory_bytes).staged_bytes);
}

// Alone: an interval after the one before. Of several each has its moment within the interval.
base::Duration TopicEngine::next_cut() const {
  const auto now = world_.clock.monotonic();
  const auto interval = topology_.bronze.commit_interval;
  if (owners_.shared()) return now + until_phase(owners_.phase(), world_.clock.now(), interval);
  return next_cut_ == base::Duration() ? now + interval : std::max(next_cut_ + interval, now);
}

base::Result<void> TopicEngine::begin_commit() {
  TRY_VOID(lanes_->flush());
  // The cut: clocks are fixed before any further row is stamped, so that no later arrival is below them.
  bronze::CommitRequest request;
  request.clocks = lanes_->cut(log_ends_, log_ends_asked_at_);
  for (const auto& answer : log_ends_) {
    if (const auto other = others_.find(answer.partition); other != others_.end()) other->second.log_end = answer.end.value();
  }
  log_ends_.clear();
  ask_due_ = true;
  request.stalled = stalled(broker_answers_);
  for (const auto id : seen_) {
    if (!table_.partitions().contains(in_source(id))) request.partitions.push_back(in_source(id));
  }
  // The rows of one that was lost are dropped, and with them the epoch they brought: the next owner would find an older one and stop.
  for (auto& partition : lanes_->partitions()) {
    if (std::exchange(partition.epoch_changed, false)) request.leader_epochs.emplace_back(in_source(partition.id), partition.leader_epoch);
  }
  if (world_.clock.monotonic() >= next_cut_) next_cut_ = next_cut();  // an early one comes between two
  committer_->commit(std::move(request));
  return {};
}

base::Result<void> TopicEngine::finish_commit(base::Result<Committer::Done> outcome) {
  TRY(auto done, std::move(outcome));
  if (std::exchange(commits_early_, false)) env::give_back_freed();
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

bool TopicEngine::finished() const {
  if (!settings_.until_end || !owners_.settled()) return false;
  return std::ranges::all_of(seen_, [&](base::PartitionId id) {
    const auto until = until_.find(id);
    if (!owners_.has(id) || until == until_.end()) return true;
    const auto* const partition = lanes_->find(id);
    if (partition == nullptr) return false;
    return partition->next >= until->second.value() || (partition->end_seen == partition->next && partition->suspect < 0);
  });
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

base::Result<std::unique_ptr<Engine>> Engine::open_over(std::vector<std::unique_ptr<kafka::Source>> sources, const spec::Topology& topology,
                                                        World world, Settings settings, std::unique_ptr<kafka::Group> group) {
  auto engine = std::make_unique<TopicEngine>(topology, std::move(world), settings, std::move(group));
  TRY_VOID(engine->start(std::move(sources)));
  return engine;
}

base::Result<std::unique_ptr<Engine>> Engine::open(const spec::Topology& topology, World world, Settings settings) {
  const auto shares = shares_of(topology.bronze.memory_bytes, static_cast<std::size_t>(topology.source.lanes));
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
  std::vector<std::unique_ptr<kafka::Source>> sources;
  for (int i = 0; i < topology.source.lanes; ++i) {
    TRY(auto source, kafka::open_source(client, topology.source.topic, group_id));
    sources.push_back(std::move(source));
  }
  std::unique_ptr<kafka::Group> group;
  if (grouped) {
    TRY(group, kafka::open_group(client, topology.source.topic, group_id));
  }
  return open_over(std::move(sources), topology, std::move(world), settings, std::move(group));
}

}  // namespace headpond::ingest
