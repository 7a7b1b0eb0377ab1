// What the two OTLP encodings share: from resource, scope and log record to the cells of a row.
//
//   row.begin_resource(batch); row.attribute(OtlpOwner::kResource, …)…; row.end_resource();
//   row.begin_scope();         row.attribute(OtlpOwner::kScope, …)…; row.end_scope(name, version);
//   row.begin(batch, i);       row.field(…); row.attribute(OtlpOwner::kRecord, …)…; decoded = row.finish() or row.fail("why");
//
// What a resource or scope gives is kept for all rows behind it. An attribute's value is put to json() first, in JSON, between open() and
// attribute(); what a column holds of a log record's is taken away again. Threads: one at a time.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "decode/json_text.h"
#include "decode/otlp_columns.h"
#include "decode/row_cells.h"

namespace headpond::decode {

class OtlpRow {
 public:
  base::Result<void> prepare(const Field& ts, const std::vector<Field>& fields, Options options);

  // Forgets resource and scope.
  void begin_resource(columns::Batch& batch);
  void end_resource() {
    resource_ = close_object();
    resource_hits_ = hits_.size();
  }
  // Forgets the scope.
  void begin_scope() {
    hits_.resize(resource_hits_);
    scope_ = {};
    spoilt_scope_ = nullptr;
    json_.clear();
  }
  // Requires valid UTF-8. An empty name is none.
  void end_scope(std::string_view name, std::string_view version);
  // It cannot be read: every row of it fails with this.
  void spoil(const char* why) { spoilt_resource_ = why; }
  void spoil_scope(const char* why) { spoilt_scope_ = why; }
  bool spoilt_by_resource() const { return spoilt_resource_ != nullptr; }

  void begin(columns::Batch& batch, std::size_t row) {
    cells_.begin(batch, row);
    batch_ = &batch;
    json_.clear();
  }
  const char* spoilt() const { return spoilt_resource_ != nullptr ? spoilt_resource_ : spoilt_scope_; }

  bool wants(OtlpField field) const { return !columns_.of(field).empty(); }
  void field(OtlpField field, const Scalar& scalar) { cells_.take(columns_.of(field), scalar); }
  void field_text(OtlpField field, std::string_view in_batch) { this->field(field, {.text = in_batch}); }
  // 0 is none, as protobuf has it.
  void time(OtlpField field, std::uint64_t nanos);
  void number(OtlpField field, std::int64_t value);
  // Put to json() from `begins` on; as attribute()'s.
  void field_json(OtlpField field, Scalar scalar, std::size_t begins);
  // Bytes of an id; `size`: as many there should be, 8 or 16. All zero is none, as OpenTelemetry has it.
  void id(OtlpField field, std::string_view bytes, std::size_t size);
  void mismatch() { cells_.mismatch(); }

  JsonText& json() { return json_; }
  columns::Batch& batch() { return *batch_; }
  // The key of the next attribute; put its value to json() next. Returns where that begins.
  std::size_t open(std::string_view key, TextKind kind);
  // An attribute of the log record, before open(): takes it where that needs no JSON. True: a column holds it, nothing need be put.
  // Else `taken` says whether attribute() need not be called any more.
  bool attribute_held(std::string_view key, const Scalar& scalar, bool& taken);
  // The attribute just put. `scalar.text` need only be set for texts; `in_batch`: it stays as long as the batch.
  void attribute(OtlpOwner owner, std::string_view key, Scalar scalar, std::size_t begins, bool in_batch);

  Decoded finish();
  Decoded fail(std::string_view why) { return cells_.fail(why); }
  // A row without a log record.
  Decoded finish_empty() { return cells_.finish(); }

 private:
  bool fits_without_text(const std::vector<Want>& wants, Scalar::Kind kind) const;
  struct Hit {
    Want want;
    Scalar scalar;
  };
  void keep(const std::vector<Want>& wants, const Scalar& scalar) {
    for (const auto& want : wants) hits_.push_back({want, scalar});
  }
  void scope_member(std::string_view name, OtlpField field, std::string_view text);
  std::string_view close_object();
  template <class Integer>
  std::string_view digits(Integer value);

  OtlpColumns columns_;
  RowCells cells_;
  JsonText json_;
  columns::Batch* batch_ = nullptr;
  std::vector<Hit> hits_;  // of the resource, then of the scope
  std::size_t resource_hits_ = 0, member_begins_ = 0;
  std::string_view resource_, scope_;
  const char* spoilt_resource_ = nullptr;
  const char* spoilt_scope_ = nullptr;
};

}  // namespace headpond::decode
