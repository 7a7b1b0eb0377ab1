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

}  // namespace

Committer::Committer(std::unique_ptr<bronze::Writer> writer, const std::vector<columns::ColumnSpec>& declared, const env::Workers& workers,
                     env::Clock& clock)
    : clock_(clock),
      writer_(std::move(writer)),
      publisher_(open_worker(workers, "ingest-publish")),
      encoder_(open_worker(workers, "ingest-encode")) {
  for (std::size_t i = 0; i < kBatches; ++i) free_.emplace_back(declared);
}

Committer::~Committer() {
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = base::Error{base::ErrorKind::kRetry, "ingest is ending"};  // tasks still waiting do nothing
}

std::optional<base::Error> Committer::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

base::Result<void> Committer::append(columns::Batch& batch) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !free_.empty() || failure_; });
  if (failure_) return std::unexpected(*failure_);
  auto full = shared(std::exchange(batch, std::move(free_.back())));
  free_.pop_back();
  lock.unlock();
  batch.source = full->source;
  encoder_->post([this, full] { encode(std::move(*full)); });
  return {};
}

void Committer::encode(columns::Batch batch) {
  base::Result<void> appended;
  if (!failure()) appended = writer_->append(batch);
  batch.reset();
  const std::lock_guard lock(mutex_);
  if (!appended && !failure_) failure_ = std::move(appended.error());
  free_.push_back(std::move(batch));
  changed_.notify_one();
}

void Committer::declare_gap(const std::string& source, base::PartitionId partition, base::Offset first, base::Offset last,
                            const std::string& kind, base::Micros arrival) {
  encoder_->post([=, this] {
    if (!failure()) writer_->declare_gap(source, partition, first, last, kind, arrival);
  });
}

void Committer::commit(bronze::CommitRequest request) {
  HP_ASSERT(!committing_);
  committing_ = true;
  asked_at_ = clock_.monotonic();
  encoder_->post([this, request = shared(std::move(request))] {
    auto cut = shared(writer_->cut());
    publisher_->post([this, request, cut] { publish(std::move(*cut), *request); });
  });
}

void Committer::publish(std::unique_ptr<bronze::Writer::Cut> cut, const bronze::CommitRequest& request) {
  if (auto error = failure()) return finish(std::unexpected(std::move(*error)));
  auto published = writer_->publish(std::move(cut), request);
  if (!published) return finish(std::unexpected(std::move(published.error())));
  finish(Done{*published, writer_->table_clock(), (clock_.monotonic() - asked_at_).to_seconds() * 1000});
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

void Committer::finish(base::Result<Done> outcome) {
  const std::lock_guard lock(mutex_);
  if (!outcome && !failure_) failure_ = outcome.error();
  done_ = std::move(outcome);
  changed_.notify_one();
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
