#include "dashboard/engine.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <mutex>

#include "base/time.h"
#include "bronze/tail.h"
#include "bronze/view.h"
#include "dashboard/batch.h"
#include "dashboard/gold.h"
#include "lease/lease.h"

namespace headpond::dashboard {
namespace {

constexpr base::Duration kCatchUpPause = base::kSecond;
constexpr double kRateMemory_s = 8;  // a rate is smoothed over about this long: commits come once a second, steps do not

// Versions read and not yet in gold.
struct Pending {
  std::vector<bronze::DataFile> files;
  std::int64_t rows = 0;
  base::Version first_version{-1};
  bool piece = false;  // they end within a gap of the log
  bool empty() const { return files.empty(); }
};

double promise_of(const spec::Topology& topology, const spec::Branch& branch) {
  double promise = 0;
  for (const auto& consumer : topology.consumers)
    for (const auto& name : branch.serves)
      if (name == consumer.name && (promise == 0 || consumer.freshness.to_seconds() < promise)) promise = consumer.freshness.to_seconds();
  return promise;
}

// What a complete minute lacks, for people.
std::string incomplete(const std::vector<bronze::Stalled>& stalled) {
  std::string text;
  for (const auto& one : stalled)
    text += (text.empty() ? "complete but for " : ", ") + one.partition.source + " partition " +
            std::to_string(one.partition.partition.value()) + " (" + one.reason + ")";
  return text;
}

class BatchEngine final : public Engine {
 public:
  BatchEngine(const spec::Topology& topology, const spec::Branch& branch, World world, Limits limits)
      : world_(std::move(world)), limits_(limits), trigger_(branch.trigger.value_or(base::kMinute)), name_(branch.name) {
    status_.branch = branch.name;
    status_.kind = "dashboard";
    status_.engine = "embedded";
    status_.state = "starting";
    status_.promise_s = promise_of(topology, branch);
  }

  base::Result<void> start(const Rollups& rollups);
  base::Result<bool> step() override;
  base::Result<void> drain() override;
  bronze::BranchStatus status() const override {
    const std::lock_guard lock(mutex_);
    return status_;
  }

 private:
  base::Result<bool> hold_lease();
  base::Result<bool> open_tail();
  base::Result<bool> read_versions();
  bool full() const {
    return pending_.piece || pending_.rows >= limits_.batch_rows_max || static_cast<int>(pending_.files.size()) >= limits_.batch_files_max;
  }
  base::Result<void> run_batch();
  base::Result<base::PositionVector> positions_behind(const std::vector<std::string>& files);
  base::Result<BatchRange> fix_range();
  base::Result<void> resume();
  base::Result<void> load_admitted();
  void reached();
  void schedule_next();
  void refresh_status();
  base::Result<void> publish();

  const World world_;
  const Limits limits_;
  const base::Duration trigger_;
  const std::string name_;
  Rollups rollups_;
  std::optional<lease::Lease> lease_;
  std::unique_ptr<sql::Engine> sql_;
  std::optional<Gold> gold_;
  std::optional<bronze::Tail> tail_;
  Pending pending_;
  base::Micros next_trigger_;  // wall clock; the first batch need not wait
  base::Version reached_version_{-1};
  std::optional<base::Micros> smallest_clock_;  // at reached_version_
  std::vector<bronze::Stalled> stalled_;
  base::Micros published_at_;
  std::int64_t rows_since_ = 0;  // read since rate_at_
  base::Duration rate_at_;
  std::int64_t late_rows_ = 0;
  mutable std::mutex mutex_;
  bronze::BranchStatus status_;
};

base::Result<void> BatchEngine::start(const Rollups& rollups) {
  rollups_ = rollups;
  std::error_code error;
  std::filesystem::create_directories(world_.local_directory, error);
  if (error)
    return base::fail(base::ErrorKind::kInvalid,
                      "cannot create " + world_.local_directory + ": " + error.message() + "; the dashboard needs it for spilling");
  TRY(const std::string token, lease::holder_token(world_.local_directory, world_.random));
  lease_.emplace(world_.lake, world_.clock, world_.random,
                 lease::LeaseOptions{.root = world_.paths.gold(name_) + "/_leases/engine",
                                     .holder = "embedded:" + token,
                                     .lease = limits_.lease,
                                     .grace = limits_.lease_grace});
  TRY(sql_, sql::Engine::open(
                {.threads = limits_.threads, .memory_bytes = limits_.memory_bytes, .spill_directory = world_.local_directory + "/spill"},
                &world_.lake));
  TRY(auto gold, Gold::open(world_.lake, world_.paths.gold(name_), name_, rollups_, world_.clock, world_.random, *sql_));
  gold_.emplace(std::move(gold));
  return load_admitted();
}

base::Result<void> BatchEngine::load_admitted() {
  const auto files = gold_->files("key");
  TRY_VOID(sql_->query(create_admitted_sql()));
  if (files.empty()) return {};
  TRY_VOID(sql_->query("INSERT INTO admitted SELECT DISTINCT rollup, key FROM read_parquet(" + sql::list_literal(files) +
                       ", union_by_name = true, hive_partitioning = false)"));
  return {};
}

base::Result<bool> BatchEngine::open_tail() {
  if (tail_) return true;
  auto tail = bronze::Tail::open(world_.lake, world_.paths.bronze, gold_->last().bronze_version,
                                 {.files_max = static_cast<std::size_t>(std::min(limits_.gap_files_max, limits_.batch_files_max)),
                                  .rows_max = limits_.batch_rows_max});
  if (!tail && tail.error().kind == base::ErrorKind::kNotFound) return false;
  if (!tail) return std::unexpected(std::move(tail).error());
  tail_.emplace(std::move(*tail));
  pending_ = {};
  reached();
  return true;
}

// Gold holds every row of the versions read so far: their clocks now say which minutes are complete.
void BatchEngine::reached() {
  reached_version_ = tail_->version();
  smallest_clock_ = tail_->clock().smallest_unstalled();
  stalled_ = tail_->clock().stalled();
}

base::Result<bool> BatchEngine::hold_lease() {
  if (!lease_->held()) return lease_->acquire();
  TRY_VOID(lease_->keep());
  return true;
}

base::Result<bool> BatchEngine::step() {
  TRY(const bool mine, hold_lease());
  if (!mine) {  // the cursor is the holder's to publish
    const std::lock_guard lock(mutex_);
    status_.state = "waiting for the lease";
    status_.updated_at = world_.clock.now();
    return false;
  }
  TRY(const bool exists, open_tail());
  if (!exists) {
    refresh_status();
    return false;
  }
  TRY(bool more, read_versions());
  // A batch that is due still takes everything that is there, so it first reads to the newest version.
  if (!pending_.empty() && (full() || (!more && world_.clock.now() >= next_trigger_))) {
    const bool whole = !full();
    TRY_VOID(run_batch());
    if (whole) schedule_next();
    more = more || !whole;
  }
  refresh_status();
  // A status that cannot be written is no reason to stop; the next one will say the same.
  if (auto published = publish(); !published && published.error().kind == base::ErrorKind::kCorrupt)
    return std::unexpected(published.error());
  return more;
}

base::Result<bool> BatchEngine::read_versions() {
  for (int i = 0; i < limits_.versions_per_step_max; ++i) {
    if (full()) return true;
    TRY(auto step, tail_->next());
    if (!step) return false;
    if (pending_.empty()) pending_.first_version = step->gap ? gold_->last().bronze_version.next() : step->version;
    pending_.piece = step->rest_from.has_value();
    for (auto& file : step->files) {
      pending_.rows += file.rows;
      rows_since_ += file.rows;
      pending_.files.push_back(std::move(file));
    }
    if (pending_.empty()) reached();
  }
  return true;
}

// Behind by more than a trigger, batches follow each other as fast as versions come; else they begin on whole minutes of the wall clock.
void BatchEngine::schedule_next() {
  const auto now = world_.clock.now();
  const bool behind = !smallest_clock_ || *smallest_clock_ < now - trigger_;
  next_trigger_ = behind ? now + kCatchUpPause : base::floor_to(now, trigger_) + trigger_;
}

// What gold has when it has the pending files, too: between two pieces of a gap only their rows can tell.
base::Result<base::PositionVector> BatchEngine::positions_behind(const std::vector<std::string>& files) {
  auto positions = tail_->clock().positions();
  if (!pending_.piece) return positions;
  const auto take = [&](const base::SourcePartition& where, base::Offset offset) {
    auto& position = positions.try_emplace(where, offset).first->second;
    position = std::max(position, offset);
  };
  for (const auto& [where, offset] : gold_->last().positions) take(where, offset);
  TRY(const auto found, sql_->query(bronze::last_offsets_query(bronze::scan_expression(files, tail_->metadata().schema))));
  for (const auto& row : found.rows)
    take({row[0].as_text(), base::PartitionId(static_cast<std::int32_t>(row[1].as_int()))}, base::Offset(row[2].as_int()));
  return positions;
}

base::Result<BatchRange> BatchEngine::fix_range() {
  auto files = bronze::scan_paths(world_.lake, world_.paths.bronze, pending_.files);
  TRY(auto after, positions_behind(files));
  return BatchRange{.batch_id = gold_->last().batch_id + 1,
                    .before = gold_->last().positions,
                    .after = std::move(after),
                    .first_version = pending_.first_version,
                    .last_version = tail_->version(),
                    .files = std::move(files),
                    .schema = tail_->metadata().schema,
                    .started_at = world_.clock.now()};
}

base::Result<void> BatchEngine::run_batch() {
  const auto began = world_.clock.monotonic();
  // Another engine's batch is seen before the work is done twice, not only when it is committed.
  const auto known = gold_->last().batch_id;
  TRY_VOID(gold_->refresh());
  if (gold_->last().batch_id != known) return resume();
  TRY(const auto range, fix_range());
  world_.failpoints.reach("dashboard.after_range");
  TRY(auto files, compute_batch(range, rollups_, *gold_, *sql_, world_.local_directory));
  if (files.rows > 0) {
    TRY_VOID(lease_->keep());  // a batch may outlast the lease: then another's may be there
    world_.failpoints.reach("dashboard.before_commit");
    const auto high = world_.random.next();
    const auto txn_id = delta::make_uuid(high, world_.random.next());
    TRY(const auto outcome, gold_->commit(std::move(files.adds), range.batch_id, txn_id));
    if (outcome == CommitOutcome::kOvertaken) return resume();
    if (files.new_keys > 0) TRY_VOID(load_admitted());
  }
  late_rows_ += files.late;
  pending_ = {};
  reached();
  const std::lock_guard lock(mutex_);
  status_.figures["batch_id"] = static_cast<double>(range.batch_id);
  status_.figures["batch_rows"] = static_cast<double>(files.rows);
  status_.figures["batch_ms"] = static_cast<double>((world_.clock.monotonic() - began).value()) / 1000.0;
  return {};
}

// Another engine took this batch's place: go on from what it committed.
base::Result<void> BatchEngine::resume() {
  tail_.reset();
  pending_ = {};
  return load_admitted();
}

void BatchEngine::refresh_status() {
  const auto passed = world_.clock.monotonic() - rate_at_;
  const std::lock_guard lock(mutex_);
  if (passed >= base::kSecond) {
    const auto rate = static_cast<double>(rows_since_) / passed.to_seconds();
    const auto [known, first] = status_.figures.emplace("rows_per_s", rate);
    if (!first) known->second += (rate - known->second) * (1 - std::exp(-passed.to_seconds() / kRateMemory_s));
    rows_since_ = 0;
    rate_at_ = world_.clock.monotonic();
  }
  status_.state = tail_ ? "running" : "starting";
  status_.version = reached_version_;
  status_.durable_version = reached_version_;
  status_.updated_at = world_.clock.now();
  if (smallest_clock_) status_.complete_until = base::floor_to(*smallest_clock_ - rollups_.allowed_lateness, base::kMinute);
  status_.figures["pending_rows"] = static_cast<double>(pending_.rows);
  status_.figures["late_rows"] = static_cast<double>(late_rows_);
  status_.figures["stalled_partitions"] = static_cast<double>(stalled_.size());
  status_.message = incomplete(stalled_);
}

base::Result<void> BatchEngine::publish() {
  const auto now = world_.clock.now();
  if (published_at_ + bronze::publish_every(world_.lake, world_.paths.bronze) > now && published_at_ <= now) return {};
  published_at_ = now;
  return bronze::publish_status(world_.lake, world_.paths.bronze, status());
}

base::Result<void> BatchEngine::drain() {
  {
    const std::lock_guard lock(mutex_);
    status_.state = "stopped";
    status_.updated_at = world_.clock.now();
  }
  if (!tail_ || !lease_->held()) return lease_->release();
  TRY_VOID(bronze::publish_status(world_.lake, world_.paths.bronze, status()));
  return lease_->release();
}

}  // namespace

base::Result<std::unique_ptr<Engine>> Engine::open(const spec::Topology& topology, const spec::Branch& branch, World world, Limits limits) {
  TRY(const auto rollups, resolve_rollups(branch, topology.bronze));
  auto engine = std::make_unique<BatchEngine>(topology, branch, std::move(world), limits);
  TRY_VOID(engine->start(rollups));
  return engine;
}

}  // namespace headpond::dashboard
