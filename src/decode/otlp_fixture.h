// OTLP messages written by hand, as protobuf and as JSON, for tests of decode.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace headpond::decode::otlp {

inline std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
inline std::string bytes(int field, std::string_view value) {
  return varint(static_cast<std::uint64_t>(field) << 3 | 2) + varint(value.size()) + std::string(value);
}
inline std::string number(int field, std::uint64_t value) {
  return varint(static_cast<std::uint64_t>(field) << 3) + varint(value);
}
inline std::string fixed64(int field, std::uint64_t value) {
  std::string out = varint(static_cast<std::uint64_t>(field) << 3 | 1) + std::string(8, '\0');
  std::memcpy(out.data() + out.size() - 8, &value, 8);
  return out;
}
inline std::string fixed32(int field, std::uint32_t value) {
  std::string out = varint(static_cast<std::uint64_t>(field) << 3 | 5) + std::string(4, '\0');
  std::memcpy(out.data() + out.size() - 4, &value, 4);
  return out;
}

// AnyValue.
inline std::string text(std::string_view value) {
  return bytes(1, value);
}
inline std::string truth(bool value) {
  return number(2, value ? 1 : 0);
}
inline std::string integer(std::int64_t value) {
  return number(3, static_cast<std::uint64_t>(value));
}
inline std::string real(double value) {
  std::uint64_t bits;
  std::memcpy(&bits, &value, 8);
  return fixed64(4, bits);
}
inline std::string pair(std::string_view key, const std::string& any) {
  return bytes(1, key) + bytes(2, any);
}
inline std::string list(const std::string& a, const std::string& b) {
  return bytes(5, bytes(1, a) + bytes(1, b));
}
inline std::string map(const std::string& pair_a) {
  return bytes(6, bytes(1, pair_a));
}

inline std::string resource(const std::string& pairs) {
  return bytes(1, pairs);
}  // in ResourceLogs; pairs: attribute()s
inline std::string attribute(std::string_view key, const std::string& any) {
  return bytes(1, pair(key, any));
}  // of a resource
inline std::string scope_attribute(std::string_view key, const std::string& any) {
  return bytes(3, pair(key, any));
}  // of a scope
inline std::string record_attribute(std::string_view key, const std::string& any) {
  return bytes(6, pair(key, any));
}  // of a log record
inline std::string record(const std::string& fields) {
  return bytes(2, fields);
}  // in ScopeLogs
inline std::string scope_logs(const std::string& fields) {
  return bytes(2, fields);
}  // in ResourceLogs
inline std::string resource_logs(const std::string& fields) {
  return bytes(1, fields);
}  // in the message

}  // namespace headpond::decode::otlp
