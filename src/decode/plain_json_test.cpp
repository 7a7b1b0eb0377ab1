#include "decode/plain_json.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "decode/decoder.h"

namespace headpond::decode {
namespace {

struct Collected {
  std::string values;  // "key=text;" in order
  void take(const KeyTrie::Node& node, const Scalar& scalar) { values += node.key + "=" + std::string(scalar.text) + ";"; }
};

class PlainJsonTest : public ::testing::Test {
 protected:
  PlainJsonTest() {
    for (const auto* pointer : {"/a", "/bb", "/o/x", "/list/0", "/whole"}) EXPECT_TRUE(trie_.add(pointer, {0, 0}).has_value());
  }
  // Behind the document lies what could be taken for its continuation.
  bool parse(std::string_view document) {
    std::string buffer(document);
    buffer += R"("}}]],"a":1111111111111111111111111111111111111111111111111111111111111111)";
    collected_ = {};
    return parser_.parse({buffer.data(), document.size()}, trie_.root(), collected_);
  }

  KeyTrie trie_;
  PlainJson<Collected> parser_;
  Collected collected_;
};

TEST_F(PlainJsonTest, HandsOverWhatIsWanted) {
  for (int round = 0; round < 3; ++round) {  // learned keys and new ones give the same
    ASSERT_TRUE(parse(R"({"a":"x","no":[1,{"a":2},"]"],"bb":-12.50,"o":{"y":1,"x":true},"whole":{"k":[ 1]},"n":null,"bb":7})"));
    EXPECT_EQ(collected_.values, R"(a=x;bb=-12.50;x=true;whole={"k":[ 1]};bb=7;)");
    ASSERT_TRUE(parse("{ \"bb\" : 1 ,\n\t\"a\": false , \"o\":\"s\"}\r\n"));
    EXPECT_EQ(collected_.values, "bb=1;a=false;o=s;");
  }
}

TEST_F(PlainJsonTest, WhatIsNotStrictlyValidIsNotPlain) {
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(parse(R"({"a":"x","bb":2})"));
    for (const auto* document : {"",
                                 " ",
                                 "[1]",
                                 "{",
                                 "{\"a\"",
                                 "{\"a\":",
                                 "{\"a\":\"x",
                                 "{\"a\":\"x\"",
                                 "{\"a\":\"x\",",
                                 "{\"a\":\"x\",}",
                                 "{\"a\":\"x\",\"bb\":",
                                 "{\"a\":\"x\",\"bb\":2",
                                 "{\"a\":\"x\" \"bb\":2}",
                                 "{\"a\" 1}",
                                 "{a:1}",
                                 "{\"a\":01}",
                                 "{\"a\":1.}",
                                 "{\"a\":.1}",
                                 "{\"a\":-}",
                                 "{\"a\":+1}",
                                 "{\"a\":1x}",
                                 "{\"a\":tru}",
                                 "{\"a\":truex}",
                                 "{\"a\":nul}",
                                 "{\"no\":[1,]}",
                                 "{\"no\":[1 2]}",
                                 "{\"no\":{\"a\"}}",
                                 "{\"a\":1}}",
                                 "{\"a\":1}x",
                                 "{\"a\":\"\t\"}",
                                 "{,}",
                                 "{\"a\":1,,\"bb\":2}",
                                 "{\"a\":NaN}",
                                 "{\"no\":tru}",
                                 "{\"no\":\"\x01\"}"})
      EXPECT_FALSE(parse(document)) << document;
  }
}

TEST_F(PlainJsonTest, WhatIsOutOfTheOrdinaryIsNotPlain) {
  for (const auto* document : {R"({"a":"\n"})", R"({"\u0061":1})", "{\"a\":\"\xc3\xa9\"}", R"({"a":1e3})", R"({"a":1234567890123456789})",
                               R"({"a":0.1234567890123456789})", R"({"a":9007199254740993.5})", R"({"list":[1]})"})
    EXPECT_FALSE(parse(document)) << document;
  EXPECT_TRUE(parse(R"({"a":123456789012345678})"));
}

TEST_F(PlainJsonTest, AKeyIsExpectedOnlyInItsObject) {
  ASSERT_TRUE(parse(R"({"no":1,"a":2})"));
  ASSERT_TRUE(parse(R"({"no":{"a":3}})"));
  EXPECT_EQ(collected_.values, "");
  ASSERT_TRUE(parse(R"({"no":{"x":3},"a":4})"));
  EXPECT_EQ(collected_.values, "a=4;");
}

TEST_F(PlainJsonTest, HasALimitOfDepthAndOfKeysItRemembers) {
  std::string deep = R"({"no":)" + std::string(40, '[') + std::string(40, ']') + "}";
  EXPECT_FALSE(parse(deep));
  for (int i = 0; i < 2000; ++i) ASSERT_TRUE(parse("{\"k" + std::to_string(i) + "\":1,\"a\":2,\"" + std::string(60, 'k') + "\":3}"));
  EXPECT_EQ(collected_.values, "a=2;");
}

// The same document decoded both ways: a key with an escape at its end sends it to simdjson.
class BothWaysTest : public ::testing::Test {
 protected:
  using Type = columns::Type;
  BothWaysTest() {
    fields_ = {{"level", Type::kInt32, {"/severity_number", "/level"}, {}},
               {"service", Type::kString, {"/service", "/o/service"}, {}},
               {"status", Type::kInt32, {"/status"}, {}},
               {"ms", Type::kDouble, {"/ms"}, {}},
               {"ok", Type::kBool, {"/ok"}, {}},
               {"seen", Type::kTimestamp, {"/seen"}, {}},
               {"big", Type::kInt64, {"/big"}, "7"},
               {"whole", Type::kString, {"/whole"}, {}}};
    fields_[0].name = "severity_number";
    for (const auto& field : fields_) specs_.push_back({field.name, field.type});
    decoder_ = std::move(*Decoder::open(Encoding::kJson, {"ts", Type::kTimestamp, {"/ts", "/time"}, {}}, fields_));
  }

  std::string decoded(std::string_view document) {
    columns::Batch batch(specs_);
    const auto result = decoder_->decode(batch, batch.begin_row(document));
    std::string out = result.malformed ? "malformed" : "ts " + (result.ts ? std::to_string(*result.ts) : "none");
    out += " mismatches " + std::to_string(result.mismatches);
    if (batch.pattern_id_valid[0] != 0) out += " pattern " + std::to_string(batch.pattern_id[0]);
    for (std::size_t i = 0; i < specs_.size(); ++i) {
      const auto& column = batch.declared[i];
      out += "|";
      if (column.valid[0] == 0) continue;
      if (column.type == Type::kString)
        out += column.strings[0];
      else if (column.type == Type::kDouble)
        out += std::to_string(std::bit_cast<std::uint64_t>(column.doubles[0]));
      else
        out += std::to_string(column.ints[0]);
    }
    return out;
  }

  static bool is_plain(const std::string& document) {
    struct {
      void take(const KeyTrie::Node&, const Scalar&) {}
    } nobody;
    const auto padded = document + std::string(columns::Batch::kPadding, ' ');
    return PlainJson<decltype(nobody)>().parse({padded.data(), document.size()}, KeyTrie().root(), nobody);
  }

  std::vector<Field> fields_;
  std::vector<columns::ColumnSpec> specs_;
  std::unique_ptr<Decoder> decoder_;
};

TEST_F(BothWaysTest, GiveTheSameCells) {
  const std::vector<std::string> documents = {
      R"({"ts":"2026-11-25T10:20:30.123456Z","severity_number":17,"severity":"ERROR","service":"pay","status":503,"ms":52.532,"ok":true,"message":"user 42 of 'x' failed"})",
      R"({"time":1764028800123,"level":"warn","o":{"service":"in"},"status":"404","ms":"1.5","ok":"false","seen":"2026-11-25 10:20:30+01:00","message":"m"})",
      R"({ "ts": "2026-11-25T10:20:59Z", "level": null, "severity_number": -1, "status": 200.0, "ms": 7, "big": 99999999999, "whole": {"a": [1, 2]} })",
      R"({"ts":1764028800.25,"status":2147483648,"ms":0.1,"ok":1,"big":1.5,"whole":[true],"service":12,"seen":"2026-11-25T10:20:60.5Z"})",
      R"({"ts":"2026-11-25T10:20:30.1Z","status":-0,"ms":-0.0,"big":-9,"service":"","seen":"2026-11-25T10:20:5Z","o":{"service":"late"}})"};
  const std::string letters = "{}[]\":,0123456789.-eE+truefalsn \tZT\\";
  std::mt19937 random(7);
  int plain = 0;
  for (int round = 0; round < 40'000; ++round) {
    auto document = documents[random() % documents.size()];
    for (auto edits = random() % 4; edits > 0; --edits) {
      const auto at = random() % (document.size() - 1);
      if (random() % 3 == 0)
        document.erase(at, 1);
      else if (random() % 2 == 0)
        document.insert(at, 1, letters[random() % letters.size()]);
      else
        document[at] = letters[random() % letters.size()];
    }
    if (!is_plain(document)) continue;
    ++plain;
    EXPECT_EQ(decoded(document), decoded(document.substr(0, document.rfind('}')) + R"(,"\u0078":0})")) << document;
  }
  EXPECT_GT(plain, 15'000);
}

}  // namespace
}  // namespace headpond::decode
