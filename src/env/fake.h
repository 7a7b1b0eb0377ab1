// A fake world for tests: settable clock, seeded random, a store in memory, and a store that fails where a test says.
//
//   FakeClock clock; MemoryStore memory; FaultyStore store(memory);
//   store.fail_at(k, Fault::kDieBefore);   // the k-th mutating call from now, counted from 1
//
// Only tests include this.
#pragma once

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "env/clock.h"
#include "env/failpoints.h"
#include "env/http.h"
#include "env/object_store.h"

namespace headpond::env {

// Threads: any.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(base::Micros now = base::Micros(1'795'000'000'000'000)) : now_(now.value()) {}
  base::Micros now() override { return base::Micros(now_.load()); }
  base::Duration monotonic() override { return base::Duration(monotonic_.load()); }
  // Both clocks pass on.
  void advance(base::Duration d) {
    now_ += d.value();
    monotonic_ += d.value();
  }
  // Someone sets the wall clock; the monotonic one does not notice.
  void set(base::Micros now) { now_ = now.value(); }
  void set_monotonic(base::Duration d) { monotonic_ = d.value(); }

 private:
  std::atomic<std::int64_t> now_;
  std::atomic<std::int64_t> monotonic_{1'000'000'000};
};

// splitmix64.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed = 1) : state_(seed) {}
  std::uint64_t next() override {
    std::uint64_t z = state_.fetch_add(0x9E3779B97F4A7C15u) + 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

 private:
  std::atomic<std::uint64_t> state_;
};

// Counts hits; runs `on_reach` if set.
class FakeFailpoints final : public Failpoints {
 public:
  void reach(std::string_view name) override {
    ++hits[std::string(name)];
    if (on_reach) on_reach(name);
  }
  std::map<std::string, int> hits;
  std::function<void(std::string_view)> on_reach;
};

// Threads: any.
class MemoryStore final : public ObjectStore {
 public:
  // Times of modification come from `clock` (borrowed), or are 0.
  explicit MemoryStore(Clock* clock = nullptr) : clock_(clock) {}

  base::Result<std::string> get(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    const auto it = objects_.find(path);
    if (it == objects_.end()) return not_found(path);
    return it->second.bytes;
  }
  base::Result<std::string> get_range(const std::string& path, std::int64_t offset, std::int64_t length) override {
    TRY(const std::string all, get(path));
    const auto from = std::min(all.size(), static_cast<std::size_t>(offset));
    return all.substr(from, static_cast<std::size_t>(length));
  }
  base::Result<ObjectMeta> head(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    const auto it = objects_.find(path);
    if (it == objects_.end()) return not_found(path);
    return meta(*it);
  }
  base::Result<void> put(const std::string& path, std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    objects_[path] = {std::string(bytes), clock_ == nullptr ? base::Micros() : clock_->now()};
    return {};
  }
  base::Result<void> put_if_absent(const std::string& path, std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    const Object object{std::string(bytes), clock_ == nullptr ? base::Micros() : clock_->now()};
    if (!objects_.emplace(path, object).second) return base::fail(base::ErrorKind::kConflict, path + " exists already");
    return {};
  }
  base::Result<std::vector<ObjectMeta>> list(const std::string& prefix, const std::string& start_after = "",
                                             std::size_t limit = 0) override {
    const std::lock_guard lock(mutex_);
    std::vector<ObjectMeta> found;
    for (auto it = objects_.lower_bound(prefix); it != objects_.end() && it->first.starts_with(prefix); ++it) {
      if (it->first <= start_after) continue;
      if (limit != 0 && found.size() == limit) break;
      found.push_back(meta(*it));
    }
    return found;
  }
  base::Result<void> remove(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    objects_.erase(path);
    return {};
  }
  base::Result<std::unique_ptr<WriteStream>> open_write(const std::string& path) override { return std::make_unique<Stream>(*this, path); }
  std::string describe() const override { return "memory://"; }
  std::optional<std::string> local_path(const std::string&) const override { return std::nullopt; }

 private:
  struct Object {
    std::string bytes;
    base::Micros modified;
  };
  class Stream final : public WriteStream {
   public:
    Stream(MemoryStore& store, std::string path) : store_(store), path_(std::move(path)) {}
    base::Result<void> append(std::string_view bytes) override {
      bytes_ += bytes;
      return {};
    }
    base::Result<void> close() override { return store_.put(path_, bytes_); }
    std::int64_t sent() const override { return static_cast<std::int64_t>(bytes_.size()); }

   private:
    MemoryStore& store_;
    std::string path_, bytes_;
  };
  static std::unexpected<base::Error> not_found(const std::string& path) {
    return base::fail(base::ErrorKind::kNotFound, path + " does not exist");
  }
  static ObjectMeta meta(const std::pair<const std::string, Object>& entry) {
    return {entry.first, static_cast<std::int64_t>(entry.second.bytes.size()), entry.second.modified};
  }

  Clock* clock_;
  std::mutex mutex_;
  std::map<std::string, Object> objects_;
};

enum class Fault {
  kRefuse,     // this call fails with kRetry and has no effect; later ones work
  kLostReply,  // this call takes effect but fails with kUnknown; later ones work
  kDieBefore,  // no effect; this and every later call, reads too, fails: the process is dead
  kDieAfter,   // takes effect; this and every later call fails
};

// Wraps a store (borrowed). put, put_if_absent, remove and a stream's close are mutating calls. Threads: one at a time.
class FaultyStore final : public ObjectStore {
 public:
  explicit FaultyStore(ObjectStore& inner) : inner_(inner) {}

  // The k-th mutating call from now, from 1, meets `fault`. Replaces an earlier plan.
  void fail_at(std::int64_t k, Fault fault) {
    fault_at_ = mutations_ + k;
    fault_ = fault;
  }
  // All calls whose path starts with `prefix` are refused until it is set to "".
  void refuse(std::string prefix) { refused_ = std::move(prefix); }
  std::int64_t mutations() const { return mutations_; }
  bool dead() const { return dead_; }
  void revive() {
    dead_ = false;
    fault_at_ = 0;
  }

  base::Result<std::string> get(const std::string& path) override {
    TRY_VOID(alive(path));
    return inner_.get(path);
  }
  base::Result<std::string> get_range(const std::string& path, std::int64_t offset, std::int64_t length) override {
    TRY_VOID(alive(path));
    return inner_.get_range(path, offset, length);
  }
  base::Result<ObjectMeta> head(const std::string& path) override {
    TRY_VOID(alive(path));
    return inner_.head(path);
  }
  base::Result<void> put(const std::string& path, std::string_view bytes) override {
    return mutate(path, [&] { return inner_.put(path, bytes); });
  }
  base::Result<void> put_if_absent(const std::string& path, std::string_view bytes) override {
    return mutate(path, [&] { return inner_.put_if_absent(path, bytes); });
  }
  base::Result<std::vector<ObjectMeta>> list(const std::string& prefix, const std::string& start_after = "",
                                             std::size_t limit = 0) override {
    TRY_VOID(alive(prefix));
    return inner_.list(prefix, start_after, limit);
  }
  base::Result<void> remove(const std::string& path) override {
    return mutate(path, [&] { return inner_.remove(path); });
  }
  base::Result<std::unique_ptr<WriteStream>> open_write(const std::string& path) override {
    TRY_VOID(alive(path));
    TRY(auto stream, inner_.open_write(path));
    return std::make_unique<Stream>(*this, path, std::move(stream));
  }
  std::string describe() const override { return inner_.describe(); }
  std::optional<std::string> local_path(const std::string& path) const override { return inner_.local_path(path); }

 private:
  class Stream final : public WriteStream {
   public:
    Stream(FaultyStore& store, std::string path, std::unique_ptr<WriteStream> inner)
        : store_(store), path_(std::move(path)), inner_(std::move(inner)) {}
    base::Result<void> append(std::string_view bytes) override {
      TRY_VOID(store_.alive(path_));
      return inner_->append(bytes);
    }
    base::Result<void> close() override {
      return store_.mutate(path_, [&] { return inner_->close(); });
    }
    std::int64_t sent() const override { return inner_->sent(); }

   private:
    FaultyStore& store_;
    std::string path_;
    std::unique_ptr<WriteStream> inner_;
  };

  base::Result<void> alive(const std::string& path) const {
    const bool refused = !refused_.empty() && path.starts_with(refused_);
    if (dead_ || refused) return base::fail(base::ErrorKind::kRetry, path + ": the store does not answer (a planted fault)");
    return {};
  }

  template <class Call>
  base::Result<void> mutate(const std::string& path, Call call) {
    TRY_VOID(alive(path));
    if (++mutations_ != fault_at_) return call();
    if (fault_ == Fault::kLostReply || fault_ == Fault::kDieAfter) TRY_VOID(call());
    dead_ = fault_ == Fault::kDieBefore || fault_ == Fault::kDieAfter;
    const auto kind = fault_ == Fault::kRefuse ? base::ErrorKind::kRetry : base::ErrorKind::kUnknown;
    return base::fail(kind, path + ": no answer (a planted fault)");
  }

  ObjectStore& inner_;
  std::int64_t mutations_ = 0;
  std::int64_t fault_at_ = 0;
  Fault fault_ = Fault::kRefuse;
  bool dead_ = false;
  std::string refused_;
};

// Records each request; answers with what `respond` says, 200 by default. Threads: one at a time.
class FakeHttpClient final : public HttpClient {
 public:
  base::Result<HttpResponse> send(const HttpRequest& request) override {
    requests.push_back(request);
    if (respond) return respond(request);
    return HttpResponse{.status = 200, .body = "", .headers = {}};
  }
  std::deque<HttpRequest> requests;
  std::function<base::Result<HttpResponse>(const HttpRequest&)> respond;
};

}  // namespace headpond::env
