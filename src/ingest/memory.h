// How ingest stays within `bronze.memory`: every buffer has a bound that is a share of it, so that a backlog, a slow store or large records
// make it wait or close row groups early. Of each lane:
//
//   4 MiB         fetched and not yet taken in, in the Kafka client; 2 MiB of a small budget
//   2 MiB         one fetch response, for each broker (and once more decompressed); 1 MiB of a small budget
//   3 batches     8 MiB of payloads each, or one larger payload alone (Committer)
//   budget / 64   a row group's compressed pages, of the commit being filled and of the one under way; uploads add 5 parts of 8 MiB each
//
// With 10 MB records, each of these may be exceeded by one record.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace headpond::ingest {

struct MemoryShares {
  std::int64_t client_queue_bytes, fetch_bytes, row_group_bytes;
};

// Of each of `lanes` lanes. What is fetched should still be in the processor's cache when it is decompressed and taken in; more than this
// was never faster.
inline MemoryShares shares_of(std::int64_t budget_bytes, std::size_t lanes = 1) {
  const auto share = budget_bytes / 64 / static_cast<std::int64_t>(lanes);
  return {.client_queue_bytes = std::clamp<std::int64_t>(share, 2 << 20, 4 << 20),
          .fetch_bytes = std::clamp<std::int64_t>(share, 1 << 20, 2 << 20),
          .row_group_bytes = std::clamp<std::int64_t>(share, 2 << 20, 16 << 20)};
}

}  // namespace headpond::ingest
