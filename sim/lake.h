// The object store of a run, and each process's view of it: latency, refusals, time-outs before and after success, a client that repeats a
// conditional put which has won, and writes that land long after their process is dead.
//
// Threads: one at a time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/fake.h"
#include "env/object_store.h"
#include "sim/dice.h"
#include "sim/plants.h"
#include "sim/trace.h"

namespace headpond::sim {

// What is really there.
class Lake {
 public:
  // `landed`: an object was created or replaced by `instance`.
  using Landed = std::function<void(const std::string& path, const std::string& bytes, int instance, bool replaced)>;

  explicit Lake(Landed landed) : landed_(std::move(landed)) {}
  env::MemoryStore& store() { return store_; }
  base::Result<void> write(const std::string& path, std::string_view bytes, bool only_if_absent, int instance);
  void write_later(std::int64_t due_us, std::string path, std::string bytes, bool only_if_absent, int instance);
  // What is due lands now. Returns how many did.
  int land(std::int64_t now_us);
  bool anything_on_its_way() const { return !late_.empty(); }

 private:
  struct Late {
    std::string path, bytes;
    bool only_if_absent;
    int instance;
  };
  env::MemoryStore store_;
  Landed landed_;
  std::multimap<std::int64_t, Late> late_;
};

// What a process's calls meet. Borrowed.
struct LakeWorld {
  Lake& lake;
  Dice& dice;
  Trace& trace;
  const std::int64_t& now_us;
  const double& fault_rate;
  Plant plant;
  std::function<void(bool quick)> on_call;  // before each call: time passes, the process may die, others may run
};

class LakeView final : public env::ObjectStore {
 public:
  LakeView(LakeWorld world, int instance, const bool& dead) : world_(std::move(world)), instance_(instance), dead_(dead) {}

  base::Result<std::string> get(const std::string& path) override;
  base::Result<std::string> get_range(const std::string& path, std::int64_t offset, std::int64_t length) override;
  base::Result<env::ObjectMeta> head(const std::string& path) override;
  base::Result<void> put(const std::string& path, std::string_view bytes) override { return mutate(path, bytes, false); }
  base::Result<void> put_if_absent(const std::string& path, std::string_view bytes) override { return mutate(path, bytes, true); }
  base::Result<std::vector<env::ObjectMeta>> list(const std::string& prefix, const std::string& start_after, std::size_t limit) override;
  base::Result<void> remove(const std::string& path) override;
  base::Result<std::unique_ptr<env::WriteStream>> open_write(const std::string& path) override;
  std::string describe() const override { return "sim://"; }
  std::optional<std::string> local_path(const std::string&) const override { return std::nullopt; }

 private:
  class Stream;
  base::Result<void> begin(const std::string& path, bool quick = false);
  base::Result<void> mutate(const std::string& path, std::string_view bytes, bool only_if_absent);
  base::Result<void> apply(const std::string& path, std::string_view bytes, bool only_if_absent);
  std::string bent(const std::string& path, std::string bytes);

  LakeWorld world_;
  int instance_;
  const bool& dead_;
  std::string lost_reply_;    // kLostReplyIsLoss: the path whose reply was lost last
  std::string published_;     // kOldRowsAgain: the batch published last
  bool log_written_ = false;  // by this process: its opening is over
};

}  // namespace headpond::sim
