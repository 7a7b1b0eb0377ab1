#include "sql/vector.h"

#include <algorithm>
#include <cstdio>
#include <limits>

namespace headpond::sql {
namespace {

template <class T>
T cell(const void* data, idx_t row) {
  return static_cast<const T*>(data)[row];
}

std::string take(char* text) {
  std::string copy = text ? text : "";
  duckdb_free(text);
  return copy;
}

std::string digits(unsigned __int128 magnitude) {
  std::string text;
  do {
    text += static_cast<char>('0' + static_cast<int>(magnitude % 10));
    magnitude /= 10;
  } while (magnitude != 0);
  std::reverse(text.begin(), text.end());
  return text;
}

unsigned __int128 magnitude_of(__int128 value) {
  return value < 0 ? static_cast<unsigned __int128>(0) - static_cast<unsigned __int128>(value) : static_cast<unsigned __int128>(value);
}

__int128 wide(const duckdb_hugeint& h) {
  return static_cast<__int128>((static_cast<unsigned __int128>(static_cast<std::uint64_t>(h.upper)) << 64) | h.lower);
}

// An integer of any width, or its digits where an int64 cannot hold it.
Value integer(__int128 value) {
  if (value >= std::numeric_limits<std::int64_t>::min() && value <= std::numeric_limits<std::int64_t>::max())
    return {static_cast<std::int64_t>(value)};
  return {(value < 0 ? "-" : "") + digits(magnitude_of(value))};
}

Value unsigned_integer(unsigned __int128 value) {
  if (value <= static_cast<unsigned __int128>(std::numeric_limits<std::int64_t>::max())) return {static_cast<std::int64_t>(value)};
  return {digits(value)};
}

std::string text_of(const void* data, idx_t row) {
  duckdb_string_t string = cell<duckdb_string_t>(data, row);
  return {duckdb_string_t_data(&string), duckdb_string_t_length(string)};
}

std::string uuid_text(const duckdb_hugeint& h) {
  const auto upper = static_cast<std::uint64_t>(h.upper) ^ (1ull << 63);  // stored with its top bit flipped, to sort as text does
  char text[37];
  std::snprintf(text, sizeof text, "%08x-%04x-%04x-%04x-%012llx", static_cast<unsigned>(upper >> 32),
                static_cast<unsigned>(upper >> 16 & 0xffff), static_cast<unsigned>(upper & 0xffff), static_cast<unsigned>(h.lower >> 48),
                static_cast<unsigned long long>(h.lower & 0xffffffffffffull));
  return text;
}

std::string time_text(std::int64_t micros) {
  char text[40];
  const std::int64_t second = micros / 1'000'000, fraction = micros % 1'000'000;
  int n = std::snprintf(text, sizeof text, "%02lld:%02lld:%02lld", static_cast<long long>(second / 3600),
                        static_cast<long long>(second / 60 % 60), static_cast<long long>(second % 60));
  if (fraction != 0) n += std::snprintf(text + n, sizeof text - static_cast<std::size_t>(n), ".%06lld", static_cast<long long>(fraction));
  return {text, static_cast<std::size_t>(n)};
}

std::string interval_text(const duckdb_interval& interval) {
  std::string text;
  const auto part = [&](std::int64_t n, const char* unit) {
    if (n != 0) text += (text.empty() ? "" : " ") + std::to_string(n) + " " + unit;
  };
  part(interval.months, "months");
  part(interval.days, "days");
  if (interval.micros != 0 || text.empty()) {
    const std::int64_t magnitude = interval.micros < 0 ? -interval.micros : interval.micros;
    text += (text.empty() ? "" : " ") + std::string(interval.micros < 0 ? "-" : "") + time_text(magnitude);
  }
  return text;
}

// Names of the types that need no more than a name.
const char* plain_name(duckdb_type id) {
  switch (id) {
    case DUCKDB_TYPE_BOOLEAN: return "BOOLEAN";
    case DUCKDB_TYPE_TINYINT: return "TINYINT";
    case DUCKDB_TYPE_SMALLINT: return "SMALLINT";
    case DUCKDB_TYPE_INTEGER: return "INTEGER";
    case DUCKDB_TYPE_BIGINT: return "BIGINT";
    case DUCKDB_TYPE_UTINYINT: return "UTINYINT";
    case DUCKDB_TYPE_USMALLINT: return "USMALLINT";
    case DUCKDB_TYPE_UINTEGER: return "UINTEGER";
    case DUCKDB_TYPE_UBIGINT: return "UBIGINT";
    case DUCKDB_TYPE_HUGEINT: return "HUGEINT";
    case DUCKDB_TYPE_UHUGEINT: return "UHUGEINT";
    case DUCKDB_TYPE_FLOAT: return "FLOAT";
    case DUCKDB_TYPE_DOUBLE: return "DOUBLE";
    case DUCKDB_TYPE_TIMESTAMP: return "TIMESTAMP";
    case DUCKDB_TYPE_TIMESTAMP_S: return "TIMESTAMP_S";
    case DUCKDB_TYPE_TIMESTAMP_MS: return "TIMESTAMP_MS";
    case DUCKDB_TYPE_TIMESTAMP_NS: return "TIMESTAMP_NS";
    case DUCKDB_TYPE_TIMESTAMP_TZ: return "TIMESTAMP WITH TIME ZONE";
    case DUCKDB_TYPE_DATE: return "DATE";
    case DUCKDB_TYPE_TIME: return "TIME";
    case DUCKDB_TYPE_INTERVAL: return "INTERVAL";
    case DUCKDB_TYPE_VARCHAR: return "VARCHAR";
    case DUCKDB_TYPE_BLOB: return "BLOB";
    case DUCKDB_TYPE_UUID: return "UUID";
    case DUCKDB_TYPE_SQLNULL: return "NULL";
    default: return nullptr;
  }
}

}  // namespace

ColumnReader::ColumnReader(duckdb_logical_type type) : type_(type), id_(duckdb_get_type_id(type)) {
  describe();
  for (const auto& child : children_) readable_ = readable_ && child->readable();
}

ColumnReader::~ColumnReader() {
  duckdb_destroy_logical_type(&type_);
}

void ColumnReader::describe() {
  const auto child = [&](duckdb_logical_type type) { return children_.emplace_back(std::make_unique<ColumnReader>(type))->type_name(); };
  if (const char* name = plain_name(id_)) {
    type_name_ = name;
  } else if (id_ == DUCKDB_TYPE_DECIMAL) {
    internal_id_ = duckdb_decimal_internal_type(type_);
    scale_ = duckdb_decimal_scale(type_);
    type_name_ = "DECIMAL(" + std::to_string(duckdb_decimal_width(type_)) + "," + std::to_string(scale_) + ")";
  } else if (id_ == DUCKDB_TYPE_ENUM) {
    internal_id_ = duckdb_enum_internal_type(type_);
    for (idx_t i = 0; i < duckdb_enum_dictionary_size(type_); ++i) names_.push_back(take(duckdb_enum_dictionary_value(type_, i)));
    type_name_ = "ENUM";
  } else if (id_ == DUCKDB_TYPE_LIST) {
    type_name_ = child(duckdb_list_type_child_type(type_)) + "[]";
  } else if (id_ == DUCKDB_TYPE_MAP) {
    const auto key = child(duckdb_map_type_key_type(type_));
    type_name_ = "MAP(" + key + ", " + child(duckdb_map_type_value_type(type_)) + ")";
  } else if (id_ == DUCKDB_TYPE_STRUCT) {
    type_name_ = "STRUCT(";
    for (idx_t i = 0; i < duckdb_struct_type_child_count(type_); ++i) {
      names_.push_back(take(duckdb_struct_type_child_name(type_, i)));
      type_name_ += (i ? ", " : "") + quote_identifier(names_.back()) + " " + child(duckdb_struct_type_child_type(type_, i));
    }
    type_name_ += ")";
  } else {
    type_name_ = "type " + std::to_string(static_cast<int>(id_));
    readable_ = false;
  }
}

Value ColumnReader::read(duckdb_vector vector, idx_t row) const {
  std::uint64_t* validity = duckdb_vector_get_validity(vector);
  if (id_ == DUCKDB_TYPE_SQLNULL || (validity && !duckdb_validity_row_is_valid(validity, row))) return {};
  return read_valid(vector, row);
}

Value ColumnReader::read_valid(duckdb_vector vector, idx_t row) const {
  const void* data = duckdb_vector_get_data(vector);
  switch (id_) {
    case DUCKDB_TYPE_BOOLEAN: return {cell<bool>(data, row)};
    case DUCKDB_TYPE_TINYINT: return {std::int64_t{cell<std::int8_t>(data, row)}};
    case DUCKDB_TYPE_SMALLINT: return {std::int64_t{cell<std::int16_t>(data, row)}};
    case DUCKDB_TYPE_INTEGER:
    case DUCKDB_TYPE_DATE: return {std::int64_t{cell<std::int32_t>(data, row)}};
    case DUCKDB_TYPE_BIGINT:
    case DUCKDB_TYPE_TIMESTAMP:
    case DUCKDB_TYPE_TIMESTAMP_TZ: return {cell<std::int64_t>(data, row)};
    case DUCKDB_TYPE_TIMESTAMP_S: return {cell<std::int64_t>(data, row) * 1'000'000};
    case DUCKDB_TYPE_TIMESTAMP_MS: return {cell<std::int64_t>(data, row) * 1'000};
    case DUCKDB_TYPE_TIMESTAMP_NS: return {cell<std::int64_t>(data, row) / 1'000};
    case DUCKDB_TYPE_UTINYINT: return {std::int64_t{cell<std::uint8_t>(data, row)}};
    case DUCKDB_TYPE_USMALLINT: return {std::int64_t{cell<std::uint16_t>(data, row)}};
    case DUCKDB_TYPE_UINTEGER: return {std::int64_t{cell<std::uint32_t>(data, row)}};
    case DUCKDB_TYPE_UBIGINT: return unsigned_integer(cell<std::uint64_t>(data, row));
    case DUCKDB_TYPE_HUGEINT: return integer(wide(cell<duckdb_hugeint>(data, row)));
    case DUCKDB_TYPE_UHUGEINT: {
      const auto h = cell<duckdb_uhugeint>(data, row);
      return unsigned_integer((static_cast<unsigned __int128>(h.upper) << 64) | h.lower);
    }
    case DUCKDB_TYPE_FLOAT: return {static_cast<double>(cell<float>(data, row))};
    case DUCKDB_TYPE_DOUBLE: return {cell<double>(data, row)};
    case DUCKDB_TYPE_VARCHAR:
    case DUCKDB_TYPE_BLOB: return {text_of(data, row)};
    case DUCKDB_TYPE_DECIMAL: return read_decimal(data, row);
    case DUCKDB_TYPE_UUID: return {uuid_text(cell<duckdb_hugeint>(data, row))};
    case DUCKDB_TYPE_TIME: return {time_text(cell<std::int64_t>(data, row))};
    case DUCKDB_TYPE_INTERVAL: return {interval_text(cell<duckdb_interval>(data, row))};
    case DUCKDB_TYPE_ENUM: {
      const auto index = internal_id_ == DUCKDB_TYPE_UTINYINT    ? std::size_t{cell<std::uint8_t>(data, row)}
                         : internal_id_ == DUCKDB_TYPE_USMALLINT ? std::size_t{cell<std::uint16_t>(data, row)}
                                                                 : std::size_t{cell<std::uint32_t>(data, row)};
      return {names_.at(index)};
    }
    default: return {read_nested(vector, row)};
  }
}

Value ColumnReader::read_decimal(const void* data, idx_t row) const {
  const __int128 value = internal_id_ == DUCKDB_TYPE_SMALLINT  ? __int128{cell<std::int16_t>(data, row)}
                         : internal_id_ == DUCKDB_TYPE_INTEGER ? __int128{cell<std::int32_t>(data, row)}
                         : internal_id_ == DUCKDB_TYPE_BIGINT  ? __int128{cell<std::int64_t>(data, row)}
                                                               : wide(cell<duckdb_hugeint>(data, row));
  std::string text = digits(magnitude_of(value));
  const auto scale = static_cast<std::size_t>(scale_);
  if (scale > 0) {
    if (text.size() <= scale) text.insert(0, scale + 1 - text.size(), '0');
    text.insert(text.size() - scale, ".");
  }
  return {(value < 0 ? "-" : "") + text};
}

std::string ColumnReader::list_text(duckdb_vector child, idx_t first, idx_t count, bool map) const {
  std::string text = map ? "{" : "[";
  for (idx_t i = first; i < first + count; ++i) {
    if (i > first) text += ", ";
    if (map) {
      text += children_[0]->read(duckdb_struct_vector_get_child(child, 0), i).to_text() + "=" +
              children_[1]->read(duckdb_struct_vector_get_child(child, 1), i).to_text();
    } else {
      text += children_[0]->read(child, i).to_text();
    }
  }
  return text + (map ? "}" : "]");
}

std::string ColumnReader::read_nested(duckdb_vector vector, idx_t row) const {
  if (id_ == DUCKDB_TYPE_STRUCT) {
    std::string text = "{";
    for (std::size_t i = 0; i < children_.size(); ++i) {
      if (i) text += ", ";
      text += "'" + names_[i] + "': " + children_[i]->read(duckdb_struct_vector_get_child(vector, i), row).to_text();
    }
    return text + "}";
  }
  const auto entry = cell<duckdb_list_entry>(duckdb_vector_get_data(vector), row);
  return list_text(duckdb_list_vector_get_child(vector), entry.offset, entry.length, id_ == DUCKDB_TYPE_MAP);
}

}  // namespace headpond::sql
