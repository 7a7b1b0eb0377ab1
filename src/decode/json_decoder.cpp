#include "decode/json_decoder.h"

#include <simdjson.h>

#include <algorithm>
#include <cstring>

#include "decode/convert.h"
#include "decode/json_text.h"
#include "decode/key_trie.h"
#include "decode/plain_json.h"
#include "decode/row_cells.h"

namespace headpond::decode {
namespace {

namespace od = simdjson::ondemand;

std::string_view rtrim(std::string_view token) {
  while (!token.empty() && (token.back() == ' ' || token.back() == '\n' || token.back() == '\r' || token.back() == '\t'))
    token.remove_suffix(1);
  return token;
}

class JsonDecoder final : public Decoder {
 public:
  base::Result<void> prepare(const Field& ts, const std::vector<Field>& fields, Options options) {
    with_rest_ = options.rest;
    TRY_VOID(cells_.prepare(ts, fields, options));
    for (std::size_t i = 0; i < fields.size(); ++i) TRY_VOID(add_pointers(fields[i], static_cast<std::uint16_t>(i)));
    TRY_VOID(add_pointers(ts, cells_.ts_slot()));
    return add_pointers({.name = "message", .from = {"/message", "/body", "/msg", "/log"}, .default_value = {}}, cells_.message_slot());
  }

  Decoded decode(columns::Batch& batch, const columns::Batch::Row& row) override {
    cells_.begin(batch, row.index);
    if (row.payload.data() != nullptr && !plain_.parse(row.payload, trie_.root(), *this)) {
      cells_.restart();
      if (const auto error = parse(row.payload); error != nullptr) return cells_.fail(error);
    }
    const auto decoded = cells_.finish();
    if (with_rest_ && row.payload.data() != nullptr)
      if (const auto error = put_rest(row.payload); error != nullptr) return cells_.fail(error);
    return decoded;
  }

  // A value, not null, under a key of the trie.
  void take(const KeyTrie::Node& node, const Scalar& scalar) { cells_.take(node.wants, scalar); }

 private:
  base::Result<void> add_pointers(const Field& field, std::uint16_t slot) {
    for (std::size_t rank = 0; rank < field.from.size(); ++rank)
      if (auto added = trie_.add(field.from[rank], {slot, static_cast<std::uint8_t>(rank)}); !added)
        return std::unexpected(std::move(added).error().within("column " + field.name));
    return {};
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
    if (!cells_.wanted(node.wants)) return simdjson::SUCCESS;
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
    out.text = cells_.batch().arena.copy(unescaped);
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

  // What no column holds, as one object in the order of the record. Null, or what is wrong with the record.
  const char* put_rest(std::string_view payload) {
    simdjson::dom::element checked;
    if (const auto error = checker_.parse(payload.data(), payload.size(), false).get(checked); error != simdjson::SUCCESS)
      return simdjson::error_message(error);
    od::document document;
    od::object object;
    if (parser_.iterate(payload.data(), payload.size(), payload.size() + columns::Batch::kPadding).get(document) != simdjson::SUCCESS ||
        document.get_object().get(object) != simdjson::SUCCESS)
      return "not a JSON object";
    rest_.clear();
    held_.clear();
    for (auto result : object) {
      od::field field;
      if (std::move(result).get(field) != simdjson::SUCCESS) return "not a JSON object";
      const char* const key = field.key().raw();
      std::string_view name;
      if (field.unescaped_key().get(name) != simdjson::SUCCESS) return "a key that cannot be read";
      const auto* const node = trie_.root().find(name);
      od::value value = field.value();
      if (node != nullptr && node->children.empty() && cells_.holds(node->wants) && std::ranges::find(held_, node) == held_.end()) {
        held_.push_back(node);
        continue;
      }
      std::string_view json;
      if (raw_value(value, json) != simdjson::SUCCESS) return "a value that cannot be read";
      rest_.put(rest_.empty() ? "{\"" : ",\"");
      rest_.put({key, static_cast<std::size_t>(end_of_key(key) - key)});
      rest_.put("\":");
      rest_.put(json);
    }
    if (rest_.empty()) return nullptr;
    rest_.put('}');
    auto& batch = cells_.batch();
    batch.declared[cells_.fields().size()].set_string(cells_.row(), batch.arena.copy(rest_.view()));
    return nullptr;
  }

  // Of an escaped key as well.
  static const char* end_of_key(const char* at) {
    for (; *at != '"'; ++at)
      if (*at == '\\') ++at;
    return at;
  }

  static simdjson::error_code raw_value(od::value& value, std::string_view& json) {
    od::json_type type;
    if (const auto error = value.type().get(type); error != simdjson::SUCCESS) return error;
    if (type == od::json_type::object || type == od::json_type::array) {
      const auto error = type == od::json_type::object ? raw_object(value, json) : raw_array(value, json);
      json = rtrim(json);
      return error;
    }
    json = rtrim(value.raw_json_token());
    return simdjson::SUCCESS;
  }

  od::parser parser_;
  simdjson::dom::parser checker_;
  bool with_rest_ = false;
  JsonText rest_;
  std::vector<const KeyTrie::Node*> held_;  // top-level members that columns hold: a second of the name is not held
  PlainJson<JsonDecoder> plain_;
  KeyTrie trie_;
  RowCells cells_;
};

}  // namespace

base::Result<std::unique_ptr<Decoder>> open_json(const Field& ts, const std::vector<Field>& fields, Options options) {
  auto decoder = std::make_unique<JsonDecoder>();
  TRY_VOID(decoder->prepare(ts, fields, options));
  return decoder;
}

}  // namespace headpond::decode
