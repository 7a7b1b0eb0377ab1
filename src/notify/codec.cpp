#include "notify/codec.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

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

}  // namespace

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
