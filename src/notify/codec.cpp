#include "notify/codec.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cmath>
#include <limits>

#include "notify/json_codec.h"

namespace headpond::notify {
namespace {

std::string hex(const unsigned char* bytes, std::size_t size) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < size; ++i) {
    text += kHex[bytes[i] >> 4];
    text += kHex[bytes[i] & 15];
  }
  return text;
}

std::string identity_hash(const rules::TransitionId& id) {
  std::string bytes = id.rule;
  bytes += '\0';
  bytes += id.key;
  return "g" + std::to_string(id.generation) + "-" + sha256_hex(bytes).substr(0, 32) + "-";
}

// JSON has no NaN or infinity: they are written as text.
Json encode_number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}

double decode_number(const Json& json) {
  if (json.is_number()) return json.get<double>();
  const auto text = json.get<std::string>();
  if (text == "+Inf") return std::numeric_limits<double>::infinity();
  if (text == "-Inf") return -std::numeric_limits<double>::infinity();
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

std::string_view to_string(rules::TransitionKind kind) {
  return kind == rules::TransitionKind::kFiring ? "firing" : "resolved";
}

Json encode(const rules::Transition& t) {
  return {{"generation", t.id.generation},
          {"rule", t.id.rule},
          {"key", t.id.key},
          {"seq", t.id.seq},
          {"kind", to_string(t.kind)},
          {"announced", t.announced},
          {"settles_announcement", t.settles_announcement},
          {"send", t.send},
          {"boundary", t.boundary.value()},
          {"began_at", t.began_at.value()},
          {"value", encode_number(t.value)},
          {"version", t.version.value()},
          {"labels", t.labels},
          {"annotations", t.annotations},
          {"incomplete", t.incomplete},
          {"window", t.window.value()},
          {"limit", t.limit},
          {"evidence_first", t.evidence_first.value()},
          {"evidence_last", t.evidence_last.value()},
          {"samples", t.samples},
          {"sql", t.sql}};
}

rules::Transition decode(const Json& json) {
  rules::Transition t;
  t.id = {json.at("generation"), json.at("rule"), json.at("key"), json.at("seq")};
  t.kind = json.at("kind") == "firing" ? rules::TransitionKind::kFiring : rules::TransitionKind::kResolved;
  t.announced = json.at("announced");
  t.settles_announcement = json.at("settles_announcement");
  t.send = json.at("send");
  t.boundary = base::Micros(json.at("boundary").get<std::int64_t>());
  t.began_at = base::Micros(json.at("began_at").get<std::int64_t>());
  t.value = decode_number(json.at("value"));
  t.version = base::Version(json.at("version").get<std::int64_t>());
  t.labels = json.at("labels").get<std::map<std::string, std::string>>();
  t.annotations = json.at("annotations").get<std::map<std::string, std::string>>();
  t.incomplete = json.at("incomplete").get<std::vector<std::string>>();
  t.window = base::Duration(json.at("window").get<std::int64_t>());
  t.limit = json.at("limit");
  t.evidence_first = base::Version(json.at("evidence_first").get<std::int64_t>());
  t.evidence_last = base::Version(json.at("evidence_last").get<std::int64_t>());
  t.samples = json.at("samples").get<std::vector<std::string>>();
  t.sql = json.at("sql");
  return t;
}

// Log rows may hold bytes that are no UTF-8; they become U+FFFD rather than stop a page.
std::string to_json(const rules::Transition& transition) {
  return encode(transition).dump(-1, ' ', false, Json::error_handler_t::replace);
}

base::Result<rules::Transition> parse_transition(std::string_view json, std::string_view name) {
  try {
    return decode(Json::parse(json));
  } catch (const std::exception& e) {
    return base::fail(base::ErrorKind::kCorrupt, std::string(name) + " is not a transition (" + e.what() + ")");
  }
}

std::string idempotency_key(const rules::TransitionId& id) {
  return identity_hash(id) + std::to_string(id.seq);
}
std::string dedup_key(const rules::TransitionId& id) {
  return identity_hash(id) + "e" + std::to_string((id.seq + 1) / 2);
}

std::string sha256_hex(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HP_ASSERT(EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr) == 1);
  return hex(digest, size);
}

std::string hmac_sha256_hex(std::string_view key, std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HP_ASSERT(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                 digest, &size) != nullptr);
  return hex(digest, size);
}

}  // namespace headpond::notify
