// Strong integer types for what must not be mixed: an offset is not a version, a point in time is not a span.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace headpond::base {

template <class Tag, class Rep>
class Strong {
 public:
  using rep = Rep;
  constexpr Strong() = default;
  constexpr explicit Strong(Rep value) : value_(value) {}
  constexpr Rep value() const { return value_; }
  constexpr auto operator<=>(const Strong&) const = default;
  constexpr Strong next() const { return Strong(value_ + 1); }
  constexpr Strong prev() const { return Strong(value_ - 1); }

 private:
  Rep value_{};
};

using PartitionId = Strong<struct PartitionTag, std::int32_t>;
using Offset = Strong<struct OffsetTag, std::int64_t>;    // a record's offset in its partition
using Version = Strong<struct VersionTag, std::int64_t>;  // of a Delta table; -1 = before the first commit
using Bytes = Strong<struct BytesTag, std::int64_t>;

// A span of time in microseconds.
class Duration : public Strong<struct DurationTag, std::int64_t> {
 public:
  using Strong::Strong;
  static constexpr Duration seconds(std::int64_t n) { return Duration(n * 1'000'000); }
  static constexpr Duration millis(std::int64_t n) { return Duration(n * 1'000); }
  static constexpr Duration minutes(std::int64_t n) { return seconds(n * 60); }
  static constexpr Duration hours(std::int64_t n) { return seconds(n * 3600); }
  constexpr double to_seconds() const { return static_cast<double>(value()) / 1e6; }
  constexpr Duration operator+(Duration d) const { return Duration(value() + d.value()); }
  constexpr Duration operator-(Duration d) const { return Duration(value() - d.value()); }
  constexpr Duration operator*(std::int64_t n) const { return Duration(value() * n); }
};

// A point in time: microseconds since 1970-01-01T00:00:00Z.
class Micros : public Strong<struct MicrosTag, std::int64_t> {
 public:
  using Strong::Strong;
  constexpr Micros operator+(Duration d) const { return Micros(value() + d.value()); }
  constexpr Micros operator-(Duration d) const { return Micros(value() - d.value()); }
  constexpr Duration operator-(Micros m) const { return Duration(value() - m.value()); }
};

// Identity of a stream of offsets: one topic in one generation, "<topic>@<generation>", and a partition of it.
struct SourcePartition {
  std::string source;
  PartitionId partition;
  auto operator<=>(const SourcePartition&) const = default;
};

// How far a consumer has come: the last covered offset by partition (-1 = nothing yet). A reader's truth.
using PositionVector = std::map<SourcePartition, Offset>;

}  // namespace headpond::base

template <class Tag, class Rep>
struct std::hash<headpond::base::Strong<Tag, Rep>> {
  std::size_t operator()(const headpond::base::Strong<Tag, Rep>& v) const noexcept { return std::hash<Rep>{}(v.value()); }
};
