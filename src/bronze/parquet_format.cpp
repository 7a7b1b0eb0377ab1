#include "bronze/parquet_format.h"

#include "bronze/parquet_thrift.h"

namespace headpond::bronze {

namespace {

constexpr std::int32_t kCodecZstd = 6;
constexpr std::int32_t kDataPage = 0, kDictionaryPage = 2;
constexpr std::int32_t kRequired = 0, kOptional = 1;
constexpr std::int32_t kConvertedUtf8 = 0, kConvertedTimestampMicros = 10;

std::int32_t number(auto value) {
  return static_cast<std::int32_t>(value);
}

void put_field(ThriftWriter& out, const ParquetField& field) {
  out.begin_element();
  out.field_i32(1, number(field.type));
  out.field_i32(3, field.nullable ? kOptional : kRequired);
  out.field_binary(4, field.name);
  if (field.annotation == ParquetAnnotation::kString) {
    out.field_i32(6, kConvertedUtf8);
    out.begin_struct(10);  // logicalType
    out.empty_struct(1);   // STRING
    out.end_struct();
  } else if (field.annotation == ParquetAnnotation::kTimestampMicrosUtc) {
    out.field_i32(6, kConvertedTimestampMicros);
    out.begin_struct(10);
    out.begin_struct(8);      // TIMESTAMP
    out.field_bool(1, true);  // isAdjustedToUTC
    out.begin_struct(2);      // unit
    out.empty_struct(2);      // MICROS
    out.end_struct();
    out.end_struct();
    out.end_struct();
  }
  out.end_struct();
}

void put_schema(ThriftWriter& out, const std::vector<ParquetField>& fields) {
  out.list_of_structs(2, fields.size() + 1);
  out.begin_element();
  out.field_binary(4, "bronze");
  out.field_i32(5, number(fields.size()));
  out.end_struct();
  for (const auto& field : fields) put_field(out, field);
}

void put_chunk(ThriftWriter& out, const ParquetField& field, const ParquetChunk& chunk) {
  out.begin_element();
  out.field_i64(2, chunk.offset);
  out.begin_struct(3);
  out.field_i32(1, number(field.type));
  out.list_of_i32(2, chunk.encodings.size());
  for (const auto encoding : chunk.encodings) out.i32(number(encoding));
  out.list_of_binary(3, 1);
  out.binary(field.name);
  out.field_i32(4, kCodecZstd);
  out.field_i64(5, chunk.values);
  out.field_i64(6, chunk.uncompressed_bytes);
  out.field_i64(7, chunk.compressed_bytes);
  out.field_i64(9, chunk.offset + chunk.dictionary_bytes);
  if (chunk.dictionary_bytes > 0) out.field_i64(11, chunk.offset);
  out.begin_struct(12);  // statistics
  out.field_i64(3, chunk.nulls);
  if (chunk.min && chunk.max) {
    out.field_binary(5, *chunk.max);
    out.field_binary(6, *chunk.min);
  }
  out.end_struct();
  out.end_struct();
  out.end_struct();
}

void put_row_group(ThriftWriter& out, const std::vector<ParquetField>& fields, const ParquetRowGroup& group) {
  std::int64_t compressed = 0, uncompressed = 0;
  for (const auto& chunk : group.chunks) compressed += chunk.compressed_bytes, uncompressed += chunk.uncompressed_bytes;
  out.begin_element();
  out.list_of_structs(1, group.chunks.size());
  for (std::size_t i = 0; i < fields.size(); ++i) put_chunk(out, fields[i], group.chunks[i]);
  out.field_i64(2, uncompressed);
  out.field_i64(3, group.rows);
  out.field_i64(5, group.chunks.front().offset);
  out.field_i64(6, compressed);
  out.end_struct();
}

}  // namespace

void put_data_page_header(ParquetBuffer& out, std::size_t uncompressed, std::size_t compressed, std::size_t values,
                          ParquetEncoding encoding) {
  ThriftWriter header(out);
  header.field_i32(1, kDataPage);
  header.field_i32(2, number(uncompressed));
  header.field_i32(3, number(compressed));
  header.begin_struct(5);
  header.field_i32(1, number(values));
  header.field_i32(2, number(encoding));
  header.field_i32(3, number(ParquetEncoding::kRle));  // definition levels
  header.field_i32(4, number(ParquetEncoding::kRle));  // repetition levels, of which there are none
  header.end_struct();
  header.end_struct();
}

void put_dictionary_page_header(ParquetBuffer& out, std::size_t uncompressed, std::size_t compressed, std::size_t values) {
  ThriftWriter header(out);
  header.field_i32(1, kDictionaryPage);
  header.field_i32(2, number(uncompressed));
  header.field_i32(3, number(compressed));
  header.begin_struct(7);
  header.field_i32(1, number(values));
  header.field_i32(2, number(ParquetEncoding::kPlain));
  header.end_struct();
  header.end_struct();
}

void put_footer(ParquetBuffer& out, const std::vector<ParquetField>& fields, const std::vector<ParquetRowGroup>& row_groups) {
  const auto start = out.size();
  std::int64_t rows = 0;
  for (const auto& group : row_groups) rows += group.rows;
  ThriftWriter footer(out);
  footer.field_i32(1, 2);  // format version
  put_schema(footer, fields);
  footer.field_i64(3, rows);
  footer.list_of_structs(4, row_groups.size());
  for (const auto& group : row_groups) put_row_group(footer, fields, group);
  footer.field_binary(6, "headpond version 0.1.0");
  footer.list_of_structs(7, fields.size());  // column orders: min and max follow each type's own order
  for (std::size_t i = 0; i < fields.size(); ++i) {
    footer.begin_element();
    footer.empty_struct(1);
    footer.end_struct();
  }
  footer.end_struct();
  out.put(static_cast<std::uint32_t>(out.size() - start));
  out.append("PAR1");
}

}  // namespace headpond::bronze
