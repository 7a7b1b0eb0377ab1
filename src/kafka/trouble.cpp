// What goes wrong with a broker, in words that say what to mend.
#include "kafka/handles.h"

namespace headpond::kafka {

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
  } else if (in_text("security.protocol")) {
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
