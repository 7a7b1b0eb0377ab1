#include "generate/otlp.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

namespace headpond::generate {
namespace {

constexpr int kSeverityNumbers[] = {5, 9, 13, 17};  // by Level
constexpr std::string_view kSeverityTexts[] = {"DEBUG", "INFO", "WARN", "ERROR"};
constexpr std::string_view kScope = "headpond.generate";
constexpr std::string_view kScopeVersion = "1";

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}
void put_number(std::string& out, std::uint32_t field, std::uint64_t value) {
  put_varint(out, field << 3);
  put_varint(out, value);
}
void put_bytes(std::string& out, std::uint32_t field, std::string_view bytes) {
  put_varint(out, field << 3 | 2);
  put_varint(out, bytes.size());
  out += bytes;
}
void put_fixed64(std::string& out, std::uint32_t field, std::uint64_t value) {
  char bytes[8];
  std::memcpy(bytes, &value, sizeof bytes);
  put_varint(out, field << 3 | 1);
  out.append(bytes, sizeof bytes);
}

std::size_t varint_size(std::uint64_t value) {
  return value < 0x80 ? 1 : 1 + varint_size(value >> 7);
}

// A KeyValue, as `field` of what holds it.
void put_pair(std::string& out, std::uint32_t field, std::string_view key, std::string_view any) {
  put_varint(out, field << 3 | 2);
  put_varint(out, 2 + varint_size(key.size()) + varint_size(any.size()) + key.size() + any.size());
  put_bytes(out, 1, key);
  put_bytes(out, 2, any);
}
void put_text_pair(std::string& out, std::uint32_t field, std::string_view key, std::string_view text) {
  std::string any;
  put_bytes(any, 1, text);
  put_pair(out, field, key, any);
}

template <class Number>
std::string digits(Number number) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, number).ptr};
}

std::string json_text_pair(std::string_view key, std::string_view text) {
  return R"({"key":")" + std::string(key) + R"(","value":{"stringValue":")" + std::string(text) + R"("}})";
}

std::string id_bytes(std::uint64_t a, std::uint64_t b) {
  std::string bytes(16, '\0');
  for (int i = 0; i < 8; ++i) {
    bytes[static_cast<std::size_t>(i)] = static_cast<char>(a >> (56 - 8 * i));
    bytes[static_cast<std::size_t>(8 + i)] = static_cast<char>(b >> (56 - 8 * i));
  }
  return bytes;
}

std::string hex(std::string_view bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += kHex[static_cast<unsigned char>(c) >> 4];
    text += kHex[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

}  // namespace

OtlpWriter::OtlpWriter(const Options& options) : json_(options.encoding == Encoding::kOtlpJson), events_(options) {}

std::string& OtlpWriter::records_of(const Event& event) {
  for (std::size_t i = 0; i < used_; ++i)
    if (resources_[i].service == event.service && resources_[i].host == event.host) return resources_[i].records;
  if (used_ == resources_.size()) resources_.emplace_back();
  auto& resource = resources_[used_++];
  resource.service = event.service;
  resource.host = event.host;
  resource.records.clear();
  return resource.records;
}

void OtlpWriter::add(const Event& event, SeededRandom& random) {
  ++records_;
  auto& out = records_of(event);
  const auto parts = events_.parts(event, random);
  if (json_)
    add_json(event, parts, out);
  else
    add_proto(event, parts, out);
}

void OtlpWriter::add_proto(const Event& event, const EventParts& parts, std::string& out) {
  auto& record = record_;
  record.clear();
  const auto level = static_cast<std::size_t>(event.level);
  std::string any;
  put_fixed64(record, 1, static_cast<std::uint64_t>(event.ts.value()) * 1000);
  put_number(record, 2, static_cast<std::uint64_t>(kSeverityNumbers[level]));
  put_bytes(record, 3, kSeverityTexts[level]);
  put_bytes(any, 1, parts.message);
  put_bytes(record, 5, any);
  put_text_pair(record, 6, "tenant", parts.tenant);
  if (!event.heartbeat) {
    any.clear();
    put_number(any, 3, static_cast<std::uint64_t>(event.status));
    put_pair(record, 6, "http.response.status_code", any);
    any.clear();
    put_fixed64(any, 4, std::bit_cast<std::uint64_t>(static_cast<double>(parts.duration_us) / 1000));
    put_pair(record, 6, "duration_ms", any);
    put_text_pair(record, 6, "user.id", "u" + digits(parts.id % 100'000));
    put_bytes(record, 9, id_bytes(parts.id, parts.trace_low));
    put_bytes(record, 10, id_bytes(parts.span, 0).substr(0, 8));
  }
  put_fixed64(record, 11, static_cast<std::uint64_t>(event.ts.value()) * 1000);
  put_bytes(record, 12, event.heartbeat ? "heartbeat" : "request");
  put_bytes(out, 2, record);
}

void OtlpWriter::add_json(const Event& event, const EventParts& parts, std::string& out) const {
  const auto level = static_cast<std::size_t>(event.level);
  const auto nanos = digits(event.ts.value()) + "000";
  out += out.empty() ? "" : ",";
  out += R"({"timeUnixNano":")" + nanos + R"(","observedTimeUnixNano":")" + nanos + R"(","severityNumber":)" +
         digits(kSeverityNumbers[level]) + R"(,"severityText":")" + std::string(kSeverityTexts[level]) + R"(","body":{"stringValue":")" +
         std::string(parts.message) + R"("},"eventName":")" + (event.heartbeat ? "heartbeat" : "request") + R"(","attributes":[)" +
         json_text_pair("tenant", parts.tenant);
  if (!event.heartbeat) {
    out += R"(,{"key":"http.response.status_code","value":{"intValue":")" + digits(event.status) +
           R"("}},{"key":"duration_ms","value":{"doubleValue":)" + digits(static_cast<double>(parts.duration_us) / 1000) + "}}," +
           json_text_pair("user.id", "u" + digits(parts.id % 100'000)) + R"(],"traceId":")" + hex(id_bytes(parts.id, parts.trace_low)) +
           R"(","spanId":")" + hex(id_bytes(parts.span, 0)).substr(0, 16) + R"("})";
  } else {
    out += "]}";
  }
}

void OtlpWriter::put_proto(const Resource& resource) {
  logs_.clear();
  std::string attributes, scope;
  put_text_pair(attributes, 1, "service.name", service_name(static_cast<int>(resource.service)));
  put_text_pair(attributes, 1, "host.name", host_name(static_cast<int>(resource.host)));
  put_bytes(logs_, 1, attributes);
  put_bytes(scope, 1, kScope);
  put_bytes(scope, 2, kScopeVersion);
  put_varint(logs_, 2 << 3 | 2);
  put_varint(logs_, 1 + varint_size(scope.size()) + scope.size() + resource.records.size());
  put_bytes(logs_, 1, scope);
  logs_ += resource.records;
  put_bytes(message_, 1, logs_);
}

void OtlpWriter::put_json(const Resource& resource) {
  message_ += message_.empty() ? R"({"resourceLogs":[)" : ",";
  message_ += R"({"resource":{"attributes":[)" + json_text_pair("service.name", service_name(static_cast<int>(resource.service))) + "," +
              json_text_pair("host.name", host_name(static_cast<int>(resource.host))) + R"(]},"scopeLogs":[{"scope":{"name":")" +
              std::string(kScope) + R"(","version":")" + std::string(kScopeVersion) + R"("},"logRecords":[)" + resource.records + "]}]}";
}

std::string_view OtlpWriter::finish() {
  message_.clear();
  for (std::size_t i = 0; i < used_; ++i)
    if (json_)
      put_json(resources_[i]);
    else
      put_proto(resources_[i]);
  if (json_) message_ += message_.empty() ? "{}" : "]}";
  used_ = 0;
  records_ = 0;
  return message_;
}

}  // namespace headpond::generate
