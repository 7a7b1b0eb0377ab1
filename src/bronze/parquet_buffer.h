// Bytes that grow at the end and keep their capacity: what pages are built in. Unlike std::string it never zeroes what it reserves.
// Threads: one at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

namespace headpond::bronze {

class ParquetBuffer {
 public:
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::size_t capacity() const { return capacity_; }
  char* data() { return data_.get(); }
  std::string_view view() const { return {data_.get(), size_}; }
  void clear() { size_ = 0; }
  void truncate(std::size_t size) { size_ = size; }

  // Where the next `n` bytes may be written; extend(m ≤ n) makes the first m of them part of the buffer. Valid until the next reserve().
  char* reserve(std::size_t n) {
    if (size_ + n > capacity_) grow(size_ + n);
    return data_.get() + size_;
  }
  void extend(std::size_t n) { size_ += n; }

  void append(std::string_view bytes) {
    std::memcpy(reserve(bytes.size()), bytes.data(), bytes.size());
    size_ += bytes.size();
  }
  void push(std::uint8_t byte) {
    *reserve(1) = static_cast<char>(byte);
    ++size_;
  }
  // Little-endian, as Parquet is; so is x86-64.
  template <class T>
  void put(T value) {
    std::memcpy(reserve(sizeof value), &value, sizeof value);
    size_ += sizeof value;
  }
  void put_varint(std::uint64_t value) {
    char* const start = reserve(10);
    char* out = start;
    for (; value >= 0x80; value >>= 7) *out++ = static_cast<char>(value | 0x80);
    *out++ = static_cast<char>(value);
    size_ += static_cast<std::size_t>(out - start);
  }
  void put_zigzag(std::int64_t value) { put_varint((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63)); }

 private:
  void grow(std::size_t needed) {
    const auto capacity = std::max(needed, capacity_ * 2);
    auto larger = std::make_unique_for_overwrite<char[]>(capacity);
    if (size_ > 0) std::memcpy(larger.get(), data_.get(), size_);
    data_ = std::move(larger);
    capacity_ = capacity;
  }

  std::unique_ptr<char[]> data_;
  std::size_t size_ = 0, capacity_ = 0;
};

}  // namespace headpond::bronze
