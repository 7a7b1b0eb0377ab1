#include "ingest/committer.h"

#include <utility>

namespace headpond::ingest {
namespace {

std::unique_ptr<env::Worker> open_worker(const env::Workers& workers, const char* name) {
  return workers ? workers(name) : env::inline_worker();
}

// std::function wants what it holds to be copyable.
template <class T>
std::shared_ptr<T> shared(T value) {
  return std::make_shared<T>(std::move(value));
}

constexpr int kTickBits = 14;  // 16 ms

base::Micros micros_of(std::int64_t tick) {
  return base::Micros((tick << kTickBits) + (1 << (kTickBits - 1)));
}

// Neighbours come from one producer's batch, so most share a tick.
void count_produced(const columns::Batch& batch, std::map<std::int64_t, std::int64_t>& by_tick) {
  std::int64_t tick = -1, rows = 0;
  for (std::size_t i = 0; i < batch.rows(); ++i) {
    const auto timestamp = batch.kafka_timestamp[i];
    if (timestamp < 0) continue;
    if (timestamp >> kTickBits != tick) {
      if (rows > 0) by_tick[tick] += rows;
      tick = timestamp >> kTickBits;
      rows = 0;
    }
    ++rows;
  }
  if (rows > 0) by_tick[tick] += rows;
}

}  // namespace

Committer::Committer(std::unique_ptr<bronze::Writer> writer, const std::vector<columns::ColumnSpec>& declared, const env::Workers& workers,
                     env::Clock& clock, std::size_t lanes)
    : clock_(clock), writer_(std::move(writer)), publisher_(open_worker(workers, "ingest-publish")), lanes_(lanes) {
  for (std::size_t i = 0; i < lanes; ++i) {
    lanes_[i].stage = &writer_->stage(i);
    for (std::size_t k = 0; k < kBatches; ++k) lanes_[i].free.emplace_back(declared);
    if (lanes > 1) lanes_[i].closer = open_worker(workers, "ingest-close");
    lanes_[i].encoder = open_worker(workers, "ingest-encode");
  }
}

Committer::~Committer() {
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = base::Error{base::ErrorKind::kRetry, "ingest is ending"};  // tasks still waiting do nothing
}

std::optional<base::Error> Committer::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

base::Result<void> Committer::append(columns::Batch& batch, std::size_t index) {
  auto& lane = lanes_[index];
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !lane.free.empty() || failure_; });
  if (failure_) return std::unexpected(*failure_);
  auto full = shared(std::exchange(batch, std::move(lane.free.back())));
  lane.free.pop_back();
  lock.unlock();
  batch.source = full->source;
  lane.encoder->post([this, &lane, full] { encode(lane, std::move(*full)); });
  return {};
}

void Committer::encode(Lane& lane, columns::Batch batch) {
  base::Result<void> appended;
  if (!failure()) appended = lane.stage->append(batch);
  count_produced(batch, lane.produced);
  lane.memory.store(lane.stage->memory(), std::memory_order_relaxed);
  batch.reset();
  const std::lock_guard lock(mutex_);
  if (!appended && !failure_) failure_ = std::move(appended.error());
  lane.free.push_back(std::move(batch));
  changed_.notify_all();
}

void Committer::declare_gap(const std::string& source, base::PartitionId partition, base::Offset first, base::Offset last,
                            const std::string& kind, base::Micros arrival, std::size_t lane) {
  lanes_[lane].encoder->post([=, this] {
    if (!failure()) lanes_[lane].stage->declare_gap(source, partition, first, last, kind, arrival);
  });
}

std::size_t Committer::staged_memory() const {
  std::size_t sum = 0;
  for (const auto& lane : lanes_) sum += lane.memory.load(std::memory_order_relaxed);
  return sum;
}

void Committer::commit(bronze::CommitRequest request) {
  HP_ASSERT(!committing_);
  committing_ = true;
  auto commit = std::make_shared<UnderWay>();
  commit->request = std::move(request);
  commit->cuts.resize(lanes_.size());
  commit->cuts_to_come = lanes_.size();
  commit->begun = clock_.monotonic();
  for (std::size_t i = 0; i < lanes_.size(); ++i) lanes_[i].encoder->post([this, i, commit] { cut(i, commit); });
}

void Committer::cut(std::size_t index, const std::shared_ptr<UnderWay>& commit) {
  auto& lane = lanes_[index];
  commit->cuts[index] = lane.stage->cut();
  lane.memory.store(0, std::memory_order_relaxed);
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [tick, rows] : std::exchange(lane.produced, {})) commit->produced[tick] += rows;
    commit->encoded = clock_.monotonic();
  }
  if (lane.closer == nullptr) return hand_over(commit);
  lane.closer->post([this, index, commit] {
    const auto closed = failure() ? base::Result<void>() : commit->cuts[index]->close();
    if (!closed) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = closed.error();
    }
    hand_over(commit);
  });
}

// The last lane's cut completes the commit.
void Committer::hand_over(const std::shared_ptr<UnderWay>& commit) {
  {
    const std::lock_guard lock(mutex_);
    if (--commit->cuts_to_come > 0) return;
  }
  publisher_->post([this, commit] { publish(*commit); });
}

void Committer::publish(UnderWay& commit) {
  if (auto error = failure()) return finish(std::unexpected(std::move(*error)));
  const auto closed = clock_.monotonic();
  auto published = writer_->publish(std::move(commit.cuts), commit.request);
  if (!published) return finish(std::unexpected(std::move(published.error())));
  published->files_ms += (closed - commit.encoded).to_seconds() * 1000;
  Produced produced;
  for (const auto& [tick, rows] : commit.produced) produced.emplace_back(micros_of(tick), rows);
  finish(Done{.result = *published,
              .table = writer_->table_clock(),
              .committed = true,
              .ms = (clock_.monotonic() - commit.begun).to_seconds() * 1000,
              .encode_ms = (commit.encoded - commit.begun).to_seconds() * 1000,
              .produced = std::move(produced)});
}

void Committer::follow() {
  HP_ASSERT(!committing_);
  committing_ = true;
  publisher_->post([this] {
    if (auto error = failure()) return finish(std::unexpected(std::move(*error)));
    if (auto followed = writer_->follow(); !followed) return finish(std::unexpected(std::move(followed.error())));
    finish(Done{.result = {.version = writer_->version()}, .table = writer_->table_clock()});
  });
}

void Committer::keep_up() {
  publisher_->post([this] {
    if (failure()) return;
    const auto followed = writer_->follow();
    if (followed || followed.error().kind == base::ErrorKind::kRetry || followed.error().kind == base::ErrorKind::kUnknown) return;
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = followed.error();
    changed_.notify_all();
  });
}

void Committer::finish(base::Result<Done> outcome) {
  const std::lock_guard lock(mutex_);
  if (!outcome && !failure_) failure_ = outcome.error();
  done_ = std::move(outcome);
  changed_.notify_all();
}

std::optional<base::Result<Committer::Done>> Committer::take() {
  const std::lock_guard lock(mutex_);
  if (!done_) return std::nullopt;
  committing_ = false;
  return std::exchange(done_, std::nullopt);
}

base::Result<Committer::Done> Committer::wait() {
  HP_ASSERT(committing_);
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return done_.has_value(); });
  }
  return *take();
}

}  // namespace headpond::ingest
