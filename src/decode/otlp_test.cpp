#include <gtest/gtest.h>

#include <bit>
#include <random>

#include "decode/decoder.h"
#include "decode/otlp_fixture.h"

namespace headpond::decode {
namespace {

using columns::Type;

constexpr std::uint64_t kTime = 1'795'000'000'123'456'789;

class OtlpTest : public ::testing::TestWithParam<Encoding> {
 protected:
  explicit OtlpTest(Encoding encoding = Encoding::kOtlpProto) {
    fields_ = {{"severity_number", Type::kInt32, {"/severity_number", "/severity_text"}, {}},
               {"service", Type::kString, {"service.name"}, {}},
               {"tenant", Type::kString, {"tenant"}, {}},
               {"status", Type::kInt32, {"http.status_code"}, {}},
               {"ratio", Type::kDouble, {"ratio"}, {}},
               {"ok", Type::kBool, {"ok"}, {}},
               {"seen", Type::kTimestamp, {"/observed_time_unix_nano"}, {}},
               {"large", Type::kInt64, {"large"}, {}},
               {"trace_id", Type::kString, {"/trace_id"}, {}},
               {"span_id", Type::kString, {"/span_id"}, {}},
               {"body", Type::kString, {"/body"}, {}},
               {"lib", Type::kString, {"/scope/name"}, {}},
               {"region", Type::kString, {"/resource/attributes/tenant"}, "eu"}};
    std::vector<columns::ColumnSpec> specs;
    for (const auto& field : fields_) specs.push_back({field.name, field.type});
    for (const auto& extra : extra_columns(encoding)) specs.push_back(extra);
    for (const auto& spec : specs) names_.push_back(spec.name);
    batch_ = std::make_unique<columns::Batch>(specs);
    decoder_ = std::move(*Decoder::open(encoding, {"ts", Type::kTimestamp, {"/time_unix_nano", "/observed_time_unix_nano"}, {}}, fields_));
  }

  // All rows of one message; what decode() said of the first, the sums over all.
  Decoded decode(std::string_view payload) {
    batch_->reset();
    auto total = decoder_->decode(*batch_, batch_->begin_row(payload));
    while (decoder_->more()) {
      const auto row = batch_->begin_row_without_raw();
      const auto next = decoder_->decode_next(*batch_, row);
      total.mismatches += next.mismatches;
      total.malformed = total.malformed || next.malformed;
    }
    return total;
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

using OtlpProto = OtlpTest;

std::string message_of(const std::string& records) {
  using namespace otlp;
  return resource_logs(resource(attribute("service.name", text("api")) + attribute("tenant", text("acme"))) +
                       scope_logs(bytes(1, bytes(1, "lib") + bytes(2, "1.2") + scope_attribute("tier", integer(3))) + records));
}

TEST_F(OtlpProto, EachLogRecordIsARow) {
  using namespace otlp;
  const auto first = fixed64(1, kTime) + number(2, 17) + bytes(3, "ERROR") + bytes(5, text("user 17 not found")) +
                     record_attribute("http.status_code", integer(503)) + record_attribute("ratio", real(0.25)) +
                     record_attribute("tier", list(real(1.5), text("x"))) + record_attribute("ok", truth(true)) +
                     record_attribute("large", integer(INT64_MIN)) + record_attribute("late", text("2")) +
                     bytes(9, std::string("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\xff")) +
                     bytes(10, std::string("\xa1\xb2\xc3\xd4\xe5\xf6\x07\x18")) + fixed64(11, kTime + 5'000'000) + fixed32(8, 1);
  const auto second = fixed64(11, kTime + 1'000) + bytes(3, "warn") + record_attribute("tenant", text("other")) +
                      bytes(5, map(pair("a", list(text("x\"y"), real(1.5)))));
  const auto payload = message_of(record(first) + record(second) + record(""));
  const auto decoded = decode(payload);
  EXPECT_EQ(decoded.ts, static_cast<std::int64_t>(kTime / 1000));
  EXPECT_FALSE(decoded.malformed);
  EXPECT_EQ(decoded.mismatches, 0);
  ASSERT_EQ(batch_->rows(), 3u);

  EXPECT_EQ(cell("severity_number"), "17");
  EXPECT_EQ(cell("service"), "api");
  EXPECT_EQ(cell("tenant"), "acme");
  EXPECT_EQ(cell("region"), "acme");
  EXPECT_EQ(cell("status"), "503");
  EXPECT_EQ(cell("ratio"), "0.250000");
  EXPECT_EQ(cell("ok"), "1");
  EXPECT_EQ(cell("large"), "-9223372036854775808");
  EXPECT_EQ(cell("seen"), std::to_string(kTime / 1000 + 5000));
  EXPECT_EQ(cell("trace_id"), "0102030405060708090a0b0c0d0e0fff");
  EXPECT_EQ(cell("span_id"), "a1b2c3d4e5f60718");
  EXPECT_EQ(cell("body"), "user 17 not found");
  EXPECT_EQ(cell("lib"), "lib");
  EXPECT_EQ(cell("resource"), R"({"service.name":"api","tenant":"acme"})");
  EXPECT_EQ(cell("scope"), R"({"name":"lib","version":"1.2","attributes":{"tier":3}})");
  EXPECT_EQ(cell("attributes"), R"({"tier":[1.5,"x"],"late":"2"})");  // what no column holds
  EXPECT_EQ(batch_->pattern_id_valid[0], 1);
  EXPECT_EQ(batch_->pattern_id[0], pattern_id("user 4 not found"));

  EXPECT_EQ(cell("severity_number", 1), "13");  // its word
  EXPECT_EQ(cell("tenant", 1), "other");        // the log record's own, before the resource's
  EXPECT_EQ(cell("region", 1), "acme");         // only the resource's
  EXPECT_EQ(cell("body", 1), R"({"a":["x\"y",1.5]})");
  EXPECT_EQ(cell("attributes", 1), "null");
  EXPECT_EQ(cell("attributes", 2), "null");
  EXPECT_EQ(cell("service", 2), "api");
  EXPECT_EQ((std::vector<int>{batch_->record_index[0], batch_->record_index[1], batch_->record_index[2]}), (std::vector<int>{0, 1, 2}));
  EXPECT_EQ((std::vector<int>{batch_->raw_valid[0], batch_->raw_valid[1], batch_->raw_valid[2]}), (std::vector<int>{1, 0, 0}));
  // What is billed: each record's own size; the frame goes to the first.
  EXPECT_EQ(batch_->bytes[1], static_cast<int>(second.size()));
  EXPECT_EQ(batch_->bytes[2], 0);
  EXPECT_EQ(batch_->bytes[0], static_cast<int>(payload.size() - second.size()));
}

TEST_F(OtlpProto, AMessageWithoutLogRecordsHasARow) {
  using namespace otlp;
  for (const std::string& payload :
       {std::string(), message_of(""), resource_logs(""), resource_logs(scope_logs("")), bytes(9, "unknown")}) {
    const auto decoded = decode(payload);
    EXPECT_FALSE(decoded.malformed);
    EXPECT_EQ(decoded.ts, std::nullopt);
    ASSERT_EQ(batch_->rows(), 1u);
    EXPECT_EQ(batch_->bytes[0], static_cast<int>(payload.size()));
    EXPECT_EQ(error(), "");
    EXPECT_EQ(cell("region"), "eu");
  }
  EXPECT_FALSE(decode(std::string_view{}).malformed);  // a tombstone
  EXPECT_EQ(batch_->rows(), 1u);
}

TEST_F(OtlpProto, ResourcesAndScopesAreNotMixedUp) {
  using namespace otlp;
  const auto logs = [](const std::string& service, const std::string& name, int count) {
    std::string records;
    for (int i = 0; i < count; ++i) records += record(number(2, 9));
    return resource_logs((service.empty() ? "" : resource(attribute("service.name", text(service)))) +
                         scope_logs((name.empty() ? "" : bytes(1, bytes(1, name))) + records) + scope_logs(record("")));
  };
  decode(logs("a", "x", 2) + logs("", "", 1) + logs("b", "y", 0));
  ASSERT_EQ(batch_->rows(), 6u);
  std::string services, scopes;
  for (std::size_t i = 0; i < 6; ++i) services += cell("service", i) + " ", scopes += cell("lib", i) + " ";
  EXPECT_EQ(services, "a a a null null b ");
  EXPECT_EQ(scopes, "x x null null null null ");
  // The resource behind its scopes, in two pieces.
  decode(
      resource_logs(scope_logs(record("")) + resource(attribute("service.name", text("late"))) + resource(attribute("tenant", text("t")))));
  EXPECT_EQ(cell("service"), "late");
  EXPECT_EQ(cell("resource"), R"({"service.name":"late","tenant":"t"})");
}

TEST_F(OtlpProto, ABrokenFrameIsOneRow) {
  using namespace otlp;
  const auto whole = message_of(record(fixed64(1, kTime)) + record(fixed64(1, kTime)));
  ASSERT_FALSE(decode(whole).malformed);
  for (std::size_t size = 1; size < whole.size(); ++size) {
    EXPECT_TRUE(decode(whole.substr(0, size)).malformed) << size;
    ASSERT_EQ(batch_->rows(), 1u) << size;
    EXPECT_EQ(error(), "not an OTLP message: its protobuf is cut or damaged");
    EXPECT_EQ(cell("service"), "null");
    EXPECT_EQ(cell("region"), "null");
    EXPECT_EQ(batch_->bytes[0], static_cast<int>(size));
  }
  for (const std::string& bad :
       {std::string(R"({"resourceLogs":[]})"), std::string("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), std::string("\x00\x01", 2)})
    EXPECT_TRUE(decode(bad).malformed);
}

TEST_F(OtlpProto, ABrokenLogRecordIsARowBesideItsSiblings) {
  using namespace otlp;
  const std::string good = fixed64(1, kTime) + record_attribute("k", text("v")) + record_attribute("http.status_code", integer(200));
  std::string deep = text("x");
  for (int i = 0; i < 40; ++i) deep = bytes(5, bytes(1, deep));
  for (const auto& [bad, why] :
       {std::pair<std::string, std::string>{good.substr(0, good.size() - 1), "the log record's protobuf is cut or damaged"},
        {good + bytes(3, "\xff\xfe"), "a text of the log record is not UTF-8"},
        {good + record_attribute("k\xc3(", text("v")), "a text of the log record is not UTF-8"},
        {good + record_attribute("k", text("\xed\xa0\x80")), "a text of the log record is not UTF-8"},
        {good + record_attribute("k", deep), "a value is nested deeper than 32"}}) {
    EXPECT_TRUE(decode(message_of(record(good) + record(bad) + record(good))).malformed);
    ASSERT_EQ(batch_->rows(), 3u);
    EXPECT_EQ(error(1), why);
    EXPECT_EQ(cell("status", 1) + cell("service", 1) + cell("attributes", 1), "nullnullnull");
    for (const std::size_t i : {std::size_t{0}, std::size_t{2}}) {
      EXPECT_EQ(error(i), "");
      EXPECT_EQ(cell("status", i) + cell("service", i) + cell("attributes", i), R"(200api{"k":"v"})");
    }
    EXPECT_EQ(batch_->bytes[1], static_cast<int>(bad.size()));
  }
}

TEST_F(OtlpProto, ABrokenResourceSpoilsItsOwnRows) {
  using namespace otlp;
  const auto bad = resource_logs(resource(attribute("service.name", text("\xff"))) + scope_logs(record("") + record("")));
  EXPECT_TRUE(decode(message_of(record("")) + bad + message_of(record(""))).malformed);
  ASSERT_EQ(batch_->rows(), 4u);
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) EXPECT_EQ(error(i), "a text of its resource or scope is not UTF-8");
  EXPECT_EQ(error(0) + error(3), "");
  EXPECT_EQ(cell("service", 3), "api");
}

TEST_F(OtlpProto, TimesOfZeroAndBeyondRange) {
  using namespace otlp;
  EXPECT_EQ(decode(message_of(record(fixed64(1, 0) + fixed64(11, 7'000)))).ts, 7);  // none; then the observed one, in ns whatever its size
  EXPECT_EQ(decode(message_of(record(fixed64(1, 0)))).ts, std::nullopt);
  const auto beyond = decode(message_of(record(fixed64(1, UINT64_MAX))));
  EXPECT_EQ(beyond.ts, std::nullopt);
  EXPECT_EQ(beyond.mismatches, 1);
  EXPECT_FALSE(beyond.malformed);
}

TEST_F(OtlpProto, ValuesThatDoNotFitNullTheirCellAndAreCounted) {
  using namespace otlp;
  const auto one = [&](const std::string& fields) { return decode(message_of(record(fields))).mismatches; };
  EXPECT_EQ(one(record_attribute("http.status_code", integer(1LL << 31))), 1);
  EXPECT_EQ(cell("status"), "null");
  EXPECT_EQ(cell("attributes"), R"({"http.status_code":2147483648})");
  EXPECT_EQ(one(record_attribute("ratio", real(__builtin_nan("")))), 1);
  EXPECT_EQ(cell("attributes"), R"({"ratio":"NaN"})");
  EXPECT_EQ(one(record_attribute("ok", integer(1))), 1);
  EXPECT_EQ(one(bytes(9, "short")), 1);
  EXPECT_EQ(one(bytes(9, std::string(16, '\0'))), 0);
  EXPECT_EQ(cell("trace_id"), "null");
  EXPECT_EQ(one(record_attribute("http.status_code", text("204"))), 0);
  EXPECT_EQ(cell("status"), "204");
  EXPECT_EQ(one(record_attribute("tenant", integer(42))), 0);
  EXPECT_EQ(cell("tenant"), "42");
  EXPECT_EQ(one(record_attribute("tenant", bytes(7, "\x01\x02\x03\x04"))), 0);
  EXPECT_EQ(cell("tenant"), "AQIDBA==");
}

TEST_F(OtlpProto, OfDuplicateAttributesTheFirstCounts) {
  using namespace otlp;
  decode(message_of(record(record_attribute("tenant", text("one")) + record_attribute("tenant", text("two")))));
  EXPECT_EQ(cell("tenant"), "one");
  EXPECT_EQ(cell("attributes"), R"({"tenant":"two"})");
  decode(message_of(record(record_attribute("tenant", "") + record_attribute("k", text("v")))));  // a value of no kind is null
  EXPECT_EQ(cell("tenant"), "acme");
  EXPECT_EQ(cell("attributes"), R"({"tenant":null,"k":"v"})");
}

// Behind an unknown field an attribute is not as nearly all are, and is read in the general way.
TEST_F(OtlpProto, AnAttributeReadsTheSameBehindAnUnknownField) {
  using namespace otlp;
  std::mt19937_64 random(11);
  const auto rows = [&](const std::string& attribute) {
    const auto decoded = decode(message_of(record(bytes(6, attribute) + record_attribute("tenant", text("second")))));
    std::string all = error() + " " + std::to_string(decoded.mismatches);
    for (const auto& name : names_) all += " " + cell(name);
    return all;
  };
  const std::vector<std::string> keys{"tenant", "ratio", "http.status_code", "large", "ok", "k", "\xff", "", std::string(130, 'k')};
  std::size_t errors = 0;
  for (int round = 0; round < 10'000; ++round) {
    const auto number = static_cast<std::int64_t>(random() >> random() % 64);
    const std::vector<std::string> values{text("x\"y"),
                                          text(std::string(random() % 140, 'v')),
                                          text("\xff"),
                                          integer(number),
                                          integer(-number),
                                          real(std::bit_cast<double>(number)),
                                          truth(true),
                                          bytes(7, "ab"),
                                          list(integer(1), text("y")),
                                          integer(1) + text("last"),
                                          ""};
    auto attribute = pair(keys[random() % keys.size()], values[random() % values.size()]);
    if (round % 4 == 1) attribute.resize(random() % (attribute.size() + 1));
    if (round % 4 >= 2) attribute[random() % attribute.size()] = static_cast<char>(random());
    const auto expected = rows(varint(15 << 3) + varint(1) + attribute);
    ASSERT_EQ(rows(attribute), expected) << "round " << round;
    errors += error() != "";
  }
  EXPECT_GT(errors, 1'000u);
  EXPECT_LT(errors, 9'000u);
}

TEST_F(OtlpProto, UnknownFieldsAndGroupsArePassedOver) {
  using namespace otlp;
  const std::string group = varint(100 << 3 | 3) + number(1, 5) + varint(7 << 3 | 3) + varint(7 << 3 | 4) + varint(100 << 3 | 4);
  decode(message_of(record(group + number(2, 9) + bytes(1000, "x") + bytes(2, "wrong wire type"))) + group);
  ASSERT_EQ(batch_->rows(), 1u);
  EXPECT_EQ(error(), "");
  EXPECT_EQ(cell("severity_number"), "9");
  EXPECT_TRUE(decode(message_of(record(varint(100 << 3 | 3) + varint(101 << 3 | 4)))).malformed);  // an end of another group
  EXPECT_TRUE(decode(message_of(record(varint(1 << 3 | 4)))).malformed);
}

TEST_F(OtlpProto, AMessageOfMoreRecordsThanABatchGoesOnInTheNext) {
  using namespace otlp;
  std::string records;
  for (std::size_t i = 0; i < columns::Batch::kRowsMax + 10; ++i)
    records += record(bytes(5, text("message " + std::to_string(i))) + record_attribute("tenant", text("t" + std::to_string(i))));
  std::string payload = message_of(records);
  batch_->reset();
  decoder_->decode(*batch_, batch_->begin_row(payload));
  while (batch_->rows() < columns::Batch::kRowsMax) {
    const auto row = batch_->begin_row_without_raw();
    decoder_->decode_next(*batch_, row);
  }
  EXPECT_EQ(cell("body", columns::Batch::kRowsMax - 1), "message 8191");
  ASSERT_TRUE(decoder_->more());
  batch_->reset();
  decoder_->move_to(*batch_, payload);
  std::ranges::fill(payload, 'x');  // rows live in the batch, not in the client's memory
  while (decoder_->more()) {
    const auto row = batch_->begin_row_without_raw();
    EXPECT_FALSE(decoder_->decode_next(*batch_, row).malformed);
  }
  ASSERT_EQ(batch_->rows(), 10u);
  EXPECT_EQ(cell("body", 9), "message 8201");
  EXPECT_EQ(cell("tenant", 9), "t8201");
  EXPECT_EQ(cell("service", 9), "api");
  EXPECT_EQ(cell("resource", 9), R"({"service.name":"api","tenant":"acme"})");
  EXPECT_EQ(batch_->record_index[9], 8201);
}

TEST(Otlp, RefusesAPlaceThatIsNone) {
  const auto refused = Decoder::open(Encoding::kOtlpProto, {}, {{"a", Type::kString, {"/http/status"}, {}}});
  EXPECT_EQ(refused.error().kind, base::ErrorKind::kInvalid);
  EXPECT_NE(refused.error().message.find("/severity_number"), std::string::npos) << refused.error().message;
}

}  // namespace
}  // namespace headpond::decode
