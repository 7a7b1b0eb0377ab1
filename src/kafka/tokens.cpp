// OAUTHBEARER tokens from a TokenProvider, on librdkafka's background thread: a login may be due while every other thread waits for it.
#include <array>

#include "kafka/handles.h"

namespace headpond::kafka {
namespace {

void refresh(rd_kafka_t* client, const char*, void* opaque) {
  const auto& tokens = static_cast<Connection::Callbacks*>(opaque)->tokens;
  if (!tokens) return;
  const auto token = tokens->token();
  if (!token) {
    rd_kafka_oauthbearer_set_token_failure(client, token.error().message.c_str());
    return;
  }
  std::vector<const char*> extensions;
  for (const auto& [key, value] : token->extensions) {
    extensions.push_back(key.c_str());
    extensions.push_back(value.c_str());
  }
  std::array<char, 512> why{};
  const auto code = rd_kafka_oauthbearer_set_token(client, token->value.c_str(), token->expires.value() / 1000, token->principal.c_str(),
                                                   extensions.data(), extensions.size(), why.data(), why.size());
  // librdkafka's reason may quote the token.
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) rd_kafka_oauthbearer_set_token_failure(client, "the token is malformed or has expired");
}

}  // namespace

void enable_tokens(rd_kafka_conf_t* conf) {
  rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, refresh);
  rd_kafka_conf_enable_sasl_queue(conf, 1);
}

base::Result<void> start_tokens(rd_kafka_t* client) {
  const KafkaError error(rd_kafka_sasl_background_callbacks_enable(client));
  if (!error) return {};
  return base::fail(base::ErrorKind::kInvalid, std::string("source.kafka: tokens cannot be used: ") + rd_kafka_error_string(error.get()) +
                                                   "; set security.protocol: SASL_SSL and sasl.mechanism: OAUTHBEARER under "
                                                   "source.kafka.librdkafka_options");
}

}  // namespace headpond::kafka
