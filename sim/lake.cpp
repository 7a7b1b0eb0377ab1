#include "sim/lake.h"

#include "sim/bend.h"

namespace headpond::sim {
namespace {

using base::ErrorKind;

bool is_log(const std::string& path) {
  return path.find("/_delta_log/") != std::string::npos;
}

std::unexpected<base::Error> no_answer(const std::string& path, ErrorKind kind) {
  return base::fail(kind, path + ": no answer from the store");
}

}  // namespace

base::Result<void> Lake::write(const std::string& path, std::string_view bytes, bool only_if_absent, int instance) {
  const bool there = store_.head(path).has_value();
  if (only_if_absent) {
    TRY_VOID(store_.put_if_absent(path, bytes));
  } else {
    TRY_VOID(store_.put(path, bytes));
  }
  landed_(path, std::string(bytes), instance, there);
  return {};
}

void Lake::write_later(std::int64_t due_us, std::string path, std::string bytes, bool only_if_absent, int instance) {
  late_.emplace(due_us, Late{std::move(path), std::move(bytes), only_if_absent, instance});
}

int Lake::land(std::int64_t now_us) {
  int count = 0;
  while (!late_.empty() && late_.begin()->first <= now_us) {
    const auto late = late_.extract(late_.begin()).mapped();
    static_cast<void>(write(late.path, late.bytes, late.only_if_absent, late.instance));
    ++count;
  }
  return count;
}

class LakeView::Stream final : public env::WriteStream {
 public:
  Stream(LakeView& view, std::string path) : view_(view), path_(std::move(path)) {}
  base::Result<void> append(std::string_view bytes) override {
    if (view_.dead_ || view_.world_.dice.chance(view_.world_.fault_rate / 4)) return no_answer(path_, ErrorKind::kRetry);
    if (view_.world_.plant == Plant::kPartialAppend && ++appends_ == 2) bytes = bytes.substr(0, bytes.size() / 2);
    bytes_ += bytes;
    return {};
  }
  base::Result<void> close() override {
    if (view_.world_.plant == Plant::kLostFile && view_.world_.dice.chance(0.1)) return {};
    return view_.mutate(path_, bytes_, false);
  }

 private:
  LakeView& view_;
  std::string path_, bytes_;
  int appends_ = 0;
};

base::Result<void> LakeView::begin(const std::string& path, bool quick) {
  world_.on_call(quick);
  if (dead_ || world_.dice.chance(world_.fault_rate)) return no_answer(path, ErrorKind::kRetry);
  return {};
}

base::Result<std::string> LakeView::get(const std::string& path) {
  // Catching up with the log takes long enough as it is; only its newest entry is read at leisure.
  const auto later =
      is_log(path) ? world_.lake.store().list(path.substr(0, path.rfind('/') + 1), path, 1) : base::Result<std::vector<env::ObjectMeta>>();
  TRY_VOID(begin(path, later && !later->empty()));
  TRY(auto bytes, world_.lake.store().get(path));
  if (!is_log(path)) return bytes;
  if (world_.plant == Plant::kLostReplyIsLoss && path == lost_reply_) return without_batches(bytes);
  if (!log_written_ && (world_.plant == Plant::kResumedLow || world_.plant == Plant::kResumedHigh)) {
    // The newest version with rows, as it is being read at open.
    if (later && later->empty()) return shifted_positions(bytes, world_.plant == Plant::kResumedLow ? -1 : 1);
  }
  return bytes;
}

base::Result<std::string> LakeView::get_range(const std::string& path, std::int64_t offset, std::int64_t length) {
  TRY_VOID(begin(path));
  return world_.lake.store().get_range(path, offset, length);
}

base::Result<env::ObjectMeta> LakeView::head(const std::string& path) {
  TRY_VOID(begin(path));
  return world_.lake.store().head(path);
}

base::Result<std::vector<env::ObjectMeta>> LakeView::list(const std::string& prefix, const std::string& start_after, std::size_t limit) {
  TRY_VOID(begin(prefix));
  return world_.lake.store().list(prefix, start_after, limit);
}

base::Result<void> LakeView::remove(const std::string& path) {
  TRY_VOID(begin(path));
  return world_.lake.store().remove(path);
}

base::Result<std::unique_ptr<env::WriteStream>> LakeView::open_write(const std::string& path) {
  TRY_VOID(begin(path));
  return std::make_unique<Stream>(*this, path);
}

base::Result<void> LakeView::apply(const std::string& path, std::string_view bytes, bool only_if_absent) {
  const bool careless = world_.plant == Plant::kPutNotConditional && is_log(path);
  return world_.lake.write(path, bytes, only_if_absent && !careless, instance_);
}

// What the process wants to write, as a bug of it would have written it.
std::string LakeView::bent(const std::string& path, std::string bytes) {
  if (!is_log(path)) return bytes;
  log_written_ = true;
  auto& dice = world_.dice;
  if (world_.plant == Plant::kClockBack && dice.chance(0.1)) return earlier_clocks(bytes, 60'000'000);
  if (world_.plant == Plant::kOldRowsAgain) {
    if (!published_.empty() && dice.chance(0.1)) return with_batches_of(bytes, published_);
    if (has_batches(bytes)) published_ = bytes;
  }
  return bytes;
}

base::Result<void> LakeView::mutate(const std::string& path, std::string_view wanted, bool only_if_absent) {
  auto& dice = world_.dice;
  const auto bytes = bent(path, std::string(wanted));
  world_.on_call(false);
  const auto later = world_.now_us + dice.below(20'000'000);
  if (dead_) {  // it died in this call: the request may have been sent
    const auto fate = dice.below(4);
    if (fate == 1) static_cast<void>(apply(path, bytes, only_if_absent));
    if (fate == 2) world_.lake.write_later(later, path, bytes, only_if_absent, instance_);
    return no_answer(path, ErrorKind::kUnknown);
  }
  if (!dice.chance(world_.fault_rate)) return apply(path, bytes, only_if_absent);
  const auto fault = dice.below(5);
  world_.trace.line(world_.now_us, "instance {} put {}: fault {}", instance_, path, fault);
  switch (fault) {
    case 0: return no_answer(path, ErrorKind::kRetry);  // refused: no effect
    case 1: break;                                      // timed out before it had an effect
    case 2: world_.lake.write_later(later, path, bytes, only_if_absent, instance_); break;
    default: {
      const auto done = apply(path, bytes, only_if_absent);
      if (!done) return done;
      lost_reply_ = path;
      // The client of an object store repeats a request without an answer by itself.
      if (fault == 4 && only_if_absent) return base::fail(ErrorKind::kConflict, path + " exists already");
    }
  }
  return no_answer(path, ErrorKind::kUnknown);
}

}  // namespace headpond::sim
