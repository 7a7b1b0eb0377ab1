#include "generate/generate.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "base/time.h"
#include "generate/event.h"
#include "generate/otlp.h"

namespace headpond::generate {
namespace {

constexpr std::size_t kBatchMax = 256;
constexpr auto kWait = base::Duration::millis(10);
constexpr auto kCollect = base::Duration::millis(200);  // of live events, for one OTLP message
constexpr auto kFlush = base::Duration::seconds(60);

bool is_share(double share) {
  return share >= 0 && share <= 1;
}

class Generator {
 public:
  Generator(const Options& options, kafka::Producer& producer, env::Clock& clock, const OnProgress& on_progress)
      : options_(options),
        producer_(producer),
        clock_(clock),
        on_progress_(on_progress),
        random_(options.seed),
        writer_(options),
        otlp_(options),
        tenants_(options.tenants),
        services_(options.services),
        buffer_(kBatchMax * kEventBytesMax) {
    messages_.reserve(kBatchMax);
    for (const auto& incident : options.incidents) {
      int service = -1;
      for (int i = 0; i < options.services; ++i) {
        if (service_name(i) == incident.service) service = i;
      }
      int host = -1;
      for (int i = 0; i < options.hosts; ++i) {
        if (host_name(i) == incident.silent_host) host = i;
      }
      incidents_.push_back({incident.at, incident.at + incident.lasts, service, host, incident.error_share, incident.traffic_share});
    }
  }

  base::Result<Progress> run() {
    for (const auto& span : options_.history) TRY_VOID(produce_span(span));
    if (options_.live_events != 0) TRY_VOID(produce_live());
    TRY_VOID(producer_.flush(kFlush));
    progress_.delivered = producer_.delivered();
    on_progress_(progress_);
    return progress_;
  }

 private:
  struct Planted {
    base::Micros from, to;
    int service, silent_host;
    double error_share, traffic_share;
  };

  base::Result<void> produce_span(const Span& span) {
    next_heartbeat_ = span.from;
    const auto length = static_cast<double>((span.to - span.from).value());
    for (std::int64_t i = 0; i < span.events && going_; ++i) {
      add(base::Micros(span.from.value() + static_cast<std::int64_t>(length * static_cast<double>(i) / static_cast<double>(span.events))));
      if (is_full()) TRY_VOID(send());
    }
    return send();
  }

  base::Result<void> produce_live() {
    const auto start = clock_.monotonic();
    next_heartbeat_ = clock_.now();
    std::int64_t sent = 0;
    while (going_ && (options_.live_events < 0 || sent < options_.live_events)) {
      std::int64_t due = static_cast<std::int64_t>(kBatchMax);
      if (options_.rate > 0) due = static_cast<std::int64_t>((clock_.monotonic() - start).to_seconds() * options_.rate) - sent;
      if (options_.live_events >= 0) due = std::min(due, options_.live_events - sent);
      due = std::min(due, static_cast<std::int64_t>(kBatchMax));
      if (due <= 0) {
        if (clock_.now() - message_began_ >= kCollect) TRY_VOID(send());
        TRY_VOID(producer_.wait(kWait));
        report();
        continue;
      }
      const auto now = clock_.now();
      for (std::int64_t i = 0; i < due; ++i) {
        if (otlp_.records() == 0) message_began_ = now;
        add(now);
        if (is_otlp() && is_full()) TRY_VOID(send());
      }
      sent += due;
      if (!is_otlp()) TRY_VOID(send());
    }
    return send();
  }

  // One more event with record time `t`.
  void add(base::Micros t) {
    const Planted* incident = nullptr;
    for (const auto& planted : incidents_) {
      if (t >= planted.from && t < planted.to) incident = &planted;
    }
    ++progress_.events;
    progress_.time = t;
    auto event = take_heartbeat(t, incident);
    if (!event) event = request(t, incident);
    if (is_otlp()) return otlp_.add(*event, random_);
    char* const out = buffer_.data() + messages_.size() * kEventBytesMax;
    std::size_t size = writer_.write(*event, random_, out);
    if (!event->heartbeat && random_.chance(options_.malformed_share)) {
      ++progress_.malformed;
      size = spoil(out, size);
    }
    queue({out, size});
  }

  void queue(std::string_view payload) {
    progress_.bytes += static_cast<std::int64_t>(payload.size());
    messages_.push_back({.payload = payload,
                         .key = {},
                         .timestamp_ms = progress_.time.value() / 1000,
                         .partition = static_cast<std::int32_t>(random_.below(static_cast<std::uint32_t>(options_.partitions)))});
  }

  bool is_otlp() const { return options_.encoding != Encoding::kJson; }
  // What may wait no longer, or is as much as goes at once.
  bool is_full() const { return is_otlp() ? otlp_.records() >= options_.batch : messages_.size() == kBatchMax; }

  // Hosts send in turn, evenly over the interval. At most every fourth record is a heartbeat, so that thin history is not made of them.
  std::optional<Event> take_heartbeat(base::Micros t, const Planted* incident) {
    if (options_.heartbeat.value() <= 0 || t < next_heartbeat_ || progress_.events % 4 != 0) return std::nullopt;
    const auto step = base::Duration(std::max<std::int64_t>(1, options_.heartbeat.value() / options_.hosts));
    const auto host = heartbeat_host_;
    heartbeat_host_ = (heartbeat_host_ + 1) % static_cast<std::uint32_t>(options_.hosts);
    next_heartbeat_ = next_heartbeat_ + step;
    // After a hole in time, heartbeats do not catch up with it.
    if (t - next_heartbeat_ > options_.heartbeat) next_heartbeat_ = t;
    if (incident != nullptr && incident->silent_host == static_cast<int>(host)) return std::nullopt;
    ++progress_.heartbeats;
    Event event;
    event.ts = t;
    event.heartbeat = true;
    event.host = host;
    event.service = host % static_cast<std::uint32_t>(options_.services);
    event.tenant = 0;
    return event;
  }

  Event request(base::Micros t, const Planted* incident) {
    Event event;
    event.ts = t;
    event.tenant = tenants_.pick(random_);
    event.service = services_.pick(random_);
    if (!is_otlp() || otlp_.records() == 0) host_ = random_.below(static_cast<std::uint32_t>(options_.hosts));
    event.host = host_;
    double error_share = options_.error_share;
    if (incident != nullptr && incident->service >= 0) {
      if (random_.chance(incident->traffic_share)) event.service = static_cast<std::uint32_t>(incident->service);
      if (event.service == static_cast<std::uint32_t>(incident->service)) error_share = incident->error_share;
    }
    const double draw = random_.unit();
    if (draw < error_share) {
      event.level = Level::kError;
      event.status = draw < error_share * 0.8 ? 500 : 503;
      ++progress_.errors;
    } else if (draw < error_share + options_.warn_share) {
      event.level = Level::kWarn;
      event.status = 429;
    } else if (draw > 0.9) {
      event.level = Level::kDebug;
    }
    if (random_.chance(options_.late_share)) {
      event.ts = t - base::Duration(static_cast<std::int64_t>(random_.unit() * static_cast<double>(options_.late_by_max.value())));
      ++progress_.late;
    } else if (random_.chance(options_.future_share)) {
      event.ts = t + base::Duration::minutes(6) + base::Duration::seconds(random_.below(3600));
      ++progress_.future;
    }
    return event;
  }

  // What real pipelines deliver now and then: a cut record, plain text, a broken escape, bytes that are not UTF-8.
  std::size_t spoil(char* out, std::size_t size) {
    switch (random_.below(4)) {
      case 0: return size * 3 / 5;
      case 1: out[0] = '-'; return size;
      case 2: out[size - 3] = '\\'; return size - 2;
      default:
        out[size - 20] = static_cast<char>(0xC3);
        out[size - 19] = '(';
        return size;
    }
  }

  base::Result<void> send() {
    if (otlp_.records() > 0) {
      auto message = otlp_.finish();
      if (random_.chance(options_.malformed_share)) {
        ++progress_.malformed;
        message = message.substr(0, message.size() * 3 / 5);
      }
      queue(message);
    }
    std::span<const kafka::Message> rest(messages_);
    while (!rest.empty()) {
      TRY(const auto taken, producer_.produce(rest));
      rest = rest.subspan(taken);
      if (rest.empty()) break;
      TRY_VOID(producer_.wait(kWait));
      report();
    }
    messages_.clear();
    report();
    return {};
  }

  void report() {
    progress_.delivered = producer_.delivered();
    going_ = on_progress_(progress_) && going_;
  }

  const Options& options_;
  kafka::Producer& producer_;
  env::Clock& clock_;
  const OnProgress& on_progress_;
  SeededRandom random_;
  EventWriter writer_;
  OtlpWriter otlp_;
  Zipf tenants_, services_;
  std::vector<Planted> incidents_;
  std::vector<char> buffer_;
  std::vector<kafka::Message> messages_;
  Progress progress_;
  base::Micros next_heartbeat_;
  std::uint32_t heartbeat_host_ = 0;
  base::Micros message_began_;
  std::uint32_t host_ = 0;  // of the last request
  bool going_ = true;
};

}  // namespace

std::string check(const Options& options) {
  if (options.batch < 1 || options.batch > 2000) return "batch must be 1 to 2000 log records";
  if (options.partitions < 1) return "partitions must be at least 1";
  if (options.tenants < 1 || options.tenants > 1000) return "tenants must be 1 to 1000";
  if (options.services < 1 || options.services > 1000) return "services must be 1 to 1000";
  if (options.hosts < 1 || options.hosts > 10'000) return "hosts must be 1 to 10000";
  if (options.rate < 0) return "rate must not be negative (0 = flat out)";
  for (const double share : {options.error_share, options.warn_share, options.late_share, options.future_share, options.malformed_share}) {
    if (!is_share(share)) return "shares must be between 0 and 1";
  }
  base::Micros reached(INT64_MIN);
  for (const auto& span : options.history) {
    if (span.from >= span.to) return "--from must lie before --to";
    if (span.from < reached) return "history must come in rising times";
    if (span.events < 0) return "events must not be negative";
    reached = span.to;
  }
  for (const auto& incident : options.incidents) {
    if (!is_share(incident.error_share) || !is_share(incident.traffic_share)) return "an incident's shares must be between 0 and 1";
    bool known = incident.service.empty();
    for (int i = 0; i < options.services && !known; ++i) known = service_name(i) == incident.service;
    if (!known) return "no generated service is called '" + incident.service + "'; the first are checkout, cart, search, payments";
    known = incident.silent_host.empty();
    for (int i = 0; i < options.hosts && !known; ++i) known = host_name(i) == incident.silent_host;
    if (!known) return "no generated host is called '" + incident.silent_host + "'; the first is " + host_name(0);
  }
  return "";
}

base::Result<Progress> run(const Options& options, kafka::Producer& producer, env::Clock& clock, const OnProgress& on_progress) {
  if (auto problem = check(options); !problem.empty()) return base::fail(base::ErrorKind::kInvalid, "generate: " + problem);
  const auto generator = std::make_unique<Generator>(options, producer, clock, on_progress);
  return generator->run();
}

base::Result<void> check_past(const Options& options, const kafka::ClientOptions& client, const std::string& topic) {
  if (options.history.empty()) return {};
  TRY(const auto newest, kafka::newest_timestamp(client, topic));
  const auto from = options.history.front().from;
  if (!newest || *newest <= from) return {};
  return base::fail(
      base::ErrorKind::kInvalid,
      "topic '" + topic + "' already holds records up to " + base::format_rfc3339(*newest) +
          "; the past of a topic already read to its end cannot be filled: rows from before it would arrive now. Use a new topic, or " +
          "--from " + base::format_rfc3339(*newest) + " or later");
}

}  // namespace headpond::generate
