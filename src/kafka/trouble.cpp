// What goes wrong with a broker, in words that say what to mend.
#include "kafka/handles.h"

namespace headpond::kafka {
namespace {

constexpr int kWhyMs = 1000, kWhyStepMs = 100;

// librdkafka tells of a closed connection in its log alone: "[thrd:main]: host:port/bootstrap: Disconnected: …".
void hear_log(const rd_kafka_t* client, int, const char* facility, const char* line) {
  if (std::string_view(facility) != "FAIL") return;
  std::string_view text(line);
  if (const auto prefix = text.find("]: "); prefix != std::string_view::npos) text.remove_prefix(prefix + 3);
  static_cast<Connection::Callbacks*>(rd_kafka_opaque(client))->heard.hear(RD_KAFKA_RESP_ERR__TRANSPORT, std::string(text));
}

}  // namespace

void LastHeard::hear(rd_kafka_resp_err_t code, std::string text) {
  const std::scoped_lock lock(mutex_);
  ++said_.count;
  // "all brokers are down" only repeats what each of them said.
  if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !said_.text.empty()) return;
  said_.code = code;
  said_.text = std::move(text);
}

LastHeard::Said LastHeard::said() const {
  const std::scoped_lock lock(mutex_);
  return said_;
}

LastHeard::Said ask_why(rd_kafka_t* client) {
  Connection::Callbacks callbacks;
  Conf conf(rd_kafka_conf_dup(rd_kafka_conf(client)));
  rd_kafka_conf_set_opaque(conf.get(), &callbacks);
  rd_kafka_conf_set_log_cb(conf.get(), hear_log);
  char why[512];
  rd_kafka_conf_set(conf.get(), "log.connection.close", "true", why, sizeof why);
  rd_kafka_t* other = rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), why, sizeof why);
  if (other == nullptr) return {};
  static_cast<void>(conf.release());
  const Client owner(other);
  const rd_kafka_metadata_t* metadata = nullptr;
  for (int waited_ms = 0; waited_ms < kWhyMs && callbacks.heard.said().text.empty(); waited_ms += kWhyStepMs) {
    if (rd_kafka_metadata(other, 0, nullptr, &metadata, kWhyStepMs) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      rd_kafka_metadata_destroy(metadata);
      break;
    }
    rd_kafka_poll(other, 0);
  }
  return callbacks.heard.said();
}

base::Error unreachable(const std::string& brokers, const LastHeard::Said& said) {
  const auto in_text = [&](const char* words) { return said.text.find(words) != std::string::npos; };
  std::string message, mend;
  if (said.code == RD_KAFKA_RESP_ERR__AUTHENTICATION) {
    message = "Kafka at " + brokers + " refuses the login";
    mend = "check sasl.mechanism, sasl.username and sasl.password";
  } else if (said.code == RD_KAFKA_RESP_ERR__SSL || in_text("SSL_HANDSHAKE")) {
    message = "no TLS connection to Kafka at " + brokers;
    mend =
        "check that the port speaks TLS, that ssl.ca.location is the CA that signed the broker's certificate, and that it names the host";
  } else if (in_text("APIVERSION_QUERY")) {
    message = "Kafka at " + brokers + " hangs up on an unencrypted connection";
    mend = "if that is a TLS listener, set security.protocol to SSL or SASL_SSL";
  } else {
    message = "cannot reach any Kafka broker at " + brokers + " within " + std::to_string(kAnswerTimeoutMs / 1000) + "s; is it running?";
    if (!said.text.empty()) message += " (" + said.text + ")";
    return {base::ErrorKind::kRetry, std::move(message)};
  }
  return {base::ErrorKind::kRetry, message + " (" + said.text + "); " + mend + "; these are under source.kafka.librdkafka_options"};
}

base::Error to_error(rd_kafka_resp_err_t code, std::string_view detail, std::string_view what, const std::string& brokers,
                     const LastHeard::Said& said) {
  std::string message(what);
  message.append(": ").append(detail.empty() ? rd_kafka_err2str(code) : detail);
  switch (code) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE: return unreachable(brokers, said);
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION: return {base::ErrorKind::kNotFound, std::move(message)};
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS: return {base::ErrorKind::kConflict, std::move(message)};
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
      return {base::ErrorKind::kInvalid, message + "; grant this principal READ and DESCRIBE on the topic (WRITE to produce)"};
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR__SSL:
      return {base::ErrorKind::kInvalid, message + "; check the security settings in source.kafka.librdkafka_options"};
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE: return {base::ErrorKind::kInvalid, message + "; raise the topic's max.message.bytes"};
    default: return {base::ErrorKind::kRetry, std::move(message)};
  }
}

}  // namespace headpond::kafka
