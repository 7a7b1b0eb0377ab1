#include "bronze/delta_stats.h"

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/time.h"

namespace headpond::bronze {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kYear1 = -62'135'596'800'000'000, kYear10000 = 253'402'300'800'000'000;  // µs since the epoch
constexpr std::size_t kCharactersMax = 32;
constexpr std::string_view kLastCharacter = "\xF4\x8F\xBF\xBF";  // U+10FFFF: behind it nothing begins alike and is greater

template <class T>
T plain(const std::string& bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

// Whether `a` stands before `b`, both PLAIN.
bool before(const ParquetField& field, const std::string& a, const std::string& b) {
  switch (field.type) {
    case ParquetType::kBoolean:
    case ParquetType::kByteArray: return a < b;
    case ParquetType::kInt32: return plain<std::int32_t>(a) < plain<std::int32_t>(b);
    case ParquetType::kInt64: return plain<std::int64_t>(a) < plain<std::int64_t>(b);
    case ParquetType::kDouble: return plain<double>(a) < plain<double>(b);
  }
  return false;
}

// The first characters of a text; sets `cut` when there are more, or when `text` itself is only a beginning.
std::string_view beginning(std::string_view text, bool& cut) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool starts = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
    if (starts && characters++ == kCharactersMax) {
      cut = true;
      return text.substr(0, i);
    }
  }
  return text;
}

std::optional<Json> text_bound(std::string_view text, bool cut, bool greatest) {
  const auto head = beginning(text, cut);
  Json json = std::string(head) + std::string(cut && greatest ? kLastCharacter : "");
  try {
    (void)json.dump();
  } catch (const Json::exception&) {
    return std::nullopt;
  }
  return json;
}

std::optional<Json> bound(const ParquetField& field, const std::string& value, bool cut, bool greatest) {
  switch (field.type) {
    case ParquetType::kBoolean: return Json(value[0] != 0);
    case ParquetType::kInt32: return Json(plain<std::int32_t>(value));
    case ParquetType::kInt64: {
      const auto number = plain<std::int64_t>(value);
      if (field.annotation != ParquetAnnotation::kTimestampMicrosUtc) return Json(number);
      // Readers of the log need not know other years. `ts` and `arrival` are what our own reader goes by.
      const bool common = number >= kYear1 && number < kYear10000;
      if (!common && field.name != "ts" && field.name != "arrival") return std::nullopt;
      return Json(base::format_rfc3339(base::Micros(number)));
    }
    case ParquetType::kDouble: {
      const auto number = plain<double>(value);
      return std::isfinite(number) ? std::optional(Json(number)) : std::nullopt;
    }
    case ParquetType::kByteArray: return text_bound(value, cut, greatest);
  }
  return std::nullopt;
}

struct ColumnBounds {
  std::int64_t values = 0, nulls = 0;
  std::string low, high;
  bool low_cut = false, high_cut = false;
  bool stated = true;  // every chunk with a value says its bounds
};

ColumnBounds bounds_of(const ParquetField& field, std::size_t index, const std::vector<ParquetRowGroup>& row_groups) {
  ColumnBounds out;
  for (const auto& group : row_groups) {
    const auto& chunk = group.chunks[index];
    const bool first = out.values == out.nulls;
    out.values += chunk.values;
    out.nulls += chunk.nulls;
    if (chunk.values == chunk.nulls) continue;
    const auto& low = chunk.min ? chunk.min : chunk.min_beginning;
    const auto& high = chunk.max ? chunk.max : chunk.max_beginning;
    if (!low || !high) {
      out.stated = false;
      continue;
    }
    if (first || before(field, *low, out.low)) out.low = *low, out.low_cut = !chunk.min;
    if (first || before(field, out.high, *high)) out.high = *high, out.high_cut = !chunk.max;
  }
  return out;
}

}  // namespace

std::string delta_stats(std::int64_t rows, const std::vector<ParquetField>& fields, const std::vector<ParquetRowGroup>& row_groups) {
  Json least = Json::object(), greatest = Json::object(), nulls = Json::object();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const auto& field = fields[i];
    const auto column = bounds_of(field, i, row_groups);
    nulls[field.name] = column.nulls;
    const bool binary = field.type == ParquetType::kByteArray && field.annotation != ParquetAnnotation::kString;
    if (binary || !column.stated || column.values == column.nulls) continue;
    const auto low = bound(field, column.low, column.low_cut, false), high = bound(field, column.high, column.high_cut, true);
    if (!low || !high) continue;
    least[field.name] = *low;
    greatest[field.name] = *high;
  }
  return Json{{"numRecords", rows}, {"minValues", least}, {"maxValues", greatest}, {"nullCount", nulls}}.dump();
}

}  // namespace headpond::bronze
