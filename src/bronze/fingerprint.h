// The fingerprints of bronze: order-independent sums mod 2^64 over rows. Byte layouts: docs/formats/bronze.md. Private to bronze, except
// for what bronze/audit.h declares. Threads: one at a time per RowHasher.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace headpond::bronze {

// Hashes the identity of rows of one source; keeps its buffer, so that no row costs an allocation.
class RowHasher {
 public:
  explicit RowHasher(std::string_view source);
  // A tenant whose data() is null is NULL.
  std::uint64_t operator()(std::int32_t partition, std::int64_t offset, std::int32_t record_index, std::string_view tenant,
                           std::int32_t bytes);

 private:
  std::vector<char> buffer_;
  std::size_t prefix_;  // bytes of buffer_ that hold the source
};

}  // namespace headpond::bronze
