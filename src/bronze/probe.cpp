#include "bronze/probe.h"

#include "delta/log.h"

namespace headpond::bronze {

base::Result<void> probe_put_if_absent(env::ObjectStore& store, const std::string& root, env::Random& random) {
  const auto high = random.next();
  const auto key = (root.empty() ? "" : root + "/") + "_headpond/probe/" + delta::make_uuid(high, random.next());
  if (auto first = store.put_if_absent(key, "first"); !first) {
    if (first.error().kind != base::ErrorKind::kUnknown) return first;
    return base::fail(base::ErrorKind::kRetry, std::move(first.error().message));
  }
  auto second = store.put_if_absent(key, "second");
  const auto left = store.get(key);
  const bool lost = !second && second.error().kind == base::ErrorKind::kConflict;
  if (!second && !lost) return base::fail(base::ErrorKind::kRetry, std::move(second.error().message));
  if (!left) return base::fail(base::ErrorKind::kRetry, left.error().message);
  TRY_VOID(store.remove(key));
  if (lost && *left == "first") return {};
  return base::fail(
      base::ErrorKind::kInvalid,
      store.describe() +
          " does not honour put-if-absent: two conditional writes of one key both succeeded, so two ingesters could overwrite each "
          "other; use a store that honours `If-None-Match: *` (S3, GCS, Azure, MinIO, a local directory)");
}

}  // namespace headpond::bronze
