// The distinct values of one column of one row group, in order of appearance: the body of its dictionary page and an index to find them.
// Nothing is allocated once the tables have grown to what the data needs. Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/xxh3.h"
#include "bronze/parquet_buffer.h"

namespace headpond::bronze {

// Open addressing over the caller's entries: remembers (hash, index) only.
class DictionaryIndex {
 public:
  DictionaryIndex() : slots_(kSlotsMin) {}

  // The index for which `same(index)` holds among entries of this hash; else `next`, remembered as its new index.
  template <class Same>
  std::uint32_t find_or_add(std::uint64_t hash, std::uint32_t next, const Same& same) {
    const auto tag = static_cast<std::uint32_t>(hash >> 32);
    for (std::size_t at = hash & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
      Slot& slot = slots_[at];
      if (slot.index_plus_one == 0) {
        slot = {tag, next + 1};
        hashes_.push_back(hash);
        if (hashes_.size() * 2 > slots_.size()) grow();
        return next;
      }
      if (slot.tag == tag && same(slot.index_plus_one - 1)) return slot.index_plus_one - 1;
    }
  }

  std::size_t memory() const { return slots_.capacity() * sizeof(Slot) + hashes_.capacity() * sizeof(hashes_[0]); }
  void clear() {
    if (hashes_.empty()) return;
    hashes_.clear();
    slots_.assign(slots_.size(), {});
  }

 private:
  static constexpr std::size_t kSlotsMin = 256;
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t index_plus_one = 0;  // 0: free
  };

  void grow() {
    slots_.assign(slots_.size() * 2, {});
    for (std::uint32_t index = 0; index < hashes_.size(); ++index) {
      std::size_t at = hashes_[index] & (slots_.size() - 1);
      while (slots_[at].index_plus_one != 0) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = {static_cast<std::uint32_t>(hashes_[index] >> 32), index + 1};
    }
  }

  std::vector<Slot> slots_;
  std::vector<std::uint64_t> hashes_;  // by index
};

// Whether two pieces of `size` bytes are equal; without a call for the short ones that dictionaries are made of.
inline bool equal_bytes(const char* a, const char* b, std::size_t size) {
  const auto same = [&]<class Word>(Word, std::size_t at) {
    Word x, y;
    std::memcpy(&x, a + at, sizeof(Word));
    std::memcpy(&y, b + at, sizeof(Word));
    return x == y;
  };
  if (size > 16) return std::memcmp(a, b, size) == 0;
  if (size >= 8) return same(std::uint64_t{}, 0) && same(std::uint64_t{}, size - 8);
  if (size >= 4) return same(std::uint32_t{}, 0) && same(std::uint32_t{}, size - 4);
  for (std::size_t i = 0; i < size; ++i)
    if (a[i] != b[i]) return false;
  return true;
}

class StringDictionary {
 public:
  std::uint32_t find_or_add(std::string_view value) {
    const auto next = size();
    const auto same = [&](std::uint32_t i) {
      const char* const entry = page_.data() + starts_[i];
      std::uint32_t length;
      std::memcpy(&length, entry, 4);
      return length == value.size() && equal_bytes(entry + 4, value.data(), length);
    };
    const auto index = index_.find_or_add(base::xxh3(value), next, same);
    if (index == next) {
      starts_.push_back(static_cast<std::uint32_t>(page_.size()));
      page_.put(static_cast<std::uint32_t>(value.size()));
      page_.append(value);
    }
    return index;
  }

  std::uint32_t size() const { return static_cast<std::uint32_t>(starts_.size()); }
  std::string_view operator[](std::uint32_t i) const {
    const auto whole = page_.view().substr(starts_[i]);
    std::uint32_t length;
    std::memcpy(&length, whole.data(), 4);
    return whole.substr(4, length);
  }
  std::string_view page() const { return page_.view(); }
  std::size_t memory() const { return index_.memory() + starts_.capacity() * sizeof(starts_[0]) + page_.capacity(); }

  // Forgets the entries from `size` on; no further find_or_add() before clear().
  void truncate(std::uint32_t size) {
    if (size >= starts_.size()) return;
    page_.truncate(starts_[size]);
    starts_.resize(size);
  }
  void clear() {
    index_.clear();
    starts_.clear();
    page_.clear();
  }

 private:
  DictionaryIndex index_;
  std::vector<std::uint32_t> starts_;
  ParquetBuffer page_;
};

// Integers and doubles, by their bits: T is std::int32_t, std::int64_t or double.
template <class T>
class NumberDictionary {
 public:
  std::uint32_t find_or_add(T value) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    auto hash = bits * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93u;
    hash ^= hash >> 32;
    const auto next = size();
    const auto index = index_.find_or_add(hash, next, [&](std::uint32_t i) { return std::memcmp(&values_[i], &value, sizeof value) == 0; });
    if (index == next) values_.push_back(value);
    return index;
  }

  std::uint32_t size() const { return static_cast<std::uint32_t>(values_.size()); }
  T operator[](std::uint32_t i) const { return values_[i]; }
  std::string_view page() const { return {reinterpret_cast<const char*>(values_.data()), values_.size() * sizeof(T)}; }
  std::size_t memory() const { return index_.memory() + values_.capacity() * sizeof(T); }

  void truncate(std::uint32_t size) {
    if (size < values_.size()) values_.resize(size);
  }
  void clear() {
    index_.clear();
    values_.clear();
  }

 private:
  DictionaryIndex index_;
  std::vector<T> values_;
};

}  // namespace headpond::bronze
