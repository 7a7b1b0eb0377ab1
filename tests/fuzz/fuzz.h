// What the fuzz targets share: a failed check ends the process, as libFuzzer wants it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "decode/decoder.h"

namespace headpond::fuzz {

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: does not hold: %s\n", what);
  std::abort();
}

// Everything a decoder says about a row, in text.
inline std::string text_of(const columns::Batch& batch, std::size_t row, const decode::Decoded& decoded) {
  std::string out = decoded.ts ? std::to_string(*decoded.ts) : "-";
  out += decoded.malformed ? " malformed " : " ";
  out += std::to_string(decoded.mismatches) + " " + std::to_string(batch.bytes[row]) + " " + std::to_string(batch.record_index[row]) + " ";
  out += batch.pattern_id_valid[row] != 0 ? std::to_string(batch.pattern_id[row]) : "-";
  out += batch.error[row].data() == nullptr ? "" : " " + std::string(batch.error[row]);
  for (const auto& column : batch.declared) {
    out += '\x1f';
    if (column.valid[row] == 0)
      out += "null";
    else if (column.type == columns::Type::kString)
      out += "=" + std::string(column.strings[row]);
    else if (column.type == columns::Type::kDouble)
      out += std::to_string(column.doubles[row]);
    else
      out += std::to_string(column.ints[row]);
  }
  return out;
}

// All rows of one message. `hand_over`: after so many rows the batch is taken away, as ingest does with a full one.
inline std::vector<std::string> rows_of(decode::Decoder& decoder, columns::Batch& batch, std::string_view payload, std::size_t hand_over) {
  std::vector<std::string> rows;
  batch.reset();
  const auto first = batch.begin_row(payload);
  const auto decoded = decoder.decode(batch, first);
  rows.push_back(text_of(batch, first.index, decoded));
  while (decoder.more()) {
    if (batch.rows() == std::min(hand_over, columns::Batch::kRowsMax)) {
      batch.reset();
      decoder.move_to(batch, payload);
    }
    const auto row = batch.begin_row_without_raw();
    const auto next = decoder.decode_next(batch, row);
    rows.push_back(text_of(batch, row, next));
  }
  return rows;
}

}  // namespace headpond::fuzz
