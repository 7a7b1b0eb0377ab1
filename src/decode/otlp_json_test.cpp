#include <gtest/gtest.h>

#include "decode/decoder.h"

namespace headpond::decode {
namespace {

using columns::Type;

class OtlpJson : public ::testing::Test {
 protected:
  OtlpJson() {
    fields_ = {{"severity_number", Type::kInt32, {"/severity_number", "/severity_text"}, {}},
               {"service", Type::kString, {"service.name"}, {}},
               {"status", Type::kInt32, {"status"}, {}},
               {"ratio", Type::kDouble, {"ratio"}, {}},
               {"ok", Type::kBool, {"ok"}, {}},
               {"seen", Type::kTimestamp, {"/observed_time_unix_nano"}, {}},
               {"large", Type::kInt64, {"large"}, {}},
               {"trace_id", Type::kString, {"/trace_id"}, {}},
               {"body", Type::kString, {"/body"}, {}},
               {"lib", Type::kString, {"/scope/name"}, {}}};
    std::vector<columns::ColumnSpec> specs;
    for (const auto& field : fields_) specs.push_back({field.name, field.type});
    for (const auto& extra : extra_columns(Encoding::kOtlpJson)) specs.push_back(extra);
    for (const auto& spec : specs) names_.push_back(spec.name);
    batch_ = std::make_unique<columns::Batch>(specs);
    decoder_ = std::move(*Decoder::open(Encoding::kOtlpJson, {"ts", Type::kTimestamp, {"/time_unix_nano"}, {}}, fields_));
  }

  Decoded decode(std::string_view payload) {
    batch_->reset();
    auto total = decoder_->decode(*batch_, batch_->begin_row(payload));
    while (decoder_->more()) {
      const auto next = decoder_->decode_next(*batch_, batch_->begin_row_without_raw());
      total.mismatches += next.mismatches;
      total.malformed = total.malformed || next.malformed;
    }
    return total;
  }
  // A message of one resource and scope, with these log records.
  static std::string message(const std::string& records) {
    return R"({"resourceLogs":[{"scopeLogs":[{"logRecords":[)" + records +
           R"(],"scope":{"version":"1","name":"lib"}}],"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"api"}}]}}]})";
  }
  std::string cell(const std::string& name, std::size_t row = 0) {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (names_[i] != name) continue;
      const auto& column = batch_->declared[i];
      if (column.valid[row] == 0) return "null";
      if (column.type == Type::kString) return std::string(column.strings[row]);
      if (column.type == Type::kDouble) return std::to_string(column.doubles[row]);
      return std::to_string(column.ints[row]);
    }
    return "no such column";
  }
  std::string error(std::size_t row = 0) { return batch_->error[row].data() == nullptr ? "" : std::string(batch_->error[row]); }

  std::vector<Field> fields_;
  std::vector<std::string> names_;
  std::unique_ptr<columns::Batch> batch_;
  std::unique_ptr<Decoder> decoder_;
};

TEST_F(OtlpJson, ReadsTheMappingInAnyOrderOfMembers) {
  const std::string first =
      R"({"attributes":[{"key":"status","value":{"intValue":"503"}},{"key":"ratio","value":{"doubleValue":0.25}},{"key":"ok","value":{"boolValue":true}},{"key":"large","value":{"intValue":-9223372036854775808}},{"key":"l","value":{"arrayValue":{"values":[{"stringValue":"a\"b"},{}]}}},{"key":"m","value":{"kvlistValue":{"values":[{"key":"k","value":{"bytesValue":"AQI="}}]}}}],)"
      R"("traceId":"0102030405060708090A0B0C0D0E0FFF","severityNumber":17,"body":{"stringValue":"b\u00e9"},"timeUnixNano":"1795000000123456789","observedTimeUnixNano":1795000000123456789,"unknown":[1,{"x":[]}]})";
  const std::string second = R"({"severityText":"warn","body":{"kvlistValue":{"values":[{"key":"a","value":{"intValue":7}}]}}})";
  const auto payload = message(first + " , " + second);
  const auto decoded = decode(payload);
  EXPECT_EQ(error(), "");
  EXPECT_EQ(decoded.ts, 1795000000123456);
  EXPECT_EQ(decoded.mismatches, 0);
  ASSERT_EQ(batch_->rows(), 2u);
  EXPECT_EQ(cell("status") + " " + cell("ratio") + " " + cell("ok") + " " + cell("large"), "503 0.250000 1 -9223372036854775808");
  EXPECT_EQ(cell("severity_number") + " " + cell("service") + " " + cell("lib") + " " + cell("seen"), "17 api lib 1795000000123456");
  EXPECT_EQ(cell("trace_id"), "0102030405060708090a0b0c0d0e0fff");
  EXPECT_EQ(cell("body"), "b\xC3\xA9");
  EXPECT_EQ(cell("attributes"), R"({"l":["a\"b",null],"m":{"k":"AQI="}})");
  EXPECT_EQ(cell("resource"), R"({"service.name":"api"})");
  EXPECT_EQ(cell("scope"), R"({"name":"lib","version":"1"})");
  EXPECT_EQ(cell("severity_number", 1) + cell("body", 1) + cell("service", 1), R"(13{"a":7}api)");
  EXPECT_EQ(batch_->bytes[1], static_cast<int>(second.size()));
  EXPECT_EQ(batch_->bytes[0], static_cast<int>(payload.size() - second.size()));
  EXPECT_EQ(batch_->record_index[1], 1);
}

TEST_F(OtlpJson, WhatIsNoMessageIsOneRowWithAnError) {
  const auto whole = message(R"({"severityNumber":9})");
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_TRUE(decode(whole.substr(0, size)).malformed) << size;
  for (const std::string& bad :
       {std::string("[]"), whole + "x", std::string(R"({"resourceLogs":{}})"), std::string(R"({"resourceLogs":[1]})"),
        std::string(R"({"resourceLogs":[{"scopeLogs":[{"logRecords":7}]}]})"), std::string("{\"x\":\"\xff\"}"),
        std::string(R"({"resourceLogs":n})"), std::string(R"({"resourceLogs":[{"resource":nul}]})"),
        std::string(R"({"resourceLogs":[{"scopeLogs":[{"logRecords":n  []}]}]})")}) {
    EXPECT_TRUE(decode(bad).malformed) << bad;
    EXPECT_EQ(batch_->rows(), 1u) << bad;
    EXPECT_NE(error(), "") << bad;
  }
  for (const char* empty :
       {"{}", R"({"resourceLogs":[]})", R"({"resourceLogs":null})", R"({"resourceLogs":[{"scopeLogs":[{}]}],"more":1})"}) {
    EXPECT_FALSE(decode(empty).malformed) << empty;
    EXPECT_EQ(batch_->rows(), 1u) << empty;
    EXPECT_EQ(batch_->bytes[0], static_cast<int>(std::string_view(empty).size()));
  }
  EXPECT_FALSE(decode(std::string_view{}).malformed);
}

TEST_F(OtlpJson, ABrokenLogRecordIsARowBesideItsSiblings) {
  std::string deep = R"({"stringValue":"x"})";
  for (int i = 0; i < 40; ++i) deep = R"({"arrayValue":{"values":[)" + deep + "]}}";
  for (const std::string& bad :
       {std::string(R"({"a":tru})"), std::string(R"({"attributes":7})"), std::string(R"({"attributes":[{"value":{}}]})"),
        std::string(R"({"body":"text"})"), std::string(R"({"body":{"intValue":"x"}})"), R"({"body":)" + deep + "}"}) {
    EXPECT_TRUE(decode(message(R"({"severityNumber":9},)" + bad + R"(,{"severityNumber":10})")).malformed) << bad;
    ASSERT_EQ(batch_->rows(), 3u) << bad;
    EXPECT_NE(error(1), "") << bad;
    EXPECT_EQ(cell("service", 1) + cell("attributes", 1), "nullnull");
    EXPECT_EQ(error(0) + error(2) + cell("severity_number", 0) + cell("service", 2) + cell("severity_number", 2), "9api10") << bad;
  }
}

TEST_F(OtlpJson, ValuesThatDoNotFitAreNullAndCounted) {
  EXPECT_EQ(decode(message(R"({"timeUnixNano":"-1"})")).mismatches, 1);
  EXPECT_EQ(decode(message(R"({"timeUnixNano":"18446744073709551616"})")).mismatches, 1);
  EXPECT_EQ(decode(message(R"({"timeUnixNano":18446744073709551615})")).mismatches, 1);
  EXPECT_EQ(decode(message(R"({"timeUnixNano":0})")).ts, std::nullopt);
  EXPECT_EQ(decode(message(R"({"traceId":"xyz"})")).mismatches, 1);
  EXPECT_EQ(decode(message(R"({"severityNumber":"SEVERITY"})")).mismatches, 1);
  EXPECT_EQ(decode(message(R"({"attributes":[{"key":"ratio","value":{"doubleValue":"NaN"}},{"key":"ok","value":{"stringValue":"x"}}]})"))
                .mismatches,
            2);
  EXPECT_EQ(cell("attributes"), R"({"ratio":"NaN","ok":"x"})");
  EXPECT_EQ(decode(message(R"({"severityNumber":null,"attributes":null,"body":null,"traceId":""})")).mismatches, 0);
}

TEST_F(OtlpJson, ALargeDoubleIsNotWrittenAsAnInteger) {
  EXPECT_FALSE(
      decode(message(
                 R"({"attributes":[{"key":"l","value":{"doubleValue":-4.1505174165846491136e19}},{"key":"m","value":{"doubleValue":3}}]})"))
          .malformed);
  EXPECT_EQ(cell("attributes"), R"({"l":-4.150517416584649e+19,"m":3})");
}

TEST_F(OtlpJson, AMessageOfMoreRecordsThanABatchGoesOnInTheNext) {
  std::string records = R"({"body":{"stringValue":"message 0"}})";
  for (std::size_t i = 1; i < columns::Batch::kRowsMax + 5; ++i)
    records += R"(,{"body":{"stringValue":"message )" + std::to_string(i) + "\"}}";
  auto payload = message(records);
  batch_->reset();
  decoder_->decode(*batch_, batch_->begin_row(payload));
  while (batch_->rows() < columns::Batch::kRowsMax) decoder_->decode_next(*batch_, batch_->begin_row_without_raw());
  ASSERT_TRUE(decoder_->more());
  batch_->reset();
  decoder_->move_to(*batch_, payload);
  std::ranges::fill(payload, 'x');
  while (decoder_->more()) EXPECT_FALSE(decoder_->decode_next(*batch_, batch_->begin_row_without_raw()).malformed);
  ASSERT_EQ(batch_->rows(), 5u);
  EXPECT_EQ(cell("body", 4) + cell("service", 4), "message 8196api");
}

}  // namespace
}  // namespace headpond::decode
