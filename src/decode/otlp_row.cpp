#include "decode/otlp_row.h"

#include <immintrin.h>

#include <algorithm>
#include <charconv>
#include <string>

namespace headpond::decode {
namespace {

constexpr std::size_t kIdBytesMax = 16;

// Writes 32 digits.
void put_hex(__m128i bytes, char* out) {
  const auto digits = _mm_setr_epi8('0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f');
  const auto nibble = _mm_set1_epi8(15);
  const auto high = _mm_shuffle_epi8(digits, _mm_and_si128(_mm_srli_epi16(bytes, 4), nibble));
  const auto low = _mm_shuffle_epi8(digits, _mm_and_si128(bytes, nibble));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_unpacklo_epi8(high, low));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out + kIdBytesMax), _mm_unpackhi_epi8(high, low));
}

}  // namespace

base::Result<void> OtlpRow::prepare(const Field& ts, const std::vector<Field>& fields, Options options) {
  TRY_VOID(cells_.prepare(ts, fields, options));
  for (std::size_t i = 0; i < fields.size(); ++i) TRY_VOID(columns_.add(fields[i], static_cast<std::uint16_t>(i)));
  TRY_VOID(columns_.add(ts, cells_.ts_slot()));
  return columns_.add({.name = "message", .from = {"/body"}, .default_value = {}}, cells_.message_slot());
}

void OtlpRow::begin_resource(columns::Batch& batch) {
  batch_ = &batch;
  hits_.clear();
  resource_hits_ = 0;
  resource_ = scope_ = {};
  spoilt_resource_ = spoilt_scope_ = nullptr;
  json_.clear();
}

void OtlpRow::end_scope(std::string_view name, std::string_view version) {
  const std::string attributes(json_.view());
  json_.clear();
  scope_member("name", OtlpField::kScopeName, name);
  scope_member("version", OtlpField::kScopeVersion, version);
  if (!attributes.empty()) {
    json_.put(json_.empty() ? "{\"attributes\":" : ",\"attributes\":");
    json_.put(attributes);
    json_.put('}');
  }
  scope_ = close_object();
}

void OtlpRow::scope_member(std::string_view name, OtlpField field, std::string_view text) {
  if (text.empty()) return;
  const auto kept = batch_->arena.copy(text);
  open(name, TextKind::kPlain);
  json_.string(kept, TextKind::kUnicode);
  keep(columns_.of(field), {.text = kept});
}

template <class Integer>
std::string_view OtlpRow::digits(Integer value) {
  char text[24];
  return batch_->arena.copy({text, static_cast<std::size_t>(std::to_chars(text, text + sizeof text, value).ptr - text)});
}

void OtlpRow::time(OtlpField field, std::uint64_t nanos) {
  if (nanos == 0 || !wants(field)) return;
  Scalar scalar;
  scalar.kind = nanos > INT64_MAX ? Scalar::Kind::kUnsigned : Scalar::Kind::kNanos;
  scalar.integer = static_cast<std::int64_t>(nanos);
  scalar.real = static_cast<double>(nanos);
  for (const auto& want : columns_.of(field)) {
    if (scalar.text.data() == nullptr && want.slot != cells_.ts_slot()) scalar.text = digits(nanos);
    cells_.take(want, scalar);
  }
}

void OtlpRow::number(OtlpField field, std::int64_t value) {
  if (value == 0 || !wants(field)) return;
  Scalar scalar;
  scalar.kind = Scalar::Kind::kInt;
  scalar.integer = value;
  for (const auto& want : columns_.of(field)) {
    if (scalar.text.data() == nullptr && want.slot < cells_.fields().size() && cells_.fields()[want.slot].type == columns::Type::kString)
      scalar.text = digits(value);
    cells_.take(want, scalar);
  }
}

void OtlpRow::field_json(OtlpField field, Scalar scalar, std::size_t begins) {
  if (!wants(field)) return;
  scalar.text = batch_->arena.copy(scalar.kind == Scalar::Kind::kText ? scalar.text : json_.view().substr(begins));
  this->field(field, scalar);
}

void OtlpRow::id(OtlpField field, std::string_view bytes, std::size_t size) {
  if (bytes.empty() || !wants(field)) return;
  if (bytes.size() != size) return mismatch();
  const auto* const place = reinterpret_cast<const __m128i*>(bytes.data());
  const auto all = size == kIdBytesMax ? _mm_loadu_si128(place) : _mm_loadl_epi64(place);
  if (_mm_testz_si128(all, all) != 0) return;
  char* const hex = batch_->arena.allocate(kIdBytesMax * 2);
  put_hex(all, hex);
  field_text(field, {hex, size * 2});
}

std::size_t OtlpRow::open(std::string_view key, TextKind kind) {
  member_begins_ = json_.size();
  json_.put(json_.empty() ? '{' : ',');
  json_.string(key, kind);
  json_.put(':');
  return json_.size();
}

void OtlpRow::attribute(OtlpOwner owner, std::string_view key, Scalar scalar, std::size_t begins, bool in_batch) {
  const auto* const node = columns_.attribute(owner, key);
  if (node == nullptr || node->wants.empty()) return;
  if (scalar.kind != Scalar::Kind::kText)
    scalar.text = batch_->arena.copy(json_.view().substr(begins));
  else if (!in_batch)
    scalar.text = batch_->arena.copy(scalar.text);
  if (owner != OtlpOwner::kRecord) return keep(node->wants, scalar);
  if (cells_.take_for_good(node->wants, scalar)) json_.cut(member_begins_);
}

// Its kind becomes a cell of each type that wants it without its text.
bool OtlpRow::fits_without_text(const std::vector<Want>& wants, Scalar::Kind kind) const {
  return std::ranges::all_of(wants, [&](const Want& want) {
    if (want.slot >= cells_.fields().size()) return false;
    switch (cells_.fields()[want.slot].type) {
      case columns::Type::kString: return kind == Scalar::Kind::kText;
      case columns::Type::kInt32:
      case columns::Type::kInt64: return kind == Scalar::Kind::kText || kind == Scalar::Kind::kInt;
      case columns::Type::kDouble: return kind == Scalar::Kind::kText || kind == Scalar::Kind::kInt || kind == Scalar::Kind::kDouble;
      case columns::Type::kBool:
      case columns::Type::kTimestamp: return kind == Scalar::Kind::kText;
    }
    return false;
  });
}

bool OtlpRow::attribute_held(std::string_view key, const Scalar& scalar, bool& taken) {
  const auto* const node = columns_.attribute(OtlpOwner::kRecord, key);
  taken = node == nullptr || fits_without_text(node->wants, scalar.kind);
  return node != nullptr && taken && cells_.take_for_good(node->wants, scalar);
}

std::string_view OtlpRow::close_object() {
  if (json_.empty()) return {};
  json_.put('}');
  return batch_->arena.copy(json_.view());
}

Decoded OtlpRow::finish() {
  for (const auto& hit : hits_) cells_.take(hit.want, hit.scalar);
  const auto decoded = cells_.finish();
  const auto row = cells_.row();
  auto* const extra = batch_->declared.data() + cells_.fields().size();
  if (resource_.data() != nullptr) extra[0].set_string(row, resource_);
  if (scope_.data() != nullptr) extra[1].set_string(row, scope_);
  if (const auto attributes = close_object(); attributes.data() != nullptr) extra[2].set_string(row, attributes);
  return decoded;
}

}  // namespace headpond::decode
