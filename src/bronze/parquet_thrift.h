// Thrift's compact protocol, the writing half, as far as Parquet's headers and footer need it. Threads: one at a time.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "bronze/parquet_buffer.h"

namespace headpond::bronze {

// Fields must be written in rising id order. begin_struct() … end_struct() nest; the outermost struct is opened by the constructor and
// ended by end_struct() as well.
class ThriftWriter {
 public:
  explicit ThriftWriter(ParquetBuffer& out) : out_(out), last_ids_(1, 0) {}

  void field_i32(int id, std::int32_t value) { header(id, kI32), out_.put_zigzag(value); }
  void field_i64(int id, std::int64_t value) { header(id, kI64), out_.put_zigzag(value); }
  void field_bool(int id, bool value) { header(id, value ? kTrue : kFalse); }
  void field_binary(int id, std::string_view bytes) { header(id, kBinary), binary(bytes); }
  void begin_struct(int id) { header(id, kStruct), last_ids_.push_back(0); }
  void empty_struct(int id) { begin_struct(id), end_struct(); }
  void end_struct() { out_.push(0), last_ids_.pop_back(); }

  void list_of_structs(int id, std::size_t size) { list(id, size, kStruct); }  // then, `size` times: begin_element() … end_struct()
  void list_of_i32(int id, std::size_t size) { list(id, size, kI32); }         // then `size` times: i32()
  void list_of_binary(int id, std::size_t size) { list(id, size, kBinary); }   // then `size` times: binary()
  void begin_element() { last_ids_.push_back(0); }
  void i32(std::int32_t value) { out_.put_zigzag(value); }
  void binary(std::string_view bytes) { out_.put_varint(bytes.size()), out_.append(bytes); }

 private:
  enum Type : std::uint8_t { kTrue = 1, kFalse = 2, kI32 = 5, kI64 = 6, kBinary = 8, kList = 9, kStruct = 12 };

  void header(int id, Type type) {
    const int delta = id - last_ids_.back();
    if (delta > 0 && delta <= 15) {
      out_.push(static_cast<std::uint8_t>(delta << 4 | type));
    } else {
      out_.push(type);
      out_.put_zigzag(id);
    }
    last_ids_.back() = id;
  }
  void list(int id, std::size_t size, Type element) {
    header(id, kList);
    if (size < 15) {
      out_.push(static_cast<std::uint8_t>(size << 4 | element));
    } else {
      out_.push(static_cast<std::uint8_t>(0xf0 | element));
      out_.put_varint(size);
    }
  }

  ParquetBuffer& out_;
  std::vector<int> last_ids_;
};

}  // namespace headpond::bronze
