// A JSON record decodes the same by the plain parser, by the plain parser that has seen it before, and by simdjson alone; the plain parser
// takes nothing that simdjson, checking every value, does not; what is an error leaves no cell behind. (Of text that is no JSON, simdjson's
// own on-demand reader checks only what it is asked for, so nothing is compared there.)
#include <simdjson.h>

#include "decode/plain_json.h"
#include "fuzz.h"

namespace {

using namespace headpond;
using columns::Type;

const std::vector<decode::Field> kFields = {{"severity_number", Type::kInt32, {"/severity_number", "/level"}, {}},
                                            {"service", Type::kString, {"/service", "/a/b"}, {}},
                                            {"status", Type::kInt32, {"/status", "/http/status"}, {}},
                                            {"duration_ms", Type::kDouble, {"/duration_ms"}, {}},
                                            {"ok", Type::kBool, {"/ok"}, {}},
                                            {"seen", Type::kTimestamp, {"/seen"}, {}},
                                            {"large", Type::kInt64, {"/large"}, {}},
                                            {"a", Type::kString, {"/a"}, {}}};
const decode::Field kTs{"ts", Type::kTimestamp, {"/ts"}, {}};

columns::Batch batch_of() {
  std::vector<columns::ColumnSpec> specs;
  for (const auto& field : kFields) specs.push_back({field.name, field.type});
  return columns::Batch(specs);
}

// The same object with a first member that the plain parser leaves to simdjson. Empty: it has no member, or does not begin as one.
std::string not_plain(std::string_view payload) {
  const auto brace = payload.find_first_not_of(" \n\r\t");
  if (brace == payload.npos || payload[brace] != '{') return "";
  const auto next = payload.find_first_not_of(" \n\r\t", brace + 1);
  if (next == payload.npos || payload[next] == '}') return "";
  return std::string(payload.substr(0, brace)) + R"({"\u0007":0,)" + std::string(payload.substr(brace + 1));
}

struct Deaf {
  void take(const decode::KeyTrie::Node&, const decode::Scalar&) {}
};

bool plain_takes(std::string_view payload) {
  const auto padded = std::make_unique<simdjson::padded_string>(payload);
  decode::PlainJson<Deaf> plain;
  decode::KeyTrie trie;
  Deaf sink;
  return plain.parse({padded->data(), padded->size()}, trie.root(), sink);
}

bool is_json(std::string_view payload) {
  static simdjson::dom::parser parser;
  return parser.parse(simdjson::padded_string(payload)).error() == simdjson::SUCCESS;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static columns::Batch batch = batch_of();
  const auto decoder = std::move(*decode::Decoder::open(decode::Encoding::kJson, kTs, kFields));
  const auto decode = [&](std::string_view payload) {
    batch.reset();
    const auto row = batch.begin_row(payload);
    const auto decoded = decoder->decode(batch, row);
    batch.bytes[row.index] = 0;
    if (decoded.malformed)
      for (const auto& column : batch.declared) fuzz::require(column.valid[0] == 0, "an error leaves no cell");
    fuzz::require(decoded.malformed == (batch.error[0].data() != nullptr), "error is set where it is malformed");
    return fuzz::text_of(batch, 0, decoded);
  };
  const std::string payload(reinterpret_cast<const char*>(data), size);
  const auto first = decode(payload);
  fuzz::require(decode(payload) == first, "a record seen before decodes the same");
  const bool json = is_json(payload);
  fuzz::require(json || !plain_takes(payload), "the plain parser takes nothing but JSON");
  const auto other = json ? not_plain(payload) : "";
  if (!other.empty() && batch.error[0].data() == nullptr) fuzz::require(decode(other) == first, "simdjson agrees with the plain parser");
  return 0;
}
