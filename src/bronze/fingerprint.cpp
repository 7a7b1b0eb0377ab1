#include "bronze/fingerprint.h"

#include <array>
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

char* put_source(char* at, std::string_view source) {
  at = put(at, static_cast<std::uint32_t>(source.size()));
  if (!source.empty()) std::memcpy(at, source.data(), source.size());
  return at + source.size();
}

// Behind the source: the fields of one row. Returns the hash of all that begins at `begin`.
std::uint64_t hash_row(const char* begin, char* at, std::int32_t partition, std::int64_t offset, std::int32_t record_index,
                       std::string_view tenant, std::int32_t bytes) {
  at = put(at, partition);
  at = put(at, offset);
  at = put(at, record_index);
  at = put(at, tenant.data() == nullptr ? std::int32_t{-1} : static_cast<std::int32_t>(tenant.size()));
  if (!tenant.empty()) std::memcpy(at, tenant.data(), tenant.size());
  at = put(at + tenant.size(), bytes);
  return XXH3_64bits(begin, static_cast<std::size_t>(at - begin));
}

}  // namespace

RowHasher::RowHasher(std::string_view source) : buffer_(4 + source.size() + kFixedBytes + 64), prefix_(4 + source.size()) {
  put_source(buffer_.data(), source);
}

std::uint64_t RowHasher::operator()(std::int32_t partition, std::int64_t offset, std::int32_t record_index, std::string_view tenant,
                                    std::int32_t bytes) {
  if (const auto need = prefix_ + kFixedBytes + tenant.size(); need > buffer_.size()) [[unlikely]]
    buffer_.resize(need * 2);
  return hash_row(buffer_.data(), buffer_.data() + prefix_, partition, offset, record_index, tenant, bytes);
}

std::uint64_t row_fingerprint(std::string_view source, std::int32_t partition, std::int64_t offset, std::int32_t record_index,
                              std::string_view tenant, std::int32_t bytes) {
  std::array<char, 512> small;
  if (4 + source.size() + kFixedBytes + tenant.size() > small.size()) [[unlikely]]
    return RowHasher(source)(partition, offset, record_index, tenant, bytes);
  return hash_row(small.data(), put_source(small.data(), source), partition, offset, record_index, tenant, bytes);
}

std::uint64_t payload_fingerprint(std::int64_t offset, std::string_view payload) {
  char bound[16];
  put(put(bound, offset), base::xxh3(payload));
  return XXH3_64bits(bound, sizeof bound);
}

}  // namespace headpond::bronze
