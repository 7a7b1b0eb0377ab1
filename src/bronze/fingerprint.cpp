#include "bronze/fingerprint.h"

#include <bit>
#include <cstring>

#include "base/xxh3.h"
#include "bronze/audit.h"

namespace headpond::bronze {
namespace {

static_assert(std::endian::native == std::endian::little, "fingerprints hash little-endian integers");

template <class Integer>
char* put(char* at, Integer value) {
  std::memcpy(at, &value, sizeof value);
  return at + sizeof value;
}

constexpr std::size_t kFixedBytes = 4 + 8 + 4 + 4 + 4;  // partition, offset, record_index, tenant length, bytes

}  // namespace

RowHasher::RowHasher(std::string_view source) : buffer_(4 + source.size() + kFixedBytes + 64), prefix_(4 + source.size()) {
  std::memcpy(put(buffer_.data(), static_cast<std::uint32_t>(source.size())), source.data(), source.size());
}

std::uint64_t RowHasher::operator()(std::int32_t partition, std::int64_t offset, std::int32_t record_index, std::string_view tenant,
                                    std::int32_t bytes) {
  if (const auto need = prefix_ + kFixedBytes + tenant.size(); need > buffer_.size()) [[unlikely]]
    buffer_.resize(need * 2);
  char* at = buffer_.data() + prefix_;
  at = put(at, partition);
  at = put(at, offset);
  at = put(at, record_index);
  at = put(at, tenant.data() == nullptr ? std::int32_t{-1} : static_cast<std::int32_t>(tenant.size()));
  if (!tenant.empty()) std::memcpy(at, tenant.data(), tenant.size());
  at = put(at + tenant.size(), bytes);
  return XXH3_64bits(buffer_.data(), static_cast<std::size_t>(at - buffer_.data()));
}

std::uint64_t row_fingerprint(std::string_view source, std::int32_t partition, std::int64_t offset, std::int32_t record_index,
                              std::string_view tenant, std::int32_t bytes) {
  return RowHasher(source)(partition, offset, record_index, tenant, bytes);
}

std::uint64_t payload_fingerprint(std::int64_t offset, std::string_view payload) {
  char bound[16];
  put(put(bound, offset), base::xxh3(payload));
  return XXH3_64bits(bound, sizeof bound);
}

}  // namespace headpond::bronze
