// The right to be the one sender, or the one engine, of a branch for a few seconds at a time.
//
// One chain of numbered objects `<root>/<12-digit number>.json`, each created by put-if-absent: a renewal and a takeover want the same
// number, so exactly one of them gets it. A takeover begins a new epoch. The holder counts from before its put, by its own monotonic clock;
// a successor waits, by its own, lease + grace from when it saw the newest object. No two clocks are compared.
//
// `holder` names the place the holder's state lives in (a token in a directory that only one process can hold). An earlier holder of the
// same name is therefore a dead process, and its lease is taken over at once.
//
//   Lease lease(store, clock, random, {.root = "pages/p/_leases/notify", .holder = token, …});
//   TRY(bool held, lease.acquire());         // false: someone else's; call again soon
//   TRY_VOID(lease.keep());                  // renews when a third is gone; kFenced: stop
//   if (lease.remaining() > timeout) send();
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "env/clock.h"
#include "env/object_store.h"

namespace headpond::lease {

struct LeaseOptions {
  std::string root;
  std::string holder;
  base::Duration lease = base::Duration::seconds(3);
  base::Duration grace = base::Duration::seconds(2);  // the longest thing begun under the lease: a request's timeout
};

class Lease {
 public:
  // Borrows all. No I/O.
  Lease(env::ObjectStore& objects, env::Clock& clock, env::Random& random, LeaseOptions options);

  // Takes the lease if it is free. Errors: kRetry: store unreachable. kCorrupt, kInvalid: an object that cannot be read.
  base::Result<bool> acquire();
  // Errors: kFenced: someone else has it; this object is of no more use. kRetry: not renewed; remaining() goes on falling.
  base::Result<void> keep();
  // Gives it up, so that a successor need not wait. Harmless when it is not held.
  base::Result<void> release();

  bool held() const { return held_; }
  // How long what is begun now may last; 0 when not held.
  base::Duration remaining() const;
  std::int64_t epoch() const { return epoch_; }

 private:
  struct Seen {
    std::int64_t number = 0, epoch = 0;
    std::string holder;
    bool released = false;
    base::Duration wait;  // lease + grace of its holder
  };
  base::Result<std::optional<Seen>> newest() const;
  base::Result<Seen> read(std::int64_t number) const;
  // Creates the next object of the chain; false: someone else did.
  base::Result<bool> put_next(bool released);

  env::ObjectStore& objects_;
  env::Clock& clock_;
  env::Random& random_;
  LeaseOptions options_;
  bool held_ = false;
  std::int64_t number_ = 0;  // of the newest object: ours when held
  std::int64_t epoch_ = 0;
  base::Duration valid_until_;                // monotonic
  std::optional<base::Duration> seen_since_;  // monotonic; of number_, while it is someone else's
};

// The token of a directory that this process alone holds; made on first use.
base::Result<std::string> holder_token(const std::string& local_directory, env::Random& random);

}  // namespace headpond::lease
