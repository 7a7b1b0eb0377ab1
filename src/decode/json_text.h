// JSON text, piece by piece, into memory that is used again: for columns that hold JSON. Threads: one at a time.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

namespace headpond::decode {

// What a string is: each implies the ones behind it are possible.
enum class TextKind { kPlain, kUnicode, kInvalid };  // kPlain: ASCII without quote, backslash, control; kUnicode: valid UTF-8

// Requires columns::Batch::kPadding readable bytes behind `text`.
TextKind kind_of(std::string_view text);

class JsonText {
 public:
  void clear() { used_ = 0; }
  bool empty() const { return used_ == 0; }
  std::size_t size() const { return used_; }
  void cut(std::size_t size) { used_ = size; }
  std::string_view view() const { return {data_.get(), used_}; }

  void put(char c) {
    reserve(1);
    data_[used_++] = c;
  }
  void put(std::string_view json) {
    reserve(json.size());
    if (!json.empty()) std::memcpy(data_.get() + used_, json.data(), json.size());
    used_ += json.size();
  }
  void string(std::string_view text, TextKind kind);  // quoted; requires kind != kInvalid
  void base64(std::string_view bytes);                // quoted
  void integer(std::int64_t value);
  void real(double value);  // shortest that reads back; "NaN", "Infinity", "-Infinity" as strings, as protobuf's JSON has them
  void boolean(bool value) { put(value ? std::string_view("true") : std::string_view("false")); }

 private:
  void reserve(std::size_t n) {
    if (used_ + n > capacity_) [[unlikely]]
      grow(n);
  }
  void grow(std::size_t n);

  std::unique_ptr<char[]> data_;
  std::size_t used_ = 0, capacity_ = 0;
};

}  // namespace headpond::decode
