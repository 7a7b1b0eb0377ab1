// One row's typed cells as its values are found: which source of a column wins, what fits, defaults, event time, pattern.
//
//   cells.begin(batch, row);
//   cells.take(wants, scalar);          // in any order
//   const Decoded decoded = cells.finish();   // or fail("why")
//
// Threads: one at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "columns/batch.h"
#include "decode/decoder.h"
#include "decode/key_trie.h"
#include "decode/scalar.h"

namespace headpond::decode {

class RowCells {
 public:
  static constexpr std::size_t kSourcesMax = 80;  // of one column; three ranks each fit below 255

  // `fields` in the order of Batch::declared. Errors: kInvalid: a default that does not fit.
  base::Result<void> prepare(const Field& ts, const std::vector<Field>& fields, Options options);

  // What values are wanted by: the index of a field, or one of these.
  std::uint16_t ts_slot() const { return ts_slot_; }
  std::uint16_t message_slot() const { return static_cast<std::uint16_t>(ts_slot_ + 1); }
  const std::vector<Field>& fields() const { return fields_; }

  // Requires: the cells of `row` are still null.
  void begin(columns::Batch& batch, std::size_t row) {
    batch_ = &batch;
    row_ = row;
    forget();
  }
  // As if nothing had been taken.
  void restart() {
    clear();
    forget();
  }
  columns::Batch& batch() { return *batch_; }
  std::size_t row() const { return row_; }

  bool wanted(const std::vector<Want>& wants) const {
    return std::any_of(wants.begin(), wants.end(), [&](const Want& want) { return want.rank < best_[want.slot]; });
  }
  // A value, not null. Its text must stay where it is as long as the batch.
  void take(const std::vector<Want>& wants, const Scalar& scalar) {
    for (const Want& want : wants) take(want, scalar);
  }
  void take(const Want& want, const Scalar& scalar) {
    if (want.rank >= best_[want.slot]) return;
    best_[want.slot] = want.rank;
    set(want.slot, scalar);
  }
  // As take(). True: it is the best source there can be of a column, and a cell now: nothing else need keep it.
  bool take_for_good(const std::vector<Want>& wants, const Scalar& scalar) {
    bool held = false;
    for (const Want& want : wants) {
      if (want.rank >= best_[want.slot]) continue;
      take(want, scalar);
      held = held || (want.rank == 0 && want.slot < ts_slot_ && batch_->declared[want.slot].valid[row_] != 0);
    }
    return held;
  }
  // One of them has become a cell or the event time.
  bool holds(const std::vector<Want>& wants) const {
    return std::any_of(wants.begin(), wants.end(), [&](const Want& want) {
      if (want.rank != best_[want.slot]) return false;
      return want.slot < ts_slot_ ? batch_->declared[want.slot].valid[row_] != 0 : want.slot == ts_slot_ && out_.ts.has_value();
    });
  }
  // A value that is there and fits nothing.
  void mismatch() { ++out_.mismatches; }

  Decoded finish() {
    apply_defaults();
    set_pattern();
    return out_;
  }
  // The row's error is `why`, a text that stays as long as the batch; its cells are null.
  Decoded fail(std::string_view why) {
    restart();
    batch_->error[row_] = why;
    return {.ts = std::nullopt, .malformed = true, .mismatches = 0};
  }

 private:
  static constexpr std::uint8_t kUnset = 255;
  static constexpr std::uint16_t kNoSlot = 0xFFFF;

  void forget() {
    out_ = {};
    message_ = {};
    std::memset(best_.data(), kUnset, best_.size());
  }
  void clear() {
    for (auto& column : batch_->declared) column.valid[row_] = 0;
  }
  static base::Result<void> check_sources(const Field& field);
  base::Result<void> check_default(const Field& field);
  static Scalar default_scalar(const Field& field) {
    Scalar s;
    s.text = *field.default_value;
    return s;
  }

  void set(std::uint16_t slot, const Scalar& scalar) {
    if (slot >= ts_slot_) return slot == ts_slot_ ? set_ts(scalar) : set_message(scalar);
    auto& column = batch_->declared[slot];
    if (column.type == columns::Type::kString) return column.set_string(row_, scalar.text);
    if (slot == severity_slot_ && scalar.kind == Scalar::Kind::kText)
      if (const auto number = severity_of_word(scalar.text)) return column.set_int(row_, *number);
    if (scalar.kind == Scalar::Kind::kDouble && column.type == columns::Type::kDouble) return column.set_double(row_, scalar.real);
    if (scalar.kind == Scalar::Kind::kInt && column.type == columns::Type::kInt32 &&
        scalar.integer == static_cast<std::int32_t>(scalar.integer))
      return column.set_int(row_, scalar.integer);
    if (!set_cell(column, row_, scalar, times_)) {
      column.valid[row_] = 0;
      ++out_.mismatches;
    }
  }
  void set_ts(const Scalar& scalar) {
    out_.ts = timestamp_of(scalar, times_);
    if (!out_.ts) ++out_.mismatches;
  }
  void set_message(const Scalar& scalar) {
    // Pointer and size apart, as they were just stored: one load of both would wait until both stores are through.
    if (scalar.kind == Scalar::Kind::kText) message_ = {scalar.text.data(), scalar.text.size()};
  }

  void apply_defaults() {
    for (std::size_t i = 0; i < fields_.size(); ++i)
      if (best_[i] == kUnset && fields_[i].default_value) set(static_cast<std::uint16_t>(i), default_scalar(fields_[i]));
  }

  bool severe_enough() const {
    if (severity_for_pattern_ == INT64_MIN) return true;
    if (severity_slot_ == kNoSlot) return false;
    const auto& severity = batch_->declared[severity_slot_];
    return severity.valid[row_] != 0 && severity.ints[row_] >= severity_for_pattern_;
  }
  void set_pattern() {
    if (message_.data() == nullptr || !severe_enough()) return;
    batch_->pattern_id[row_] = pattern_id(message_);
    batch_->pattern_id_valid[row_] = 1;
  }

  TimeText times_;
  std::vector<Field> fields_;
  std::uint16_t ts_slot_ = 0;  // behind those of the fields
  std::uint16_t severity_slot_ = kNoSlot;
  std::int64_t severity_for_pattern_ = 13;  // WARN and above; INT64_MIN: whatever it is

  // Of the row being decoded.
  columns::Batch* batch_ = nullptr;
  std::size_t row_ = 0;
  std::vector<std::uint8_t> best_;  // rank of the source each slot has, kUnset = none
  std::string_view message_;
  Decoded out_;
};

}  // namespace headpond::decode
