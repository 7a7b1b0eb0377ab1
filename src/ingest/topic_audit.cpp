#include "ingest/topic_audit.h"

#include <algorithm>
#include <set>
#include <utility>

#include "bronze/ranges.h"

namespace headpond::ingest {
namespace {

// Neighbouring ranges are held against the broker as one, up to so many offsets: fingerprints add up, and a day has millions of ranges.
constexpr std::int64_t kSpanOffsets = 65'536;

// Offsets that bronze covers without a break, and what it says of them.
struct Span {
  std::int64_t first = 0, last = -1;
  std::int64_t gaps = 0;
  std::uint64_t payload_fingerprint = 0;
  std::int64_t offsets() const { return last - first + 1; }
};

// One partition while it is read.
struct Reading {
  std::vector<Span> spans;
  std::size_t at = 0;  // the span that is being read
  std::int64_t records = 0;
  std::uint64_t payload_fingerprint = 0;
  std::int64_t begin = 0;  // where reading begins
  bool out_of_range = false;
  bool done() const { return at == spans.size(); }
};

bool has_before_start(const std::vector<std::string>& kinds) {
  return std::find(kinds.begin(), kinds.end(), "before start") != kinds.end();
}

class TopicAuditor {
 public:
  TopicAuditor(kafka::Source& broker, env::Clock& clock, const TopicAuditOptions& options)
      : broker_(broker), clock_(clock), options_(options) {}

  base::Result<TopicAudit> run(env::ObjectStore& store, const std::string& table_root);

 private:
  void take(const bronze::StatedRange& stated);
  base::Result<bool> compare_topic(const bronze::TableClock& table);
  base::Result<void> ask_bounds(const bronze::TableClock& table);
  void drop_expired(base::PartitionId id, std::int64_t log_start);
  base::Result<void> read();
  base::Result<void> settle_polled();
  void close_until(base::PartitionId id, std::int64_t offset);
  void close_span(base::PartitionId id);
  void on_record(const kafka::Record& record);
  void on_event(const kafka::PartitionEvent& event);
  std::string at(base::PartitionId id, std::int64_t first, std::int64_t last) const;
  void found(const std::string& what, const std::string& where) { report_.findings.push_back({what, where}); }

  kafka::Source& broker_;
  env::Clock& clock_;
  const TopicAuditOptions& options_;
  TopicAudit report_;
  std::string topic_id_;  // as the table knows it
  bool compacted_ = false;
  std::map<std::string, std::map<base::PartitionId, Reading>> stated_;  // by source, as visited
  std::map<base::PartitionId, Reading> readings_;
  std::int64_t wanted_ = 0, read_ = 0;
  std::string refused_;
};

std::string TopicAuditor::at(base::PartitionId id, std::int64_t first, std::int64_t last) const {
  return report_.source + " partition " + std::to_string(id.value()) + ", offsets " + std::to_string(first) + "-" + std::to_string(last);
}

void TopicAuditor::take(const bronze::StatedRange& stated) {
  const auto& range = stated.range;
  auto& spans = stated_[stated.source][range.partition].spans;
  Span span{range.first.value(), range.last.value(), range.gaps, range.payload_fingerprint};
  if (range.quarter < options_.first_quarter) return;
  if (has_before_start(stated.gap_kinds) && range.first == base::Offset(0) && range.gaps > 0) {
    // The broker may still have what lies before our start: all of the gap is in front when it is of this kind alone.
    if (stated.gap_kinds.size() > 1) return;
    span.first += std::exchange(span.gaps, 0);
  }
  if (!spans.empty() && spans.back().last + 1 == span.first && spans.back().offsets() < kSpanOffsets) {
    spans.back().last = span.last;
    spans.back().gaps += span.gaps;
    spans.back().payload_fingerprint += span.payload_fingerprint;
  } else {
    spans.push_back(span);
  }
}

// Whether it is the table's topic; only then do offsets mean the same.
base::Result<bool> TopicAuditor::compare_topic(const bronze::TableClock& table) {
  TRY(const auto info, broker_.describe());
  report_.topic = info.name;
  report_.id = info.id;
  compacted_ = info.compacted;
  if (!table.topic()) return true;  // nothing was ingested yet
  report_.source = table.topic()->source();
  if (table.topic()->name != info.name) {
    found("another topic", "bronze holds topic " + table.topic()->name + ", the topology names " + info.name);
    return false;
  }
  if (!table.topic()->id.empty() && !info.id.empty() && table.topic()->id != info.id) {
    found("another topic", info.name + " was created anew: bronze has topic id " + table.topic()->id + ", the broker " + info.id +
                               "; its offsets begin again, so it is another generation (source.kafka.generation)");
    return false;
  }
  for (const auto& partition : info.partitions) report_.partitions[partition.id];
  return true;
}

base::Result<void> TopicAuditor::ask_bounds(const bronze::TableClock& table) {
  std::vector<base::PartitionId> ids;
  for (const auto& [id, partition] : report_.partitions) ids.push_back(id);
  TRY(const auto starts, broker_.log_starts(ids));
  TRY(const auto ends, broker_.log_ends(ids));
  for (auto& [id, partition] : report_.partitions) {
    if (starts.contains(id)) partition.log_start = starts.at(id);
    if (ends.contains(id)) partition.log_end = ends.at(id);
  }
  for (const auto& [key, state] : table.partitions()) {
    if (key.source != report_.source) continue;
    const auto there = report_.partitions.find(key.partition);
    const std::int64_t position = state.position.value();
    if (there == report_.partitions.end()) {
      if (position >= 0) found("partition gone", at(key.partition, 0, position) + ": the topic has no such partition");
      continue;
    }
    auto& partition = there->second;
    partition.position = state.position;
    if (partition.log_end.value() < position + 1)
      found("log cut", at(key.partition, partition.log_end.value(), position) + ": in bronze, but the broker's log ends at " +
                           std::to_string(partition.log_end.value()));
    if (position >= 0 && partition.log_start.value() > position + 1)
      found("lost range",
            at(key.partition, position + 1, partition.log_start.value() - 1) + ": deleted by the broker before they were ingested");
  }
  for (const auto& [id, partition] : report_.partitions)
    report_.behind +=
        std::max<std::int64_t>(0, partition.log_end.value() - std::max(partition.position.value() + 1, partition.log_start.value()));
  return {};
}

// What the broker no longer has whole cannot be held against it.
void TopicAuditor::drop_expired(base::PartitionId id, std::int64_t log_start) {
  auto& reading = readings_.at(id);
  const auto& spans = reading.spans;
  while (!reading.done() && spans[reading.at].first < log_start) ++reading.at;
  const std::int64_t end = report_.partitions.at(id).log_end.value();
  while (!reading.done() && reading.spans.back().last >= end) reading.spans.pop_back();  // said already: the log was cut
  reading.records = 0;
  reading.payload_fingerprint = 0;
  reading.out_of_range = false;
  reading.begin = reading.done() ? 0 : spans[reading.at].first;
}

void TopicAuditor::close_span(base::PartitionId id) {
  auto& reading = readings_.at(id);
  const auto& span = reading.spans[reading.at];
  const std::int64_t expected = span.offsets() - span.gaps;
  if (reading.records != expected && !(compacted_ && reading.records < expected))
    found("records differ", at(id, span.first, span.last) + ": the broker hands over " + std::to_string(reading.records) +
                                " records, bronze has " + std::to_string(expected));
  else if (reading.records == expected && options_.raw_kept && reading.payload_fingerprint != span.payload_fingerprint)
    found("payload differs", at(id, span.first, span.last) + ": fingerprint " + bronze::fingerprint_text(reading.payload_fingerprint) +
                                 " from the topic, " + bronze::fingerprint_text(span.payload_fingerprint) + " in bronze");
  report_.partitions.at(id).records += reading.records;
  read_ += span.offsets();
  reading.records = 0;
  reading.payload_fingerprint = 0;
  ++reading.at;
}

void TopicAuditor::close_until(base::PartitionId id, std::int64_t offset) {
  auto& reading = readings_.at(id);
  while (!reading.done() && reading.spans[reading.at].last < offset) close_span(id);
}

void TopicAuditor::on_record(const kafka::Record& record) {
  const base::PartitionId id(record.partition);
  close_until(id, record.offset);
  auto& reading = readings_.at(id);
  if (reading.done() || record.offset < reading.spans[reading.at].first) return;
  ++reading.records;
  if (record.payload.data() != nullptr) reading.payload_fingerprint += bronze::payload_fingerprint(record.offset, record.payload);
  report_.partitions.at(id).bytes += static_cast<std::int64_t>(record.payload.size());
}

void TopicAuditor::on_event(const kafka::PartitionEvent& event) {
  if (event.kind == kafka::EventKind::kRefused) refused_ = event.message;
  if (!readings_.contains(event.partition)) return;
  if (event.kind == kafka::EventKind::kEnd) close_until(event.partition, event.offset.value());
  if (event.kind == kafka::EventKind::kOutOfRange || event.kind == kafka::EventKind::kTruncated)
    readings_.at(event.partition).out_of_range = true;
}

// Ends what has been read, and begins anew where retention went past us.
base::Result<void> TopicAuditor::settle_polled() {
  std::vector<base::PartitionId> ended;
  for (auto& [id, reading] : readings_) {
    if (reading.out_of_range) {
      TRY(const auto starts, broker_.log_starts({id}));
      drop_expired(id, starts.contains(id) ? starts.at(id).value() : INT64_MAX);
      if (!reading.done()) TRY_VOID(broker_.refetch({id, base::Offset(reading.begin)}));
    }
    if (reading.done()) ended.push_back(id);
  }
  for (const auto id : ended) {
    TRY_VOID(broker_.remove(id));
    readings_.erase(id);
  }
  return {};
}

base::Result<void> TopicAuditor::read() {
  std::vector<kafka::Assignment> assignments;
  for (const auto& [id, reading] : readings_) assignments.push_back({id, base::Offset(reading.begin)});
  if (assignments.empty()) return {};
  TRY_VOID(broker_.assign(assignments));
  const kafka::Handler handler{
      this,
      [](void* context, const kafka::Record& record) {
        static_cast<TopicAuditor*>(context)->on_record(record);
        return true;
      },
      [](void* context, const kafka::PartitionEvent& event) { static_cast<TopicAuditor*>(context)->on_event(event); }};
  auto moved = clock_.monotonic(), told = moved;
  while (!readings_.empty()) {
    const auto before = std::pair(read_, readings_.size());
    const bool some = broker_.poll(base::Duration::millis(200), handler) > 0;
    if (!refused_.empty()) return base::fail(base::ErrorKind::kInvalid, refused_);
    TRY_VOID(settle_polled());
    const auto now = clock_.monotonic();
    if (some || before != std::pair(read_, readings_.size())) moved = now;
    if (now - moved > options_.patience) {
      const auto& [id, reading] = *readings_.begin();
      return base::fail(base::ErrorKind::kRetry, "the broker has handed over nothing for " +
                                                     std::to_string(options_.patience.value() / 1'000'000) + "s; waiting for " +
                                                     at(id, reading.spans[reading.at].first, reading.spans.back().last));
    }
    if (options_.progress && now - told > base::Duration::seconds(5)) {
      options_.progress(read_, wanted_);
      told = now;
    }
  }
  return {};
}

base::Result<TopicAudit> TopicAuditor::run(env::ObjectStore& store, const std::string& table_root) {
  TRY(const auto table, bronze::visit_ranges(store, table_root, [this](const bronze::StatedRange& stated) { take(stated); }));
  TRY(const bool same, compare_topic(table));
  if (!same) return std::move(report_);
  TRY_VOID(ask_bounds(table));
  for (auto& [id, reading] : stated_[report_.source])
    if (report_.partitions.contains(id)) readings_[id] = std::move(reading);
  std::vector<base::PartitionId> nothing;
  for (auto& [id, reading] : readings_) {
    drop_expired(id, report_.partitions.at(id).log_start.value());
    std::int64_t to_read = 0;
    for (std::size_t i = reading.at; i < reading.spans.size(); ++i) to_read += reading.spans[i].offsets();
    report_.partitions.at(id).expired = report_.partitions.at(id).position.value() + 1 - to_read;
    wanted_ += to_read;
    if (reading.done()) nothing.push_back(id);
  }
  for (const auto id : nothing) readings_.erase(id);
  TRY_VOID(read());
  for (const auto& [id, partition] : report_.partitions) {
    report_.records += partition.records;
    report_.bytes += partition.bytes;
  }
  return std::move(report_);
}

}  // namespace

base::Result<TopicAudit> audit_topic(kafka::Source& broker, env::ObjectStore& store, const std::string& table_root, env::Clock& clock,
                                     const TopicAuditOptions& options) {
  return TopicAuditor(broker, clock, options).run(store, table_root);
}

}  // namespace headpond::ingest
