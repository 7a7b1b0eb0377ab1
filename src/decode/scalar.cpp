#include "decode/scalar.h"

#include <cstdint>

#include "decode/convert.h"
#include "decode/decoder.h"

namespace headpond::decode {
namespace {

std::optional<std::int64_t> integer_of(const Scalar& s) {
  switch (s.kind) {
    case Scalar::Kind::kInt:
    case Scalar::Kind::kNanos:
    case Scalar::Kind::kBool: return s.integer;
    case Scalar::Kind::kText:
    case Scalar::Kind::kDouble: return int_of_text(s.text);
    default: return std::nullopt;
  }
}

std::optional<double> double_of(const Scalar& s) {
  switch (s.kind) {
    case Scalar::Kind::kInt:
    case Scalar::Kind::kNanos: return static_cast<double>(s.integer);
    case Scalar::Kind::kUnsigned:
    case Scalar::Kind::kDouble: return s.real;
    case Scalar::Kind::kText: return double_of_text(s.text);
    default: return std::nullopt;
  }
}

}  // namespace

std::optional<std::int64_t> timestamp_of(const Scalar& s, TimeText& times) {
  switch (s.kind) {
    case Scalar::Kind::kInt: return micros_of_number(s.integer);
    case Scalar::Kind::kDouble: return micros_of_number(s.real);
    case Scalar::Kind::kNanos: return s.integer / 1000;
    case Scalar::Kind::kText: return times.micros(s.text);
    default: return std::nullopt;
  }
}

bool set_cell(columns::Column& column, std::size_t row, const Scalar& s, TimeText& times) {
  switch (column.type) {
    case columns::Type::kString: column.set_string(row, s.text); return true;
    case columns::Type::kDouble:
      if (const auto v = double_of(s)) return column.set_double(row, *v), true;
      return false;
    case columns::Type::kBool:
      if (s.kind == Scalar::Kind::kBool || s.text == "true" || s.text == "false")
        return column.set_int(row, s.kind == Scalar::Kind::kBool ? s.integer : s.text == "true"), true;
      return false;
    case columns::Type::kTimestamp:
      if (const auto v = timestamp_of(s, times)) return column.set_int(row, *v), true;
      return false;
    case columns::Type::kInt64:
    case columns::Type::kInt32: {
      if (s.kind == Scalar::Kind::kBool) return false;
      const auto v = integer_of(s);
      if (!v || (column.type == columns::Type::kInt32 && (*v < INT32_MIN || *v > INT32_MAX))) return false;
      return column.set_int(row, *v), true;
    }
  }
  return false;
}

}  // namespace headpond::decode
