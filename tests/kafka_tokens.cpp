// kafka_tokens BROKERS TOPIC CA WORKS|FAILS|EXPIRED: reads TOPIC over SASL_SSL with OAUTHBEARER tokens from a TokenProvider that makes
// unsecured ones, living 6 s, until it has asked for two and read what is there. Prints "records N tokens M", or the error, and exits 1.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>

#include "kafka/client.h"

namespace {

using namespace headpond;

std::int64_t now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string base64url(const std::string& text) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  unsigned bits = 0, value = 0;
  for (const char c : text) {
    value = (value << 8) | static_cast<unsigned char>(c);
    for (bits += 8; bits >= 6; bits -= 6) out += kDigits[(value >> (bits - 6)) & 63];
  }
  if (bits > 0) out += kDigits[(value << (6 - bits)) & 63];
  return out;
}

class Unsecured final : public kafka::TokenProvider {
 public:
  explicit Unsecured(std::string mode) : mode_(std::move(mode)) {}
  base::Result<kafka::Token> token() override {
    ++asked;
    if (mode_ == "FAILS") return base::fail(base::ErrorKind::kRetry, "the identity service is closed on Fridays");
    const auto expires = now_s() + (mode_ == "EXPIRED" ? -60 : 6);
    const auto claims = R"({"sub":"reader","iat":)" + std::to_string(now_s() - 120) + R"(,"exp":)" + std::to_string(expires) + "}";
    return kafka::Token{base64url(R"({"alg":"none"})") + "." + base64url(claims) + ".", base::Micros(expires * 1'000'000), "reader", {}};
  }
  std::atomic<int> asked = 0;

 private:
  std::string mode_;
};

int fail(const base::Error& error) {
  std::printf("%s\n", error.message.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const auto tokens = std::make_shared<Unsecured>(argv[4]);
  const kafka::ClientOptions options{
      .brokers = argv[1],
      .librdkafka_options = {{"security.protocol", "SASL_SSL"}, {"sasl.mechanism", "OAUTHBEARER"}, {"ssl.ca.location", argv[3]}},
      .tokens = tokens};
  auto source = kafka::open_source(options, argv[2], "tokens");
  if (!source) return fail(source.error());
  const auto info = (*source)->describe();
  if (!info) return fail(info.error());
  std::vector<kafka::Assignment> all;
  for (const auto& partition : info->partitions) all.push_back({partition.id, base::Offset(0)});
  if (const auto assigned = (*source)->assign(all); !assigned) return fail(assigned.error());
  int records = 0, ends = 0;
  struct Seen {
    int *records, *ends;
  } seen{&records, &ends};
  const kafka::Handler handler{&seen, [](void* context, const kafka::Record&) { return ++*static_cast<Seen*>(context)->records > 0; },
                               [](void* context, const kafka::PartitionEvent& event) {
                                 if (event.kind == kafka::EventKind::kEnd) ++*static_cast<Seen*>(context)->ends;
                               }};
  const auto deadline = now_s() + 30;
  while ((ends < static_cast<int>(all.size()) || tokens->asked < 2) && now_s() < deadline) {
    (*source)->poll(base::Duration::millis(100), handler);
  }
  std::printf("records %d tokens %d\n", records, tokens->asked.load());
  return 0;
}
