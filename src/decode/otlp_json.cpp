#include <simdjson.h>

#include <charconv>
#include <cmath>

#include "decode/otlp_decoder.h"
#include "decode/otlp_json_frame.h"
#include "decode/otlp_row.h"

// OTLP's JSON mapping: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding. Keys in lowerCamelCase, unknown ones ignored; ids
// in hexadecimal; 64-bit integers as text or number.
namespace headpond::decode {
namespace {

namespace dom = simdjson::dom;

constexpr int kDepthMax = 32;
constexpr char kNotAny[] = "a value of the log record is not OTLP's {\"stringValue\": …} or alike";
constexpr char kNotPairs[] = "attributes of the log record are not a list of {\"key\": …, \"value\": …}";
constexpr char kNotRecord[] = "the log record is not a JSON object";
constexpr char kNotOwner[] = "its resource or scope is not a JSON object";
constexpr char kTooDeep[] = "a value is nested deeper than 32";

const char* text_of(simdjson::error_code error) {
  return simdjson::error_message(error);
}

// A text or a number that is an integer. None: it is neither.
std::optional<std::uint64_t> unsigned_of(dom::element value) {
  std::uint64_t number = 0;
  if (value.get(number) == simdjson::SUCCESS) return number;
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty() ? std::optional(number) : std::nullopt;
}

std::optional<std::int64_t> integer_of(dom::element value) {
  std::int64_t number = 0;
  if (value.get(number) == simdjson::SUCCESS) return number;
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty() ? std::optional(number) : std::nullopt;
}

std::optional<double> real_of(dom::element value) {
  double number = 0;
  if (value.get(number) == simdjson::SUCCESS) return number;
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) return std::nullopt;
  if (text == "NaN") return std::nan("");
  if (text == "Infinity" || text == "-Infinity") return text.front() == '-' ? -HUGE_VAL : HUGE_VAL;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty() ? std::optional(number) : std::nullopt;
}

TextKind kind_in(std::string_view text) {  // simdjson has checked the UTF-8, but what it unescaped may hold lone surrogates' bytes
  return simdjson::validate_utf8(text.data(), text.size()) ? TextKind::kUnicode : TextKind::kInvalid;
}

const char* put_any(JsonText& json, dom::element any, int depth, Scalar& out, bool& none);

const char* put_list(JsonText& json, dom::element list, int depth) {
  dom::object object;
  if (list.get(object) != simdjson::SUCCESS) return kNotAny;
  json.put('[');
  dom::array values;
  if (object["values"].get(values) == simdjson::SUCCESS) {
    bool first = true;
    for (const auto value : values) {
      if (!std::exchange(first, false)) json.put(',');
      Scalar ignored;
      bool none = false;
      if (const auto wrong = put_any(json, value, depth, ignored, none); wrong != nullptr) return wrong;
    }
  }
  json.put(']');
  return nullptr;
}

const char* put_map(JsonText& json, dom::element map, int depth) {
  dom::object object;
  if (map.get(object) != simdjson::SUCCESS) return kNotAny;
  json.put('{');
  dom::array values;
  if (object["values"].get(values) == simdjson::SUCCESS) {
    bool first = true;
    for (const auto pair : values) {
      std::string_view key;
      dom::object member;
      if (pair.get(member) != simdjson::SUCCESS || member["key"].get(key) != simdjson::SUCCESS || kind_in(key) == TextKind::kInvalid)
        return kNotAny;
      if (!std::exchange(first, false)) json.put(',');
      json.string(key, TextKind::kUnicode);
      json.put(':');
      Scalar ignored;
      bool none = false;
      dom::element value;
      if (member["value"].get(value) != simdjson::SUCCESS) {
        json.put("null");
        continue;
      }
      if (const auto wrong = put_any(json, value, depth, ignored, none); wrong != nullptr) return wrong;
    }
  }
  json.put('}');
  return nullptr;
}

// One member of an AnyValue. Sets `known` where it is one.
const char* put_member(JsonText& json, std::string_view key, dom::element value, int depth, Scalar& out, bool& known) {
  known = true;
  if (key == "stringValue" || key == "bytesValue") {
    if (value.get(out.text) != simdjson::SUCCESS || kind_in(out.text) == TextKind::kInvalid) return kNotAny;
    json.string(out.text, TextKind::kUnicode);
  } else if (key == "boolValue") {
    bool truth = false;
    if (value.get(truth) != simdjson::SUCCESS) return kNotAny;
    out.kind = Scalar::Kind::kBool;
    out.integer = truth ? 1 : 0;
    json.boolean(truth);
  } else if (key == "intValue") {
    const auto integer = integer_of(value);
    if (!integer) return kNotAny;
    out.kind = Scalar::Kind::kInt;
    out.integer = *integer;
    json.integer(*integer);
  } else if (key == "doubleValue") {
    const auto real = real_of(value);
    if (!real) return kNotAny;
    json.real(*real);
    out.real = *real;
    out.kind = std::isfinite(*real) ? Scalar::Kind::kDouble : Scalar::Kind::kText;
    if (out.kind == Scalar::Kind::kText) out.text = std::isnan(*real) ? "NaN" : *real > 0 ? "Infinity" : "-Infinity";
  } else if (key == "arrayValue" || key == "kvlistValue") {
    if (depth == kDepthMax) return kTooDeep;
    out.kind = Scalar::Kind::kStructure;
    return key == "arrayValue" ? put_list(json, value, depth + 1) : put_map(json, value, depth + 1);
  } else {
    known = false;
  }
  return nullptr;
}

// Null, or what is wrong. `none`: it holds no value, null was put.
const char* put_any(JsonText& json, dom::element any, int depth, Scalar& out, bool& none) {
  dom::object object;
  if (any.is_null()) {
    none = true;
    json.put("null");
    return nullptr;
  }
  if (any.get(object) != simdjson::SUCCESS) return kNotAny;
  for (const auto [key, value] : object) {
    if (value.is_null()) continue;
    bool known = false;
    if (const auto wrong = put_member(json, key, value, depth, out, known); wrong != nullptr) return wrong;
    if (known) return nullptr;
  }
  none = true;
  json.put("null");
  return nullptr;
}

class JsonDecoder final : public Decoder {
 public:
  base::Result<void> prepare(const Field& ts, const std::vector<Field>& fields, Options options) {
    return row_.prepare(ts, fields, options);
  }

  Decoded decode(columns::Batch& batch, const columns::Batch::Row& row) override {
    next_ = count_ = 0;
    row_.begin(batch, row.index);
    if (row.payload.data() == nullptr) return row_.finish_empty();
    if (const auto wrong = frame_.read(row.payload); wrong != nullptr) return row_.fail(wrong);
    message_ = row.payload;
    count_ = frame_.records().size();
    if (count_ == 0) return row_.finish_empty();
    std::size_t others = 0;
    for (std::size_t i = 1; i < count_; ++i) others += frame_.records()[i].json.size();
    entered_ = kNowhere;
    const auto decoded = record(batch, row.index);
    batch.bytes[row.index] = static_cast<std::int32_t>(message_.size() - others);
    return decoded;
  }

  bool more() const override { return next_ < count_; }

  Decoded decode_next(columns::Batch& batch, std::size_t row) override {
    batch.bytes[row] = static_cast<std::int32_t>(frame_.records()[next_].json.size());
    batch.record_index[row] = static_cast<std::int32_t>(next_);
    return record(batch, row);
  }

  void move_to(columns::Batch& batch, std::string_view payload) override {
    char* const copy = batch.arena.allocate(payload.size() + columns::Batch::kPadding);
    std::memcpy(copy, payload.data(), payload.size());
    frame_.rebase(message_.data(), copy);
    message_ = {copy, payload.size()};
    entered_ = kNowhere;
  }

 private:
  static constexpr std::size_t kNowhere = SIZE_MAX;

  Decoded record(columns::Batch& batch, std::size_t index) {
    const auto& record = frame_.records()[next_++];
    if (record.scope != entered_) enter(batch, record.scope);
    row_.begin(batch, index);
    if (row_.spoilt() != nullptr) return row_.fail(row_.spoilt());
    if (const auto wrong = read_record(record.json); wrong != nullptr) return row_.fail(wrong);
    return row_.finish();
  }

  void enter(columns::Batch& batch, std::size_t scope) {
    const bool same_resource = entered_ != kNowhere && frame_.scope(entered_).resource == frame_.scope(scope).resource;
    entered_ = scope;
    if (!same_resource) {
      row_.begin_resource(batch);
      if (const auto wrong = owner(OtlpOwner::kResource, frame_.resource(frame_.scope(scope).resource)); wrong != nullptr)
        return row_.spoil(wrong);
      row_.end_resource();
    }
    if (row_.spoilt_by_resource()) return;
    row_.begin_scope();
    name_ = version_ = {};
    if (const auto wrong = owner(OtlpOwner::kScope, frame_.scope(scope).json); wrong != nullptr) return row_.spoil_scope(wrong);
    row_.end_scope(name_, version_);
  }

  const char* owner(OtlpOwner owner, std::string_view json) {
    if (json.empty()) return nullptr;
    dom::object object;
    if (const auto wrong = parse(json, object, kNotOwner); wrong != nullptr) return wrong;
    for (const auto [key, value] : object) {
      if (key == "attributes")
        if (const auto wrong = attributes(owner, value); wrong != nullptr) return wrong;
      if (owner == OtlpOwner::kScope && (key == "name" || key == "version")) {
        std::string_view text;
        if (value.get(text) == simdjson::SUCCESS && kind_in(text) != TextKind::kInvalid) (key == "name" ? name_ : version_) = text;
      }
    }
    return nullptr;
  }

  const char* parse(std::string_view json, dom::object& object, const char* otherwise) {
    dom::element element;
    if (const auto error = parser_.parse(json.data(), json.size(), false).get(element); error != simdjson::SUCCESS) return text_of(error);
    return element.get(object) == simdjson::SUCCESS ? nullptr : otherwise;
  }

  const char* attributes(OtlpOwner owner, dom::element list) {
    dom::array pairs;
    if (list.is_null()) return nullptr;
    if (list.get(pairs) != simdjson::SUCCESS) return kNotPairs;
    for (const auto pair : pairs) {
      dom::object member;
      std::string_view key;
      if (pair.get(member) != simdjson::SUCCESS || member["key"].get(key) != simdjson::SUCCESS || kind_in(key) == TextKind::kInvalid)
        return kNotPairs;
      const auto begins = row_.open(key, TextKind::kUnicode);
      dom::element value;
      if (member["value"].get(value) != simdjson::SUCCESS) {
        row_.json().put("null");
        continue;
      }
      Scalar scalar;
      bool none = false;
      if (const auto wrong = put_any(row_.json(), value, 0, scalar, none); wrong != nullptr) return wrong;
      if (!none) row_.attribute(owner, key, scalar, begins, false);
    }
    return nullptr;
  }

  const char* read_record(std::string_view json) {
    dom::object object;
    if (const auto wrong = parse(json, object, kNotRecord); wrong != nullptr) return wrong;
    for (const auto [key, value] : object) {
      if (value.is_null()) continue;
      if (key == "attributes") {
        if (const auto wrong = attributes(OtlpOwner::kRecord, value); wrong != nullptr) return wrong;
      } else if (key == "body") {
        if (const auto wrong = body(value); wrong != nullptr) return wrong;
      } else {
        single(key, value);
      }
    }
    return nullptr;
  }

  void single(std::string_view key, dom::element value) {
    if (key == "timeUnixNano") return time(OtlpField::kTime, value);
    if (key == "observedTimeUnixNano") return time(OtlpField::kObservedTime, value);
    if (key == "severityNumber") return number(OtlpField::kSeverityNumber, value);
    if (key == "flags") return number(OtlpField::kFlags, value);
    if (key == "severityText") return text(OtlpField::kSeverityText, value);
    if (key == "eventName") return text(OtlpField::kEventName, value);
    if (key == "traceId") return id(OtlpField::kTraceId, value, 16);
    if (key == "spanId") return id(OtlpField::kSpanId, value, 8);
  }

  void time(OtlpField field, dom::element value) {
    if (const auto nanos = unsigned_of(value)) return row_.time(field, *nanos);
    if (row_.wants(field)) row_.mismatch();
  }
  void number(OtlpField field, dom::element value) {
    if (const auto number = integer_of(value)) return row_.number(field, *number);
    if (row_.wants(field)) row_.mismatch();
  }
  void text(OtlpField field, dom::element value) {
    std::string_view text;
    if (!row_.wants(field)) return;
    if (value.get(text) != simdjson::SUCCESS || kind_in(text) == TextKind::kInvalid) return row_.mismatch();
    if (!text.empty()) row_.field_text(field, row_.batch().arena.copy(text));
  }
  void id(OtlpField field, dom::element value, std::size_t size) {
    std::string_view hex;
    if (!row_.wants(field)) return;
    if (value.get(hex) != simdjson::SUCCESS) return row_.mismatch();
    if (hex.empty()) return;
    char bytes[16];
    const auto digit = [](char c) {
      return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    };
    if (hex.size() != size * 2) return row_.mismatch();
    for (std::size_t i = 0; i < size; ++i) {
      const auto high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);
      if (high < 0 || low < 0) return row_.mismatch();
      bytes[i] = static_cast<char>(high << 4 | low);
    }
    row_.id(field, {bytes, size}, size);
  }

  const char* body(dom::element value) {
    const auto begins = row_.json().size();
    Scalar scalar;
    bool none = false;
    const auto wrong = put_any(row_.json(), value, 0, scalar, none);
    if (wrong == nullptr && !none) row_.field_json(OtlpField::kBody, scalar, begins);
    row_.json().cut(begins);
    return wrong;
  }

  OtlpRow row_;
  OtlpJsonFrame frame_;
  dom::parser parser_;
  std::string_view message_, name_, version_;
  std::size_t next_ = 0, count_ = 0;
  std::size_t entered_ = kNowhere;  // scope
};

}  // namespace

base::Result<std::unique_ptr<Decoder>> open_otlp_json(const Field& ts, const std::vector<Field>& fields, Options options) {
  auto decoder = std::make_unique<JsonDecoder>();
  TRY_VOID(decoder->prepare(ts, fields, options));
  return decoder;
}

}  // namespace headpond::decode
