#include "bronze/probe.h"

#include "delta/log.h"

namespace headpond::bronze {

namespace {

constexpr int kAttemptsMax = 3;

// Errors: kUnknown: a reply was lost, so this key tells nothing; another one may.
base::Result<void> probe_key(env::ObjectStore& store, const std::string& key) {
  if (auto first = store.put_if_absent(key, "first"); !first) {
    // Nobody else has this key: the store's own client has repeated a request that had won.
    if (first.error().kind == base::ErrorKind::kConflict) first.error().kind = base::ErrorKind::kUnknown;
    return first;
  }
  const auto second = store.put_if_absent(key, "second");
  if (!second && second.error().kind != base::ErrorKind::kConflict) return second;
  TRY(const auto left, store.get(key));
  if (const auto removed = store.remove(key); !removed && removed.error().kind != base::ErrorKind::kUnknown) return removed;
  if (!second && left == "first") return {};
  return base::fail(
      base::ErrorKind::kInvalid,
      store.describe() +
          " does not honour put-if-absent: two conditional writes of one key both succeeded, so two ingesters could overwrite each "
          "other; use a store that honours `If-None-Match: *` (S3, GCS, Azure, MinIO, a local directory)");
}

}  // namespace

base::Result<void> probe_put_if_absent(env::ObjectStore& store, const std::string& root, env::Random& random) {
  base::Result<void> done;
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    const auto high = random.next();
    done = probe_key(store, (root.empty() ? "" : root + "/") + "_headpond/probe/" + delta::make_uuid(high, random.next()));
    if (done || done.error().kind != base::ErrorKind::kUnknown) return done;
  }
  return base::fail(base::ErrorKind::kRetry, std::move(done.error().message));
}

}  // namespace headpond::bronze
