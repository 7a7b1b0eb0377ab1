// The protobuf wire format, field by field, in place: https://protobuf.dev/programming-guides/encoding/.
//
//   WireReader reader(bytes);
//   while (reader.next()) {
//     if (reader.is(2, WireType::kBytes)) …reader.bytes()…     // a known field with another wire type is an unknown one
//   }
//   if (!reader.ok()) …the bytes are cut or no protobuf…
//
// Requires two readable bytes behind the bytes. Nothing is copied or allocated; unknown fields, groups included, are passed over. Threads:
// one at a time.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace headpond::decode {

enum class WireType : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kGroup = 3, kGroupEnd = 4, kFixed32 = 5 };

class WireReader {
 public:
  WireReader() = default;
  explicit WireReader(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  // The next field. False: the end, or what is there is no field.
  [[gnu::always_inline]] bool next() {
    if (at_ == end_) return false;
    return next_plain() || next_other();
  }
  bool ok() const { return ok_; }
  // The bytes have moved: what lay at `from` lies at `to`.
  void rebase(const char* from, const char* to) {
    if (at_ == nullptr) return;
    at_ = to + (at_ - from);
    end_ = to + (end_ - from);
  }

  std::uint32_t field() const { return field_; }
  WireType type() const { return type_; }
  bool is(std::uint32_t field, WireType type) const { return field_ == field && type_ == type; }

  // Of the field that next() found, by its type.
  std::uint64_t varint() const { return number_; }
  std::uint64_t fixed64() const { return number_; }
  std::uint32_t fixed32() const { return static_cast<std::uint32_t>(number_); }
  std::string_view bytes() const { return bytes_; }

 private:
  static constexpr int kGroupDepthMax = 32;

  // A field as nearly all are: its tag has one byte, its length or number at most two. Else nothing is read.
  [[gnu::always_inline]] bool next_plain() {
    const auto tag = static_cast<unsigned char>(*at_);
    if (tag < 8 || tag >= 0x80) return false;
    const auto left = end_ - at_ - 1;
    const char* const place = at_ + 1;
    field_ = tag >> 3;
    type_ = static_cast<WireType>(tag & 7);
    switch (type_) {
      case WireType::kBytes: {
        std::uint16_t two;
        std::memcpy(&two, place, sizeof two);  // without a branch: lengths around 128 come in no order
        const auto more = (two >> 7) & 1, size = (two & 0x7F) | (((two >> 8) & -more) << 7);
        if ((two & 0x8080) == 0x8080 || left < 1 + more + size) return false;
        bytes_ = {place + 1 + more, static_cast<std::size_t>(size)};
        at_ = place + 1 + more + size;
        return true;
      }
      case WireType::kVarint:
        if (left < 1 || static_cast<signed char>(*place) < 0) return false;
        number_ = static_cast<unsigned char>(*place);
        at_ = place + 1;
        return true;
      case WireType::kFixed64:
        if (left < 8) return false;
        std::memcpy(&number_, place, 8);
        at_ = place + 8;
        return true;
      default: return false;
    }
  }
  // Through a copy, so that the reader itself may live in registers.
  [[gnu::always_inline]] bool next_other() {
    auto copy = *this;
    const bool found = copy.any_field();
    *this = copy;
    return found;
  }
  [[gnu::noinline]] bool any_field() {
    std::uint64_t tag = 0;
    if (!varint(tag)) return broken();
    field_ = static_cast<std::uint32_t>(tag >> 3);
    if (tag > UINT32_MAX || field_ == 0) return broken();
    type_ = static_cast<WireType>(tag & 7);
    return plain_value() || (type_ == WireType::kGroup && ok_ && group(field_, 1)) || broken();
  }

  bool broken() {
    ok_ = false;
    at_ = end_;
    return false;
  }

  [[gnu::always_inline]] bool varint(std::uint64_t& out) {
    if (at_ < end_ && static_cast<signed char>(*at_) >= 0) [[likely]] {
      out = static_cast<unsigned char>(*at_++);
      return true;
    }
    return long_varint(out);
  }
  bool long_varint(std::uint64_t& out) {
    out = 0;
    for (unsigned shift = 0; shift < 70 && at_ < end_; shift += 7) {
      const auto byte = static_cast<unsigned char>(*at_++);
      if (shift == 63 && byte > 1) return false;
      out |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  template <class Integer>
  bool fixed() {
    if (end_ - at_ < static_cast<std::ptrdiff_t>(sizeof(Integer))) return false;
    Integer value;
    std::memcpy(&value, at_, sizeof value);  // little-endian, as the format
    number_ = value;
    at_ += sizeof value;
    return true;
  }

  // False: a group, the end of one, or cut (then ok() is false).
  [[gnu::always_inline]] bool plain_value() {
    switch (type_) {
      case WireType::kVarint: return varint(number_) || cut();
      case WireType::kFixed64: return fixed<std::uint64_t>() || cut();
      case WireType::kFixed32: return fixed<std::uint32_t>() || cut();
      case WireType::kBytes: {
        std::uint64_t size = 0;
        if (!varint(size) || size > static_cast<std::uint64_t>(end_ - at_)) return cut();
        bytes_ = {at_, static_cast<std::size_t>(size)};
        at_ += size;
        return true;
      }
      default: return false;
    }
  }
  bool cut() { return ok_ = false; }
  bool value(int depth) { return plain_value() || (type_ == WireType::kGroup && ok_ && group(field_, depth + 1)); }

  // Up to its end tag; field() and type() are the group's again.
  bool group(std::uint32_t number, int depth) {
    if (depth > kGroupDepthMax) return false;
    while (true) {
      std::uint64_t tag = 0;
      if (!varint(tag) || tag > UINT32_MAX) return false;
      field_ = static_cast<std::uint32_t>(tag >> 3);
      type_ = static_cast<WireType>(tag & 7);
      if (field_ == 0) return false;
      if (type_ == WireType::kGroupEnd) {
        type_ = WireType::kGroup;
        return field_ == number;
      }
      if (!value(depth)) return false;
    }
  }

  const char* at_ = nullptr;
  const char* end_ = nullptr;
  bool ok_ = true;
  std::uint32_t field_ = 0;
  WireType type_ = WireType::kVarint;
  std::uint64_t number_ = 0;
  std::string_view bytes_;
};

}  // namespace headpond::decode
