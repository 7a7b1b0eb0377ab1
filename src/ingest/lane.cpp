#include "ingest/lane.h"

#include <algorithm>

#include "base/time.h"

namespace headpond::ingest {
namespace {

// The wall clock is read once for so many records: a read costs as much as a tenth of a record.
constexpr unsigned kRecordsPerClockRead = 64;

}  // namespace

Lane::Lane(LaneOptions options, std::unique_ptr<kafka::Source> source, std::unique_ptr<decode::Decoder> decoder,
           const std::vector<columns::ColumnSpec>& declared, env::Clock& clock)
    : options_(std::move(options)), source_(std::move(source)), decoder_(std::move(decoder)), clock_(clock), batch_(declared) {
  batch_.source = options_.source;
}

base::Result<void> Lane::own(std::vector<Partition> partitions) {
  const auto assignments = adopt(std::move(partitions));
  return assignments.empty() ? base::Result<void>() : source_->add(assignments);
}

std::vector<kafka::Assignment> Lane::adopt(std::vector<Partition> partitions) {
  std::vector<kafka::Assignment> assignments;
  for (auto& partition : partitions) {
    const auto index = static_cast<std::size_t>(partition.id.value());
    if (partitions_.size() <= index) partitions_.resize(index + 1);
    counts_.future_timestamps += partitions_[index].arrival.from_the_future();
    partition.owned = true;
    partition.changed_at = clock_.monotonic();
    assignments.push_back({partition.id, base::Offset(partition.next), partition.position_epoch});
    partitions_[index] = std::move(partition);
  }
  return assignments;
}

base::Result<void> Lane::quiet(const std::vector<base::PartitionId>& ids) {
  for (const auto id : ids) {
    if (owns(id) && partitions_[static_cast<std::size_t>(id.value())].stopped.empty()) TRY_VOID(source_->remove(id));
  }
  return {};
}

void Lane::release(const std::vector<base::PartitionId>& ids) {
  for (const auto id : ids) {
    if (owns(id)) partitions_[static_cast<std::size_t>(id.value())].owned = false;
  }
}

base::Result<void> Lane::restart(Committer& committer, std::vector<Partition> partitions) {
  batch_.reset();
  committer_ = &committer;
  release(owned());
  return source_->assign(adopt(std::move(partitions)));
}

std::vector<base::PartitionId> Lane::owned() const {
  std::vector<base::PartitionId> ids;
  for (const auto& partition : partitions_) {
    if (partition.owned) ids.push_back(partition.id);
  }
  return ids;
}

LaneCounts Lane::counts() const {
  auto counts = counts_;
  for (const auto& partition : partitions_) counts.future_timestamps += partition.arrival.from_the_future();
  return counts;
}

Partition* Lane::find(std::int32_t id) {
  const auto index = static_cast<std::size_t>(id);
  if (id < 0 || index >= partitions_.size() || !partitions_[index].owned) return nullptr;
  return &partitions_[index];
}

std::string Lane::name_of(const Partition& partition) const {
  return "topic '" + options_.topic + "' partition " + std::to_string(partition.id.value());
}

base::Result<bool> Lane::pump(base::Duration timeout) {
  outcome_ = {};
  since_fetched_at_ = 0;
  const kafka::Handler handler{this, [](void* context, const kafka::Record& record) { return static_cast<Lane*>(context)->take(record); },
                               [](void* context, const kafka::PartitionEvent& event) { static_cast<Lane*>(context)->hear(event); }};
  const auto records = source_->poll(timeout, handler);
  TRY_VOID(std::move(outcome_));
  if (batch_.rows() >= columns::Batch::kRowsMax) TRY_VOID(flush());
  return records > 0;
}

base::Result<void> Lane::flush() {
  if (batch_.empty()) return {};
  return committer_->append(batch_, options_.index);
}

bool Lane::take(const kafka::Record& record) {
  if (!outcome_) [[unlikely]]
    return false;  // the lane ends: nothing may cover up why
  Partition* const partition = find(record.partition);
  if (partition == nullptr || !partition->stopped.empty()) [[unlikely]]
    return true;
  if (record.leader_epoch != partition->leader_epoch) [[unlikely]] {
    if (!settle_epoch(*partition, record.leader_epoch)) return false;
  }
  if (record.offset != partition->next || partition->fresh) [[unlikely]] {
    if (!settle_offset(*partition, record.offset)) return outcome_.has_value();
  }
  if (since_fetched_at_++ % kRecordsPerClockRead == 0) fetched_at_ = clock_.now().value();
  if (!batch_.fits(record.payload.size())) [[unlikely]] {
    outcome_ = flush();
    if (!outcome_) return false;
  }
  return put_rows(*partition, record) && batch_.rows() < columns::Batch::kRowsMax;
}

// False: the lane ends, with an outcome.
bool Lane::put_rows(Partition& partition, const kafka::Record& record) {
  const auto arrival = partition.arrival.stamp(record.timestamp_us, record.log_append_time, fetched_at_);
  if (!partition.held_gaps.empty()) [[unlikely]]
    declare_held_gaps(partition, base::Micros(arrival));
  const auto row = options_.raw_of_errors ? batch_.begin_row_aside(record.payload) : batch_.begin_row(record.payload);
  aside_ = options_.raw_of_errors && record.payload.data() != nullptr ? std::optional(row.index) : std::nullopt;
  stamp(row.index, record, arrival);
  settle_row(row.index, decoder_->decode(batch_, row), record.payload);
  counts_.bytes += static_cast<std::int64_t>(record.payload.size());
  partition.next = record.offset + 1;
  partition.position_epoch = record.leader_epoch;
  return !decoder_->more() || put_siblings(record, arrival);
}

// Further rows of one record. They may fill several batches; all are appended before the record counts as taken.
bool Lane::put_siblings(const kafka::Record& record, std::int64_t arrival) {
  while (decoder_->more()) {
    if (batch_.rows() == columns::Batch::kRowsMax) {
      keep_raw(record.payload);  // a row of it yet to come may have an error
      outcome_ = flush();
      if (!outcome_) return false;
      decoder_->move_to(batch_, record.payload);
    }
    const auto row = batch_.begin_row_without_raw();
    stamp(row, record, arrival);
    settle_row(row, decoder_->decode_next(batch_, row), record.payload);
  }
  return true;
}

void Lane::stamp(std::size_t row, const kafka::Record& record, std::int64_t arrival) {
  batch_.arrival[row] = arrival;
  batch_.kafka_partition[row] = record.partition;
  batch_.kafka_offset[row] = record.offset;
  batch_.kafka_timestamp[row] = record.timestamp_us;
  if (record.key.data() != nullptr) batch_.kafka_key[row] = batch_.arena.copy(record.key);
  if (record.headers.data() != nullptr) batch_.kafka_headers[row] = batch_.arena.copy(record.headers);
}

void Lane::keep_raw(std::string_view payload) {
  if (aside_) batch_.keep_raw(*aside_, payload);
  aside_.reset();
}

void Lane::settle_row(std::size_t row, const decode::Decoded& decoded, std::string_view payload) {
  if (decoded.malformed) [[unlikely]]
    keep_raw(payload);
  const auto arrival = batch_.arrival[row];
  auto ts = decoded.ts.value_or(arrival);
  if (ts > arrival + options_.rules.max_future.value()) {
    ts = arrival;
    ++counts_.future_ts;
  }
  batch_.ts[row] = ts;
  ++counts_.rows;
  counts_.errors += decoded.malformed ? 1 : 0;
  counts_.mismatches += decoded.mismatches;
}

// False: the record is not to be taken (or, with an outcome, the lane ends).
bool Lane::settle_offset(Partition& partition, std::int64_t seen) {
  switch (judge(partition, topic_, seen)) {
    case GapVerdict::kNone: return true;
    case GapVerdict::kOld: return false;
    case GapVerdict::kLegal: {
      outcome_ = flush();
      if (!outcome_) return false;
      // Where nothing has arrived yet the gap waits for the first row's arrival.
      if (const auto arrival = partition.arrival.last_arrival()) {
        declare_held_gaps(partition, *arrival);
        declare(partition, partition.next, seen - 1, gap_kind(topic_, seen - partition.next), *arrival);
      } else {
        partition.held_gaps.push_back({partition.next, seen - 1, gap_kind(topic_, seen - partition.next)});
      }
      partition.next = seen;
      partition.position_epoch = -1;
      return true;
    }
    case GapVerdict::kConfirm:
      if (!topic_.may_have_gaps()) wants_description_ = true;
      outcome_ = source_->refetch({partition.id, base::Offset(partition.next), partition.position_epoch});
      return false;
    case GapVerdict::kIllegal:
      stop(partition, "offsets " + std::to_string(partition.next) + "-" + std::to_string(seen - 1) +
                          " are missing, twice, on a topic with neither transactions nor compaction");
      return false;
  }
  return false;
}

bool Lane::settle_epoch(Partition& partition, std::int32_t epoch) {
  if (epoch < 0) return true;
  if (epoch < partition.leader_epoch) {
    give_up({base::ErrorKind::kInvalid, name_of(partition) + ": the table has seen leader epoch " + std::to_string(partition.leader_epoch) +
                                            ", the broker's record at the next offset has " + std::to_string(epoch) +
                                            ": the topic was re-created or restored from an older state; set `generation:` one higher "
                                            "under source.kafka to go on with it"});
    return false;
  }
  if (partition.leader_epoch >= 0) partition.fresh = true;
  partition.leader_epoch = epoch;
  partition.epoch_changed = true;
  return true;
}

void Lane::declare_held_gaps(Partition& partition, base::Micros arrival) {
  for (const auto& gap : partition.held_gaps) declare(partition, gap.first, gap.last, gap.kind, arrival);
  partition.held_gaps.clear();
}

void Lane::declare(Partition& partition, std::int64_t first, std::int64_t last, const std::string& kind, base::Micros arrival) {
  committer_->declare_gap(options_.source, partition.id, base::Offset(first), base::Offset(last), kind, arrival, options_.index);
}

void Lane::hear(const kafka::PartitionEvent& event) {
  if (!event.message.empty() && event.kind != kafka::EventKind::kEnd) last_trouble_ = event.message;
  if (!outcome_) return;
  Partition* const partition = find(event.partition.value());
  if (partition == nullptr) {
    if (event.kind != kafka::EventKind::kInterrupted) return;
    ++counts_.interruptions;
    for (auto& each : partitions_) each.fresh = true;
    return;
  }
  if (!partition->stopped.empty()) return;
  switch (event.kind) {
    case kafka::EventKind::kEnd:
      // A partition may end in records that are never handed over: commit markers, aborted ones.
      if (event.offset.value() > partition->next || partition->suspect >= 0) settle_offset(*partition, event.offset.value());
      partition->end_seen = event.offset.value();
      return;
    case kafka::EventKind::kInterrupted:
      ++counts_.interruptions;
      partition->fresh = true;
      return;
    case kafka::EventKind::kOutOfRange: out_of_range(*partition, false); return;
    case kafka::EventKind::kTruncated: out_of_range(*partition, true); return;
    case kafka::EventKind::kRefused: give_up({base::ErrorKind::kRetry, name_of(*partition) + ": " + event.message}); return;
  }
}

void Lane::give_up(base::Error error) {
  outcome_ = std::unexpected(std::move(error));
}

void Lane::stop(Partition& partition, std::string reason) {
  last_trouble_ = name_of(partition) + " stopped: " + reason;
  partition.stopped = std::move(reason);
  // What is fetched on is passed over; a failure to say so to the client changes nothing.
  static_cast<void>(source_->remove(partition.id));
}

std::vector<bronze::PartitionClock> Lane::cut(const std::vector<kafka::LogEnd>& ends, base::Micros asked_at) {
  for (auto& partition : partitions_) partition.log_end_error.clear();
  std::vector<std::uint8_t> proven(partitions_.size(), 0);
  for (const auto& answer : ends) {
    Partition* const partition = find(answer.partition.value());
    if (partition == nullptr) continue;
    if (answer.end.value() < 0) {
      partition->log_end_error = answer.error;
      continue;
    }
    partition->log_end = answer.end.value();
    proven[static_cast<std::size_t>(answer.partition.value())] = answer.end.value() == partition->next && partition->stopped.empty();
  }
  std::vector<bronze::PartitionClock> clocks;
  for (auto& partition : partitions_) {
    if (!partition.owned) continue;
    const bool is_proven = proven[static_cast<std::size_t>(partition.id.value())] != 0;
    const auto clock = partition.arrival.cut(is_proven ? std::optional(asked_at) : std::nullopt);
    if (!clock) continue;
    declare_held_gaps(partition, *clock);
    clocks.push_back({{options_.source, partition.id}, *clock, base::Offset(partition.next - 1)});
  }
  return clocks;
}

}  // namespace headpond::ingest
