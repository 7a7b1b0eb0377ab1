#include "decode/decoder.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "decode/convert.h"
#include "decode/key_trie.h"
#include "decode/plain_json.h"
#include "decode/scalar.h"

namespace headpond::decode {
namespace {

namespace od = simdjson::ondemand;

constexpr std::uint8_t kUnset = 255;
constexpr std::int32_t kSeverityForPattern = 13;  // WARN and above

std::string_view rtrim(std::string_view token) {
  while (!token.empty() && (token.back() == ' ' || token.back() == '\n' || token.back() == '\r' || token.back() == '\t'))
    token.remove_suffix(1);
  return token;
}

class JsonDecoder {
 public:
  base::Result<void> prepare(Encoding encoding, const Field& ts, const std::vector<Field>& fields) {
    encoding_ = encoding;
    fields_ = fields;
    ts_slot_ = static_cast<std::uint16_t>(fields.size());
    message_slot_ = static_cast<std::uint16_t>(fields.size() + 1);
    best_.resize(fields.size() + 2);
    for (std::size_t i = 0; i < fields.size(); ++i) {
      TRY_VOID(add_pointers(fields[i], static_cast<std::uint16_t>(i)));
      TRY_VOID(check_default(fields[i]));
      if (fields[i].name == "severity_number" && (fields[i].type == columns::Type::kInt32 || fields[i].type == columns::Type::kInt64))
        severity_slot_ = static_cast<std::uint16_t>(i);
    }
    TRY_VOID(add_pointers(ts, ts_slot_));
    return add_pointers({.name = "message", .from = {"/message", "/body", "/msg", "/log"}, .default_value = {}}, message_slot_);
  }

  Decoded decode(columns::Batch& batch, const columns::Batch::Row& row) {
    batch_ = &batch;
    row_ = row.index;
    forget();
    if (encoding_ == Encoding::kJson && row.payload.data() != nullptr && !plain_.parse(row.payload, trie_.root(), *this)) {
      clear_cells();
      forget();
      if (const auto error = parse(row.payload); error != nullptr) {
        fail_row(error);
        return out_;
      }
    }
    apply_defaults();
    set_pattern();
    return out_;
  }

  // A value, not null, under a key of the trie.
  void take(const KeyTrie::Node& node, const Scalar& scalar) {
    for (const Want& want : node.wants)
      if (want.rank < best_[want.slot]) {
        best_[want.slot] = want.rank;
        set(want.slot, scalar);
      }
  }

 private:
  void forget() {
    out_ = {};
    message_ = {};
    std::memset(best_.data(), kUnset, best_.size());
  }
  void clear_cells() {
    for (auto& column : batch_->declared) column.valid[row_] = 0;
  }

  base::Result<void> add_pointers(const Field& field, std::uint16_t slot) {
    for (std::size_t rank = 0; rank < field.from.size(); ++rank) {
      if (rank >= kUnset) return base::fail(base::ErrorKind::kInvalid, "column " + field.name + ": more than 254 pointers");
      if (auto added = trie_.add(field.from[rank], {slot, static_cast<std::uint8_t>(rank)}); !added)
        return std::unexpected(std::move(added).error().within("column " + field.name));
    }
    return {};
  }

  static Scalar default_scalar(const Field& field) {
    Scalar s;
    s.text = *field.default_value;
    return s;
  }

  base::Result<void> check_default(const Field& field) {
    if (!field.default_value) return {};
    columns::Column probe;
    probe.type = field.type;
    probe.valid.resize(1);
    probe.ints.resize(1);
    probe.doubles.resize(1);
    probe.strings.resize(1);
    if (set_cell(probe, 0, default_scalar(field), times_)) return {};
    return base::fail(base::ErrorKind::kInvalid,
                      "column " + field.name + ": the default '" + *field.default_value + "' does not fit its type");
  }

  // Null: parsed. Else what is wrong, a static text.
  const char* parse(std::string_view payload) {
    if (payload.empty()) return "empty payload";
    od::document document;
    if (auto error = parser_.iterate(payload.data(), payload.size(), payload.size() + columns::Batch::kPadding).get(document);
        error != simdjson::SUCCESS)
      return simdjson::error_message(error);
    od::json_type type;
    if (auto error = document.type().get(type); error != simdjson::SUCCESS) return simdjson::error_message(error);
    if (type != od::json_type::object) return "not a JSON object";
    od::object object;
    if (auto error = document.get_object().get(object); error != simdjson::SUCCESS) return simdjson::error_message(error);
    if (auto error = walk_object(object, trie_.root()); error != simdjson::SUCCESS) return simdjson::error_message(error);
    if (document.current_location().error() == simdjson::SUCCESS) return "content behind the JSON object";
    return nullptr;
  }

  simdjson::error_code walk_object(od::object& object, const KeyTrie::Node& node) {
    for (auto result : object) {
      od::field field;
      if (const auto error = std::move(result).get(field); error != simdjson::SUCCESS) return error;
      const KeyTrie::Node* child = nullptr;
      const char* begin = field.key().raw();
      const char* end = static_cast<const char*>(std::memchr(begin, '"', 1u << 16));
      if (end != nullptr && std::memchr(begin, '\\', static_cast<std::size_t>(end - begin)) == nullptr) {
        child = node.find({begin, static_cast<std::size_t>(end - begin)});
      } else {
        std::string_view key;
        if (const auto error = field.unescaped_key().get(key); error != simdjson::SUCCESS) return error;
        child = node.find(key);
      }
      if (child == nullptr) continue;
      if (const auto error = take_value(field.value(), *child); error != simdjson::SUCCESS) return error;
    }
    return simdjson::SUCCESS;
  }

  simdjson::error_code walk_array(od::array& array, const KeyTrie::Node& node) {
    std::size_t index = 0;
    for (auto result : array) {
      od::value value;
      if (const auto error = std::move(result).get(value); error != simdjson::SUCCESS) return error;
      if (const auto* child = node.find(std::to_string(index++)); child != nullptr)
        if (const auto error = take_value(value, *child); error != simdjson::SUCCESS) return error;
    }
    return simdjson::SUCCESS;
  }

  bool wanted(const KeyTrie::Node& node) const {
    return std::any_of(node.wants.begin(), node.wants.end(), [&](const Want& want) { return want.rank < best_[want.slot]; });
  }

  simdjson::error_code take_value(od::value value, const KeyTrie::Node& node) {
    od::json_type type;
    if (const auto error = value.type().get(type); error != simdjson::SUCCESS) return error;
    if (!node.children.empty() && type == od::json_type::object) {
      od::object object;
      if (const auto error = value.get_object().get(object); error != simdjson::SUCCESS) return error;
      return walk_object(object, node);
    }
    if (!node.children.empty() && type == od::json_type::array) {
      od::array array;
      if (const auto error = value.get_array().get(array); error != simdjson::SUCCESS) return error;
      return walk_array(array, node);
    }
    if (!wanted(node)) return simdjson::SUCCESS;
    Scalar scalar;
    bool null = false;
    if (const auto error = read(value, type, scalar, null); error != simdjson::SUCCESS) return error;
    if (!null) take(node, scalar);
    return simdjson::SUCCESS;
  }

  simdjson::error_code read(od::value& value, od::json_type type, Scalar& out, bool& null) {
    out.text = rtrim(value.raw_json_token());
    switch (type) {
      case od::json_type::string: return read_string(value, out);
      case od::json_type::number: return read_number(value, out);
      case od::json_type::boolean: {
        bool b = false;
        if (const auto error = value.get_bool().get(b); error != simdjson::SUCCESS) return error;
        out.kind = Scalar::Kind::kBool;
        out.integer = b ? 1 : 0;
        return simdjson::SUCCESS;
      }
      case od::json_type::null: {
        if (out.text != "null") return simdjson::N_ATOM_ERROR;
        null = true;
        return simdjson::SUCCESS;
      }
      default: {
        std::string_view json;
        const auto error = type == od::json_type::object ? raw_object(value, json) : raw_array(value, json);
        out.kind = Scalar::Kind::kStructure;
        out.text = rtrim(json);
        return error;
      }
    }
  }

  static simdjson::error_code raw_object(od::value& value, std::string_view& json) {
    od::object object;
    if (const auto error = value.get_object().get(object); error != simdjson::SUCCESS) return error;
    return object.raw_json().get(json);
  }

  static simdjson::error_code raw_array(od::value& value, std::string_view& json) {
    od::array array;
    if (const auto error = value.get_array().get(array); error != simdjson::SUCCESS) return error;
    return array.raw_json().get(json);
  }

  simdjson::error_code read_string(od::value& value, Scalar& out) {
    out.kind = Scalar::Kind::kText;
    if (std::memchr(out.text.data(), '\\', out.text.size()) == nullptr) {
      if (out.text.size() < 2 || out.text.back() != '"') return simdjson::STRING_ERROR;
      out.text = out.text.substr(1, out.text.size() - 2);
      return simdjson::SUCCESS;
    }
    std::string_view unescaped;
    if (const auto error = value.get_string().get(unescaped); error != simdjson::SUCCESS) return error;
    out.text = batch_->arena.copy(unescaped);
    return simdjson::SUCCESS;
  }

  static simdjson::error_code read_number(od::value& value, Scalar& out) {
    od::number number;
    if (const auto error = value.get_number().get(number); error != simdjson::SUCCESS) {
      // An integer beyond 64 bits is valid JSON; as a double it may still serve.
      const auto real = error == simdjson::NUMBER_ERROR ? double_of_text(out.text) : std::nullopt;
      if (!real) return error;
      out.kind = Scalar::Kind::kUnsigned;
      out.real = *real;
      return simdjson::SUCCESS;
    }
    switch (number.get_number_type()) {
      case od::number_type::signed_integer:
        out.kind = Scalar::Kind::kInt;
        out.integer = number.get_int64();
        break;
      case od::number_type::unsigned_integer:
        out.kind = Scalar::Kind::kUnsigned;
        out.real = static_cast<double>(number.get_uint64());
        break;
      default: out.kind = Scalar::Kind::kDouble; out.real = number.get_double();
    }
    return simdjson::SUCCESS;
  }

  void set(std::uint16_t slot, const Scalar& scalar) {
    if (slot >= ts_slot_) return slot == ts_slot_ ? set_ts(scalar) : set_message(scalar);
    auto& column = batch_->declared[slot];
    if (column.type == columns::Type::kString) return column.set_string(row_, scalar.text);
    if (slot == severity_slot_ && scalar.kind == Scalar::Kind::kText)
      if (const auto number = severity_of_word(scalar.text)) return column.set_int(row_, *number);
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
    if (scalar.kind == Scalar::Kind::kText) message_ = scalar.text;
  }

  void apply_defaults() {
    for (std::size_t i = 0; i < fields_.size(); ++i)
      if (best_[i] == kUnset && fields_[i].default_value) set(static_cast<std::uint16_t>(i), default_scalar(fields_[i]));
  }

  void set_pattern() {
    if (severity_slot_ == kNoSlot || message_.data() == nullptr) return;
    const auto& severity = batch_->declared[severity_slot_];
    if (severity.valid[row_] == 0 || severity.ints[row_] < kSeverityForPattern) return;
    batch_->pattern_id[row_] = pattern_id(message_);
    batch_->pattern_id_valid[row_] = 1;
  }

  void fail_row(const char* why) {
    clear_cells();
    batch_->error[row_] = why;
    out_ = {.ts = std::nullopt, .malformed = true, .mismatches = 0};
  }

  static constexpr std::uint16_t kNoSlot = 0xFFFF;
  Encoding encoding_ = Encoding::kJson;
  od::parser parser_;
  PlainJson<JsonDecoder> plain_;
  TimeText times_;
  KeyTrie trie_;
  std::vector<Field> fields_;
  std::uint16_t ts_slot_ = 0, message_slot_ = 0;  // behind those of the fields
  std::uint16_t severity_slot_ = kNoSlot;

  // Of the row being decoded.
  columns::Batch* batch_ = nullptr;
  std::size_t row_ = 0;
  std::vector<std::uint8_t> best_;  // rank of the source each slot has, kUnset = none
  std::string_view message_;
  Decoded out_;
};

}  // namespace

class Decoder::Impl {
 public:
  JsonDecoder json;
};

Decoder::Decoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Decoder::~Decoder() = default;

Decoded Decoder::decode(columns::Batch& batch, const columns::Batch::Row& row) {
  return impl_->json.decode(batch, row);
}

base::Result<std::unique_ptr<Decoder>> Decoder::open(Encoding encoding, const Field& ts, const std::vector<Field>& fields) {
  auto impl = std::make_unique<Impl>();
  TRY_VOID(impl->json.prepare(encoding, ts, fields));
  return std::unique_ptr<Decoder>(new Decoder(std::move(impl)));
}

}  // namespace headpond::decode
