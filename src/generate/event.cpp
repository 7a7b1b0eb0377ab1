#include "generate/event.h"

#include <cstdio>

#include "base/time.h"

namespace headpond::generate {
namespace {

constexpr char kHex[] = "0123456789abcdef";

char* put(std::string_view text, char* out) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

char* put_number(std::uint64_t value, char* out) {
  char digits[20];
  int n = 0;
  do {
    digits[n++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (n > 0) *out++ = digits[--n];
  return out;
}

char* put_padded(std::uint64_t value, int width, char* out) {
  for (int i = width - 1; i >= 0; --i) {
    out[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  return out + width;
}

char* put_hex(std::uint64_t value, int digits, char* out) {
  for (int i = 0; i < digits; ++i) *out++ = kHex[(value >> (4 * i)) & 15];
  return out;
}

// `micros` as milliseconds with three decimals.
char* put_millis(std::uint64_t micros, char* out) {
  out = put_number(micros / 1000, out);
  *out++ = '.';
  return put_padded(micros % 1000, 3, out);
}

constexpr std::string_view kSeverities[] = {R"(,"severity_number":5,"severity":"DEBUG")", R"(,"severity_number":9,"severity":"INFO")",
                                            R"(,"severity_number":13,"severity":"WARN")", R"(,"severity_number":17,"severity":"ERROR")"};

constexpr std::string_view kServices[] = {"checkout", "cart",    "search",    "payments", "users",     "inventory", "shipping",
                                          "gateway",  "billing", "recommend", "session",  "mailer",    "webhooks",  "exports",
                                          "flags",    "pricing", "catalog",   "reviews",  "analytics", "media"};

// Mostly a few milliseconds, with a long tail: 2^k ms with falling chance.
std::uint64_t duration_us(SeededRandom& random) {
  const std::uint64_t r = random.next();
  const int doublings = __builtin_ctzll(r | 1u << 9);
  return 500 + ((r >> 16) & 4095) * (1ull << doublings);
}

}  // namespace

std::string service_name(int rank) {
  constexpr int kNames = std::size(kServices);
  std::string name(kServices[rank % kNames]);
  if (rank >= kNames) name += "-" + std::to_string(rank / kNames + 1);
  return name;
}

std::string tenant_name(int rank) {
  char text[16];
  std::snprintf(text, sizeof text, "t%03d", rank);
  return text;
}

std::string host_name(int number) {
  char text[32];
  std::snprintf(text, sizeof text, "web-%03d.eu-%d", number, number % 3 + 1);
  return text;
}

EventWriter::EventWriter(const Options& options) {
  for (int i = 0; i < options.services; ++i) services_.push_back(R"(,"service":")" + service_name(i) + '"');
  for (int i = 0; i < options.tenants; ++i) {
    tenant_names_.push_back(tenant_name(i));
    tenants_.push_back(R"(,"tenant":")" + tenant_name(i) + '"');
  }
  for (int i = 0; i < options.hosts; ++i) hosts_.push_back(R"(,"host":")" + host_name(i) + '"');
  for (const auto& source : kTemplates) {
    std::vector<Piece> pieces(1);
    for (std::size_t i = 0; i < source.text.size(); ++i) {
      if (source.text[i] == '%') {
        pieces.back().variable = source.text[++i];
        pieces.emplace_back();
      } else {
        pieces.back().text += source.text[i];
      }
    }
    messages_[static_cast<int>(source.level)].push_back(std::move(pieces));
  }
}

char* EventWriter::put_time(base::Micros t, char* out) {
  const auto second = base::floor_to(t, base::kSecond);
  if (second.value() != second_) {
    second_ = second.value();
    const auto text = base::format_rfc3339(second);
    std::memcpy(second_text_, text.data(), 19);
  }
  out = put({second_text_, 19}, out);
  *out++ = '.';
  out = put_padded(static_cast<std::uint64_t>((t - second).value()), 6, out);
  *out++ = 'Z';
  return out;
}

char* EventWriter::put_message(const std::vector<Piece>& pieces, const Event& event, SeededRandom& random, char* out) const {
  std::uint64_t bits = random.next();
  for (const auto& piece : pieces) {
    out = put(piece.text, out);
    bits = bits * 0x9E3779B97F4A7C15ull + 0x7F4A7C15ull;  // cheap successor of the random number for each variable
    const std::uint64_t r = bits >> 32;
    switch (piece.variable) {
      case 'n': out = put_number((r * 1000) >> 32, out); break;
      case 'h': out = put_hex(r, 8, out); break;
      case 'u': out = put_number((r * 100'000) >> 32, put("u", out)); break;
      case 'i':
        out = put("10.", out);
        out = put_number(r & 63, out);
        *out++ = '.';
        out = put_number((r >> 8) & 255, out);
        *out++ = '.';
        out = put_number((r >> 16) & 255, out);
        break;
      case 'p': out = put(kPaths[r % kPaths.size()], out); break;
      case 'd': out = put_number((r * 2000) >> 32, out); break;
      case 't': out = put(tenant_names_[event.tenant], out); break;
      default: break;
    }
  }
  return out;
}

std::size_t EventWriter::write(const Event& event, SeededRandom& random, char* out) {
  char* const begin = out;
  out = put(R"({"ts":")", out);
  out = put_time(event.ts, out);
  *out++ = '"';
  out = put(kSeverities[static_cast<int>(event.level)], out);
  out = put(services_[event.service], out);
  out = put(tenants_[event.tenant], out);
  out = put(hosts_[event.host], out);
  if (event.heartbeat) {
    out = put(R"(,"event":"heartbeat","message":"alive, load )", out);
    out = put_number(random.below(100), out);
    out = put(" percent\"}", out);
    return static_cast<std::size_t>(out - begin);
  }
  out = put(R"(,"event":"request","status":)", out);
  out = put_number(static_cast<std::uint64_t>(event.status), out);
  out = put(R"(,"duration_ms":)", out);
  out = put_millis(duration_us(random), out);
  const std::uint64_t id = random.next();
  out = put(R"(,"user_id":"u)", out);
  out = put_number(id % 100'000, out);
  out = put(R"(","trace_id":")", out);
  out = put_hex(id, 16, out);
  out = put_hex(id * 0x9E3779B97F4A7C15ull, 16, out);
  out = put(R"(","span_id":")", out);
  out = put_hex(id ^ (id >> 29), 16, out);
  out = put(R"(","message":")", out);
  const auto& messages = messages_[static_cast<int>(event.level)];
  out = put_message(messages[random.below(static_cast<std::uint32_t>(messages.size()))], event, random, out);
  out = put("\"}", out);
  return static_cast<std::size_t>(out - begin);
}

EventParts EventWriter::parts(const Event& event, SeededRandom& random) {
  EventParts parts;
  parts.tenant = tenant_names_[event.tenant];
  char* end = message_;
  if (event.heartbeat) {
    end = put(" percent", put_number(random.below(100), put("alive, load ", end)));
  } else {
    parts.duration_us = duration_us(random);
    parts.id = random.next();
    parts.trace_low = parts.id * 0x9E3779B97F4A7C15ull;
    parts.span = parts.id ^ (parts.id >> 29);
    const auto& messages = messages_[static_cast<int>(event.level)];
    end = put_message(messages[random.below(static_cast<std::uint32_t>(messages.size()))], event, random, end);
  }
  parts.message = {message_, static_cast<std::size_t>(end - message_)};
  return parts;
}

}  // namespace headpond::generate
