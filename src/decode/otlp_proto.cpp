#include <bit>
#include <cmath>

#include "decode/otlp_decoder.h"
#include "decode/otlp_row.h"
#include "decode/wire.h"

// Field numbers: opentelemetry/proto/{collector/logs/v1/logs_service,logs/v1/logs,common/v1/common,resource/v1/resource}.proto.
namespace headpond::decode {
namespace {

constexpr int kDepthMax = 32;
constexpr char kCut[] = "not an OTLP message: its protobuf is cut or damaged";
constexpr char kCutRecord[] = "the log record's protobuf is cut or damaged";
constexpr char kCutOwner[] = "the protobuf of its resource or scope is cut or damaged";
constexpr char kNotUtf8[] = "a text of the log record is not UTF-8";
constexpr char kNotUtf8Owner[] = "a text of its resource or scope is not UTF-8";
constexpr char kTooDeep[] = "a value is nested deeper than 32";

struct AnyValue {
  enum class Which { kNone, kText, kBool, kInt, kDouble, kArray, kMap, kBytes } which = Which::kNone;
  std::string_view bytes;  // kText, kArray, kMap, kBytes
  std::uint64_t number = 0;
  TextKind kind = TextKind::kPlain;  // of kText

  // Null, or what is wrong. The last of several counts.
  const char* read(std::string_view message) {
    WireReader reader(message);
    while (reader.next()) {
      if (reader.type() == WireType::kBytes) {
        const auto which_bytes = which_of_bytes(reader.field());
        if (which_bytes == Which::kNone) continue;
        which = which_bytes;
        bytes = reader.bytes();
      } else if (reader.is(2, WireType::kVarint) || reader.is(3, WireType::kVarint) || reader.is(4, WireType::kFixed64)) {
        which = reader.field() == 2 ? Which::kBool : reader.field() == 3 ? Which::kInt : Which::kDouble;
        number = reader.varint();
      }
    }
    if (!reader.ok()) return kCutRecord;
    if (which != Which::kText) return nullptr;
    kind = kind_of(bytes);
    return kind == TextKind::kInvalid ? kNotUtf8 : nullptr;
  }

  static Which which_of_bytes(std::uint32_t field) {
    switch (field) {
      case 1: return Which::kText;
      case 5: return Which::kArray;
      case 6: return Which::kMap;
      case 7: return Which::kBytes;
      default: return Which::kNone;
    }
  }

  bool is_plain() const {
    return which == Which::kText || which == Which::kInt || (which == Which::kDouble && std::isfinite(std::bit_cast<double>(number)));
  }
  // Requires is_plain(). Only a text has its text.
  Scalar plain() const {
    Scalar s;
    s.text = {bytes.data(), bytes.size()};  // apart, as they were just stored
    s.kind = which == Which::kText ? Scalar::Kind::kText : which == Which::kInt ? Scalar::Kind::kInt : Scalar::Kind::kDouble;
    s.integer = static_cast<std::int64_t>(number);
    s.real = std::bit_cast<double>(number);
    return s;
  }

  // Requires what put() has put, from `begins` on, for the kinds whose text is JSON.
  Scalar scalar(const JsonText& json, std::size_t begins) const {
    Scalar s;
    switch (which) {
      case Which::kNone: break;
      case Which::kText: s.text = bytes; break;
      case Which::kBool:
        s.kind = Scalar::Kind::kBool;
        s.integer = number != 0;
        break;
      case Which::kInt:
        s.kind = Scalar::Kind::kInt;
        s.integer = static_cast<std::int64_t>(number);
        break;
      case Which::kDouble:
        s.kind = Scalar::Kind::kDouble;
        s.real = std::bit_cast<double>(number);
        if (json.view()[begins] != '"') break;
        [[fallthrough]];  // no number that JSON has
      case Which::kBytes:
        s.kind = Scalar::Kind::kText;
        s.text = json.view().substr(begins + 1, json.size() - begins - 2);
        break;
      case Which::kArray:
      case Which::kMap: s.kind = Scalar::Kind::kStructure; break;
    }
    return s;
  }
};

const char* put(JsonText& json, const AnyValue& value, int depth);

const char* put_array(JsonText& json, std::string_view message, int depth) {
  WireReader reader(message);
  json.put('[');
  for (bool first = true; reader.next();) {
    if (!reader.is(1, WireType::kBytes)) continue;
    if (!std::exchange(first, false)) json.put(',');
    AnyValue value;
    if (const auto wrong = value.read(reader.bytes()); wrong != nullptr) return wrong;
    if (const auto wrong = put(json, value, depth); wrong != nullptr) return wrong;
  }
  json.put(']');
  return reader.ok() ? nullptr : kCutRecord;
}

struct KeyValue {
  std::string_view key;
  TextKind kind = TextKind::kPlain;
  AnyValue value;

  // As nearly all are: a short key, then a text, an integer or a double, and nothing else. Sets neither `kind` nor the text's. False:
  // read() has to say, of another KeyValue.
  [[gnu::always_inline]] bool read_plain(std::string_view message) {
    constexpr char kKey = 1 << 3 | 2, kValue = 2 << 3 | 2, kText = 1 << 3 | 2, kInt = 3 << 3, kDouble = 4 << 3 | 1;
    const char* const begin = message.data();
    const char* const end = begin + message.size();
    if (message.size() < 4 || begin[0] != kKey) return false;
    const auto key_size = static_cast<unsigned char>(begin[1]);
    if (key_size >= 0x80 || message.size() < key_size + 5u) return false;
    const char* const at = begin + 2 + key_size;
    const char* const any = at + 2;
    const auto any_size = static_cast<unsigned char>(at[1]);
    if (at[0] != kValue || any_size >= 0x80 || any_size < 2 || any + any_size != end) return false;
    key = {begin + 2, key_size};
    switch (*any) {
      case kText:
        value.which = AnyValue::Which::kText;
        value.bytes = {any + 2, any_size - 2u};
        return static_cast<unsigned char>(any[1]) == any_size - 2;
      case kInt: {
        value.which = AnyValue::Which::kInt;
        value.number = 0;
        unsigned shift = 0;
        const char* digit = any + 1;
        for (; digit < end && shift < 63; shift += 7) {
          value.number |= static_cast<std::uint64_t>(*digit & 0x7F) << shift;
          if (static_cast<signed char>(*digit++) >= 0) return digit == end;
        }
        return false;
      }
      case kDouble:
        value.which = AnyValue::Which::kDouble;
        std::memcpy(&value.number, any + 1, sizeof value.number);
        return any_size == 9;
      default: return false;
    }
  }

  const char* read(std::string_view message) {
    WireReader reader(message);
    std::string_view value_message;
    while (reader.next()) {
      if (reader.is(1, WireType::kBytes)) key = reader.bytes();
      if (reader.is(2, WireType::kBytes)) value_message = reader.bytes();
    }
    if (!reader.ok()) return kCutRecord;
    if (key.data() == nullptr) key = "";
    kind = key.empty() ? TextKind::kPlain : kind_of(key);
    if (kind == TextKind::kInvalid) return kNotUtf8;
    return value.read(value_message);
  }
};

const char* put_map(JsonText& json, std::string_view message, int depth) {
  WireReader reader(message);
  json.put('{');
  for (bool first = true; reader.next();) {
    if (!reader.is(1, WireType::kBytes)) continue;
    if (!std::exchange(first, false)) json.put(',');
    KeyValue member;
    if (const auto wrong = member.read(reader.bytes()); wrong != nullptr) return wrong;
    json.string(member.key, member.kind);
    json.put(':');
    if (const auto wrong = put(json, member.value, depth); wrong != nullptr) return wrong;
  }
  json.put('}');
  return reader.ok() ? nullptr : kCutRecord;
}

const char* put(JsonText& json, const AnyValue& value, int depth) {
  using Which = AnyValue::Which;
  switch (value.which) {
    case Which::kNone: json.put("null"); return nullptr;
    case Which::kText: json.string(value.bytes, value.kind); return nullptr;
    case Which::kBool: json.boolean(value.number != 0); return nullptr;
    case Which::kInt: json.integer(static_cast<std::int64_t>(value.number)); return nullptr;
    case Which::kDouble: json.real(std::bit_cast<double>(value.number)); return nullptr;
    case Which::kBytes: json.base64(value.bytes); return nullptr;
    case Which::kArray: return depth == kDepthMax ? kTooDeep : put_array(json, value.bytes, depth + 1);
    case Which::kMap: return depth == kDepthMax ? kTooDeep : put_map(json, value.bytes, depth + 1);
  }
  return nullptr;
}

// Where in a message its log records are.
class Cursor {
 public:
  Cursor() = default;
  explicit Cursor(std::string_view message) : resources_(message) {}

  // The next log record. False: none is left, or the frame is broken.
  bool next() {
    entered_resource_ = entered_scope_ = false;
    while (true) {
      while (records_.next())
        if (records_.is(2, WireType::kBytes)) return true;
      if (!records_.ok()) return fail();
      if (!next_scope()) return false;
    }
  }
  bool ok() const { return ok_; }
  std::string_view record() const { return records_.bytes(); }
  std::string_view resource_logs() const { return resource_logs_; }
  std::string_view scope_logs() const { return scope_logs_; }
  // Between the last two records.
  bool entered_resource() const { return entered_resource_; }
  bool entered_scope() const { return entered_scope_; }

  void rebase(const char* from, const char* to) {
    for (auto* reader : {&resources_, &scopes_, &records_}) reader->rebase(from, to);
    for (auto* part : {&resource_logs_, &scope_logs_})
      if (part->data() != nullptr) *part = {to + (part->data() - from), part->size()};
  }

 private:
  bool fail() { return ok_ = false; }
  bool next_scope() {
    while (true) {
      while (scopes_.next()) {
        if (!scopes_.is(2, WireType::kBytes)) continue;
        scope_logs_ = scopes_.bytes();
        records_ = WireReader(scope_logs_);
        entered_scope_ = true;
        return true;
      }
      if (!scopes_.ok()) return fail();
      do {
        if (!resources_.next()) return resources_.ok() ? false : fail();
      } while (!resources_.is(1, WireType::kBytes));
      resource_logs_ = resources_.bytes();
      scopes_ = WireReader(resource_logs_);
      entered_resource_ = true;
    }
  }

  WireReader resources_, scopes_, records_;
  std::string_view resource_logs_, scope_logs_;
  bool entered_resource_ = false, entered_scope_ = false, ok_ = true;
};

class ProtoDecoder final : public Decoder {
 public:
  base::Result<void> prepare(const Field& ts, const std::vector<Field>& fields, Options options) {
    return row_.prepare(ts, fields, options);
  }

  Decoded decode(columns::Batch& batch, const columns::Batch::Row& row) override {
    left_ = index_ = 0;
    row_.begin(batch, row.index);
    if (row.payload.data() == nullptr) return row_.finish_empty();
    message_ = row.payload;
    std::size_t record_bytes = 0;
    Cursor frame(message_);
    for (; frame.next(); ++left_) record_bytes += frame.record().size();
    if (!frame.ok()) {
      left_ = 0;
      return row_.fail(kCut);
    }
    if (left_ == 0) return row_.finish_empty();
    cursor_ = Cursor(message_);
    const auto decoded = record(batch, row.index);
    batch.bytes[row.index] = static_cast<std::int32_t>(message_.size() - record_bytes + cursor_.record().size());
    return decoded;
  }

  bool more() const override { return left_ > 0; }

  Decoded decode_next(columns::Batch& batch, std::size_t row) override {
    const auto decoded = record(batch, row);
    batch.bytes[row] = static_cast<std::int32_t>(cursor_.record().size());
    batch.record_index[row] = ++index_;
    return decoded;
  }

  void move_to(columns::Batch& batch, std::string_view payload) override {
    char* const copy = batch.arena.allocate(payload.size() + columns::Batch::kPadding);
    std::memcpy(copy, payload.data(), payload.size());
    cursor_.rebase(message_.data(), copy);
    message_ = {copy, payload.size()};
    enter_resource(batch);
    enter_scope();
  }

 private:
  Decoded record(columns::Batch& batch, std::size_t index) {
    HP_ASSERT(cursor_.next());
    --left_;
    if (cursor_.entered_resource()) enter_resource(batch);
    if (cursor_.entered_scope()) enter_scope();
    row_.begin(batch, index);
    if (row_.spoilt() != nullptr) return row_.fail(row_.spoilt());
    if (const auto wrong = read_record(cursor_.record()); wrong != nullptr) return row_.fail(wrong);
    return row_.finish();
  }

  static const char* of_owner(const char* wrong) { return wrong == kNotUtf8 ? kNotUtf8Owner : wrong == kCutRecord ? kCutOwner : wrong; }

  // A resource may come in several pieces, and behind its scopes.
  void enter_resource(columns::Batch& batch) {
    row_.begin_resource(batch);
    WireReader reader(cursor_.resource_logs());
    while (reader.next())
      if (reader.is(1, WireType::kBytes)) {
        WireReader resource(reader.bytes());
        while (resource.next())
          if (resource.is(1, WireType::kBytes))
            if (const auto wrong = attribute(OtlpOwner::kResource, resource.bytes()); wrong != nullptr) return row_.spoil(of_owner(wrong));
        if (!resource.ok()) return row_.spoil(kCutOwner);
      }
    row_.end_resource();
  }

  void enter_scope() {
    if (row_.spoilt_by_resource()) return;
    row_.begin_scope();
    std::string_view name, version;
    WireReader reader(cursor_.scope_logs());
    while (reader.next())
      if (reader.is(1, WireType::kBytes)) {
        WireReader scope(reader.bytes());
        while (scope.next()) {
          if (scope.is(1, WireType::kBytes)) name = scope.bytes();
          if (scope.is(2, WireType::kBytes)) version = scope.bytes();
          if (scope.is(3, WireType::kBytes))
            if (const auto wrong = attribute(OtlpOwner::kScope, scope.bytes()); wrong != nullptr) return row_.spoil_scope(of_owner(wrong));
        }
        if (!scope.ok()) return row_.spoil_scope(kCutOwner);
      }
    if (kind_of(name) == TextKind::kInvalid || kind_of(version) == TextKind::kInvalid) return row_.spoil_scope(kNotUtf8Owner);
    row_.end_scope(name, version);
  }

  const char* attribute(OtlpOwner owner, std::string_view message) {
    KeyValue pair;
    if (const auto wrong = pair.read(message); wrong != nullptr) return wrong;
    bool taken = false;
    if (owner == OtlpOwner::kRecord && pair.value.is_plain() && row_.attribute_held(pair.key, pair.value.plain(), taken)) return nullptr;
    return put_attribute(owner, pair, taken);
  }

  // A log record's.
  [[gnu::always_inline]] const char* attribute_of_record(std::string_view message) {
    KeyValue pair;
    if (!pair.read_plain(message)) return attribute(OtlpOwner::kRecord, message);
    auto& value = pair.value;
    if (value.which == AnyValue::Which::kText && (value.kind = kind_of(value.bytes)) == TextKind::kInvalid) return kNotUtf8;
    bool taken = false;
    if (value.is_plain() && row_.attribute_held(pair.key, value.plain(), taken)) return nullptr;  // a key that a column names is UTF-8
    pair.kind = kind_of(pair.key);
    return pair.kind == TextKind::kInvalid ? kNotUtf8 : put_attribute(OtlpOwner::kRecord, pair, taken);
  }

  const char* put_attribute(OtlpOwner owner, const KeyValue& pair, bool taken) {
    const auto begins = row_.open(pair.key, pair.kind);
    if (const auto wrong = put(row_.json(), pair.value, 0); wrong != nullptr) return wrong;
    if (taken || pair.value.which == AnyValue::Which::kNone) return nullptr;
    row_.attribute(owner, pair.key, pair.value.scalar(row_.json(), begins), begins, pair.value.which == AnyValue::Which::kText);
    return nullptr;
  }

  // What a log record says once: the last counts.
  struct Single {
    std::uint64_t time = 0, observed_time = 0;
    std::int32_t severity_number = 0;
    std::uint32_t flags = 0;
    std::string_view severity_text, body, trace_id, span_id, event_name;
  };

  const char* read_record(std::string_view message) {
    Single once;
    WireReader reader(message);
    while (reader.next()) {
      if (reader.is(6, WireType::kBytes)) {
        if (const auto wrong = attribute_of_record(reader.bytes()); wrong != nullptr) return wrong;
      } else {
        note(reader, once);
      }
    }
    return reader.ok() ? put_single(once) : kCutRecord;
  }

  static void note(const WireReader& reader, Single& once) {
    switch (reader.type()) {
      case WireType::kFixed64:
        if (reader.field() == 1) once.time = reader.fixed64();
        if (reader.field() == 11) once.observed_time = reader.fixed64();
        break;
      case WireType::kVarint:
        if (reader.field() == 2) once.severity_number = static_cast<std::int32_t>(reader.varint());
        break;
      case WireType::kFixed32:
        if (reader.field() == 8) once.flags = reader.fixed32();
        break;
      case WireType::kBytes:
        if (reader.field() == 3) once.severity_text = reader.bytes();
        if (reader.field() == 5) once.body = reader.bytes();
        if (reader.field() == 9) once.trace_id = reader.bytes();
        if (reader.field() == 10) once.span_id = reader.bytes();
        if (reader.field() == 12) once.event_name = reader.bytes();
        break;
      default: break;
    }
  }

  const char* put_single(const Single& once) {
    row_.time(OtlpField::kTime, once.time);
    row_.time(OtlpField::kObservedTime, once.observed_time);
    row_.number(OtlpField::kSeverityNumber, once.severity_number);
    row_.number(OtlpField::kFlags, once.flags);
    row_.id(OtlpField::kTraceId, once.trace_id, 16);
    row_.id(OtlpField::kSpanId, once.span_id, 8);
    if (const auto wrong = text(OtlpField::kSeverityText, once.severity_text); wrong != nullptr) return wrong;
    if (const auto wrong = text(OtlpField::kEventName, once.event_name); wrong != nullptr) return wrong;
    return once.body.empty() ? nullptr : body(once.body);
  }

  const char* text(OtlpField field, std::string_view text) {
    if (text.empty()) return nullptr;
    if (kind_of(text) == TextKind::kInvalid) return kNotUtf8;
    row_.field_text(field, text);
    return nullptr;
  }

  // Its JSON goes where the attributes' is, and is taken away again.
  const char* body(std::string_view message) {
    AnyValue value;
    if (const auto wrong = value.read(message); wrong != nullptr) return wrong;
    if (value.which == AnyValue::Which::kNone) return nullptr;
    if (value.which == AnyValue::Which::kText) return row_.field_text(OtlpField::kBody, value.bytes), nullptr;
    const auto begins = row_.json().size();
    const auto wrong = put(row_.json(), value, 0);
    if (wrong == nullptr) row_.field_json(OtlpField::kBody, value.scalar(row_.json(), begins), begins);
    row_.json().cut(begins);
    return wrong;
  }

  OtlpRow row_;
  std::string_view message_;
  Cursor cursor_;
  std::int64_t left_ = 0;
  std::int32_t index_ = 0;
};

}  // namespace

base::Result<std::unique_ptr<Decoder>> open_otlp_proto(const Field& ts, const std::vector<Field>& fields, Options options) {
  auto decoder = std::make_unique<ProtoDecoder>();
  TRY_VOID(decoder->prepare(ts, fields, options));
  return decoder;
}

}  // namespace headpond::decode
