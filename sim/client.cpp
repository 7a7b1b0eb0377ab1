#include "sim/client.h"

#include <algorithm>

namespace headpond::sim {
namespace {

using base::ErrorKind;
using base::Offset;
using base::PartitionId;
using kafka::EventKind;

constexpr std::size_t kQueueMax = 40;  // records a partition that are fetched ahead
constexpr double kSlowFetch = 0.02;

void tell(const kafka::Handler& handler, EventKind kind, int partition, std::int64_t offset, const char* message) {
  handler.on_event(handler.context, {kind, PartitionId(partition), Offset(offset), message});
}

}  // namespace

PartitionLog* Client::log_of(int partition) const {
  auto& topic = world_.broker.topic();
  if (!topic.exists || partition >= static_cast<int>(topic.partitions.size())) return nullptr;
  return &topic.partitions[static_cast<std::size_t>(partition)];
}

base::Result<void> Client::reachable(const char* what) {
  if (dead_ || world_.dice.chance(world_.fault_rate / 4))
    return base::fail(ErrorKind::kRetry, std::string("cannot reach any Kafka broker within 5s: ") + what);
  return {};
}

base::Result<kafka::TopicInfo> Client::info() const {
  auto& broker = world_.broker;
  if (!broker.topic().exists) return base::fail(ErrorKind::kNotFound, "no topic 'logs'");
  kafka::TopicInfo info;
  info.name = "logs";
  info.id = world_.plant == Plant::kRecreatedHidden ? broker.topic(0).id : broker.topic().id;
  info.log_append_time = broker.log_append_time;
  info.compacted = broker.compacted || world_.plant == Plant::kSkippedOffset || world_.plant == Plant::kGapKind;
  info.transactions = broker.transactions && world_.plant != Plant::kGapKind;
  for (std::size_t p = 0; p < broker.topic().partitions.size(); ++p)
    info.partitions.push_back({PartitionId(static_cast<int>(p)), broker.topic().partitions[p].has_leader});
  return info;
}

base::Result<kafka::TopicInfo> Client::describe() {
  TRY_VOID(reachable("describe"));
  incarnation_ = world_.broker.incarnation();  // the handle knows the topic by its id from here on
  return info();
}

base::Result<std::map<PartitionId, Offset>> Client::log_starts(const std::vector<PartitionId>& ids) {
  TRY_VOID(reachable("log starts"));
  std::map<PartitionId, Offset> starts;
  for (const auto id : ids) {
    const auto* log = log_of(id.value());
    if (log == nullptr || !log->has_leader) return base::fail(ErrorKind::kRetry, "no leader for partition " + std::to_string(id.value()));
    starts[id] = Offset(log->start);
  }
  return starts;
}

base::Result<std::map<PartitionId, Offset>> Client::log_ends(const std::vector<PartitionId>& ids) {
  TRY_VOID(reachable("log ends"));
  std::map<PartitionId, Offset> ends;
  for (const auto id : ids) {
    const auto* log = log_of(id.value());
    if (log == nullptr || !log->has_leader) return base::fail(ErrorKind::kRetry, "no leader for partition " + std::to_string(id.value()));
    ends[id] = Offset(log->end());
  }
  return ends;
}

base::Result<std::map<PartitionId, Offset>> Client::offsets_at(const std::vector<PartitionId>& ids, base::Micros time) {
  TRY_VOID(reachable("offsets for times"));
  std::map<PartitionId, Offset> found;
  for (const auto id : ids) {
    const auto* log = log_of(id.value());
    if (log == nullptr || !log->has_leader) return base::fail(ErrorKind::kRetry, "no leader for partition " + std::to_string(id.value()));
    for (auto offset = log->start; offset < log->end(); ++offset) {
      if (world_.broker.record(log->log[static_cast<std::size_t>(offset)]).timestamp_us < time.value()) continue;
      found[id] = Offset(offset);
      break;
    }
  }
  return found;
}

base::Result<void> Client::assign(const std::vector<kafka::Assignment>& assignments) {
  fetches_.clear();
  return add(assignments);
}

// What was handed over before, and is not in the table by now, has been dropped.
base::Result<void> Client::add(const std::vector<kafka::Assignment>& assignments) {
  for (const auto& assignment : assignments) {
    const auto partition = assignment.partition.value();
    served_.erase(served_.lower_bound({partition, 0}), served_.lower_bound({partition + 1, 0}));
    begin(assignment);
  }
  return {};
}

// Only what lies behind is handed over anew.
base::Result<void> Client::refetch(const kafka::Assignment& assignment) {
  const auto partition = assignment.partition.value();
  served_.erase(served_.lower_bound({partition, assignment.next.value()}), served_.lower_bound({partition + 1, 0}));
  begin(assignment);
  return {};
}

void Client::begin(const kafka::Assignment& assignment) {
  ++assignments_;
  Fetch fetch;
  fetch.epoch = assignment.leader_epoch;
  fetch.next = assignment.next.value();
  fetches_[assignment.partition.value()] = std::move(fetch);
  world_.trace.line(world_.now_us, "instance {} fetches partition {} from {}", instance_, assignment.partition.value(),
                    assignment.next.value());
}

base::Result<void> Client::remove(PartitionId partition) {
  ++assignments_;
  fetches_.erase(partition.value());
  return {};
}

void Client::fail(int partition, Fetch& fetch, EventKind kind, std::int64_t offset, const kafka::Handler& handler) {
  fetch.failed = true;
  world_.trace.line(world_.now_us, "instance {} partition {}: {} at {}", instance_, partition,
                    kind == EventKind::kTruncated ? "truncated" : "out of range", offset);
  tell(handler, kind, partition, offset, kind == EventKind::kTruncated ? "log truncation detected" : "Broker: Offset out of range");
}

// False: the position is not in the log, or the log before it is another one.
bool Client::check_range(int partition, Fetch& fetch, const PartitionLog& log, const kafka::Handler& handler) {
  if (fetch.leader_seen != log.epoch) {
    fetch.leader_seen = log.epoch;
    if (fetch.epoch >= 0 && world_.plant != Plant::kTruncationUnseen && log.end_of_epoch(fetch.epoch) < fetch.next) {
      fail(partition, fetch, EventKind::kTruncated, fetch.next, handler);
      return false;
    }
  }
  if (fetch.next >= log.start && fetch.next <= log.end()) return true;
  if (world_.plant == Plant::kSilentReset && fetch.next < log.start) {
    fetch.next = log.start;
    return true;
  }
  fail(partition, fetch, EventKind::kOutOfRange, fetch.next, handler);
  return false;
}

bool Client::readable(const Record& record) const {
  if (record.control || record.compacted) return false;
  if (record.txn == TxnState::kAborted) return world_.plant == Plant::kAbortedRead;
  // Every eleventh offset, so that a second fetch skips it too.
  return world_.plant != Plant::kSkippedOffset || record.offset % 11 != 7;
}

void Client::fetch(int partition, Fetch& fetch, const kafka::Handler& handler) {
  const auto* log = log_of(partition);
  if (fetch.failed) return;
  const auto queue_max = world_.calm ? 10 * kQueueMax : kQueueMax;
  const bool another = incarnation_ != world_.broker.incarnation() && world_.plant != Plant::kRecreatedHidden;
  if ((log == nullptr || another) && world_.dice.chance(0.2)) {
    fetch.failed = true;
    tell(handler, EventKind::kRefused, partition, -1, "Broker: Unknown topic id");
    return;
  }
  if (log == nullptr || another || !log->has_leader || fetch.queue.size() >= queue_max || world_.now_us < fetch.slow_until_us) return;
  if (world_.dice.chance(kSlowFetch)) {
    fetch.slow_until_us = world_.now_us + world_.dice.below(3'000'000);
    return;
  }
  if (!check_range(partition, fetch, *log, handler)) return;
  const auto limit = std::min(log->end(), log->stable());
  while (fetch.next < limit && fetch.queue.size() < queue_max) {
    const auto& record = world_.broker.record(log->log[static_cast<std::size_t>(fetch.next)]);
    ++fetch.next;
    fetch.epoch = record.epoch;
    if (!readable(record)) continue;
    fetch.queue.push_back({record.id, -1});
  }
  if (fetch.next >= limit && fetch.end_told != fetch.next) {
    fetch.end_told = fetch.next;
    fetch.queue.push_back({-1, fetch.next});
  }
}

// False: nothing more in this poll.
bool Client::deliver(int partition, Fetch& fetch, const kafka::Handler& handler, std::size_t& records) {
  const auto item = fetch.queue.front();
  fetch.queue.pop_front();
  if (item.record < 0) {
    tell(handler, EventKind::kEnd, partition, item.end, "");
    return true;
  }
  const auto& stored = world_.broker.record(item.record);
  kafka::Record record;
  if (!stored.tombstone) record.payload = stored.payload;
  if (stored.key) record.key = *stored.key;
  record.offset = stored.offset;
  record.timestamp_us = stored.timestamp_us;
  record.partition = partition;
  record.leader_epoch = stored.epoch;
  record.log_append_time = world_.broker.log_append_time || world_.plant == Plant::kAppendTimeBelieved;
  served_[{partition, stored.offset}] = stored.id;
  ++records;
  return handler.on_record(handler.context, record);
}

std::size_t Client::poll(base::Duration, const kafka::Handler& handler) {
  if (dead_) return 0;
  auto& dice = world_.dice;
  if (dice.chance(world_.fault_rate / 10)) {
    const bool all = dice.chance(0.3) || fetches_.empty();
    tell(handler, EventKind::kInterrupted,
         all ? -1 : std::next(fetches_.begin(), dice.below(static_cast<std::int64_t>(fetches_.size())))->first, -1,
         "Local: Broker transport failure");
  }
  std::vector<int> ids;
  for (const auto& [id, fetch] : fetches_) ids.push_back(id);
  std::size_t records = 0;
  const auto most = static_cast<std::size_t>(world_.calm ? 1000 : dice.between(1, 60));
  for (const int id : ids) {
    const auto assigned = assignments_;
    if (const auto it = fetches_.find(id); it != fetches_.end()) fetch(id, it->second, handler);
    while (assigned == assignments_) {  // otherwise what was fetched is discarded
      const auto it = fetches_.find(id);
      if (it == fetches_.end() || it->second.queue.empty() || records >= most) break;
      if (!deliver(id, it->second, handler, records)) return records;
    }
  }
  return records;
}

Client::Question Client::question() {
  auto& dice = world_.dice;
  Question question;
  question.lost = dead_ || dice.chance(world_.fault_rate);
  const auto latency = dice.chance(world_.fault_rate) ? dice.below(3'000'000) : dice.below(60'000);
  question.processed_us = world_.now_us + dice.below(latency + 1);
  question.answered_us = world_.now_us + latency;
  return question;
}

std::vector<kafka::LogEnd> Client::ends_now() const {
  std::vector<kafka::LogEnd> ends;
  for (const int id : asked_) {
    const auto* log = log_of(id);
    if (log != nullptr && log->has_leader)
      ends.push_back({PartitionId(id), Offset(log->end()), ""});
    else
      ends.push_back({PartitionId(id), Offset(-1), "Broker: Leader not available"});
  }
  return ends;
}

void Client::ask_log_ends(const std::vector<PartitionId>& ids) {
  asked_.clear();
  for (const auto id : ids) asked_.push_back(id.value());
  ends_question_ = question();
  const auto now = ends_now();
  ends_question_->processed = world_.dice.chance(0.5);  // at once; all the latency is the answer's
  ends_answer_ = world_.plant == Plant::kStaleLogEnd && !ends_before_.empty() ? ends_before_ : now;
  ends_question_->processed |= world_.plant == Plant::kStaleLogEnd;
  ends_before_ = now;
}

std::optional<std::vector<kafka::LogEnd>> Client::take_log_ends() {
  if (!ends_question_ || dead_) return std::nullopt;
  auto& question = *ends_question_;
  if (!question.processed && world_.now_us >= question.processed_us) {
    question.processed = true;
    ends_answer_ = ends_now();
  }
  if (question.lost || !question.processed || world_.now_us < question.answered_us) return std::nullopt;
  ends_question_.reset();
  return std::move(ends_answer_);
}

void Client::ask_topic() {
  topic_question_ = question();
}

std::optional<base::Result<kafka::TopicInfo>> Client::take_topic() {
  if (!topic_question_ || dead_ || world_.now_us < topic_question_->answered_us) return std::nullopt;
  const bool lost = topic_question_->lost;
  topic_question_.reset();
  if (lost) return base::Result<kafka::TopicInfo>(base::fail(ErrorKind::kRetry, "cannot reach any Kafka broker within 5s: topic"));
  return info();
}

}  // namespace headpond::sim
