// How ingest stays within `bronze.memory`: every buffer has a bound that is a share of it, so that a backlog, a slow store or large records
// make it wait or close row groups early.
//
// Of each lane:
//   4 MiB       fetched and not yet taken in, in the Kafka client; 2 MiB of a small budget. It counts payloads, and only so many records
//               that what the client keeps beside each is no more. They are taken from it in hands of 256 KiB or one record (kafka/hand.h)
//   2 MiB       one answer of each broker, compressed, and what that decompresses to; 1 MiB of a small budget
//   3 batches   8 MiB of payloads each, and as much again where text is unescaped, or one larger payload alone (Committer)
//   budget/64   the pages of a row group, of each file; closed when it is reached
// Of all lanes together:
//   budget/8    staged: pages, dictionaries, uploads of all files of the commit that is being filled; and once more of the one under way.
//               When it is reached, the commit begins early; until it can begin, nothing is taken in. Three batches of a lane may come
//               on top
// Beside them:
//   110 MiB     the upkeep of the log, for the seconds it takes: DuckDB writes its checkpoints (delta/checkpoint.cpp), 138 MiB the process
//               that did nothing else, at the first clean-up of 10,000 versions
//
// A topology is refused whose budget is less than 256 MiB and 128 MiB a lane (spec/source.cpp).
// Each may be exceeded by one record. What no share bounds is how far a broker's answer decompresses: a topic that shrinks a hundredfold
// takes a hundred times 2 MiB for a moment.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace headpond::ingest {

struct MemoryShares {
  std::int64_t client_queue_bytes, fetch_bytes, row_group_bytes, staged_bytes;
};

// Of each of `lanes` lanes, but for `staged_bytes`. What is fetched should still be in the processor's cache when it is decompressed and
// taken in; more than this was never faster.
inline MemoryShares shares_of(std::int64_t budget_bytes, std::size_t lanes = 1) {
  const auto share = budget_bytes / 64 / static_cast<std::int64_t>(lanes);
  return {.client_queue_bytes = std::clamp<std::int64_t>(share / 2, 2 << 20, 4 << 20),
          .fetch_bytes = std::clamp<std::int64_t>(share / 4, 1 << 20, 2 << 20),
          .row_group_bytes = std::clamp<std::int64_t>(share, 2 << 20, 16 << 20),
          .staged_bytes = budget_bytes / 8};
}

}  // namespace headpond::ingest
