#include "generate/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/time.h"

namespace headpond::generate {
namespace {

using testing::HasSubstr;

struct Sent {
  std::string payload;
  std::int64_t timestamp_ms;
  std::int32_t partition;
  bool operator==(const Sent&) const = default;
};

// Takes at most `room` records between two waits.
class FakeProducer final : public kafka::Producer {
 public:
  base::Result<std::size_t> produce(std::span<const kafka::Message> messages) override {
    const auto taken = std::min(messages.size(), room);
    for (const auto& m : messages.first(taken)) sent.push_back({std::string(m.payload), m.timestamp_ms, m.partition});
    return taken;
  }
  base::Result<void> wait(base::Duration) override {
    ++waits;
    return {};
  }
  base::Result<void> flush(base::Duration) override {
    flushed = true;
    return {};
  }
  std::int64_t delivered() const override { return static_cast<std::int64_t>(sent.size()); }

  std::size_t room = 1000, waits = 0;
  bool flushed = false;
  std::vector<Sent> sent;
};

class StepClock final : public env::Clock {
 public:
  base::Micros now() override { return base::Micros(1'700'000'000'000'000 + ticks_ * 1000); }
  base::Duration monotonic() override { return base::Duration(1000 * ++ticks_); }

 private:
  std::int64_t ticks_ = 0;
};

const base::Micros kFrom = *base::parse_rfc3339("2026-11-24T00:00:00Z");
const base::Micros kTo = *base::parse_rfc3339("2026-11-24T01:00:00Z");

std::vector<Sent> produced(const Options& options, Progress* progress = nullptr) {
  FakeProducer producer;
  StepClock clock;
  const auto done = run(options, producer, clock, [](const Progress&) { return true; });
  EXPECT_TRUE(done) << done.error().message;
  if (progress != nullptr) *progress = *done;
  return producer.sent;
}

Options history(std::int64_t events) {
  Options options;
  options.partitions = 3;
  options.history = {{kFrom, kTo, events}};
  return options;
}

std::size_t holding(const std::vector<Sent>& sent, std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(sent.begin(), sent.end(), [&](const auto& s) { return s.payload.find(text) != std::string::npos; }));
}

TEST(Generate, SameSeedGivesTheSameBytesAndAnotherSeedOthers) {
  auto options = history(2000);
  options.malformed_share = options.late_share = options.future_share = 0.05;
  const auto first = produced(options);
  EXPECT_EQ(first, produced(options));
  options.seed = 2;
  EXPECT_NE(first, produced(options));
}

TEST(Generate, TheFirstRecordIsFrozen) {
  EXPECT_EQ(
      produced(history(1)).front().payload,
      R"x({"ts":"2026-11-24T00:00:00.000000Z","severity_number":9,"severity":"INFO","service":"users","tenant":"t034","host":)x"
      R"x("web-068.eu-3","event":"request","status":200,"duration_ms":3.095,"user_id":"u40162","trace_id":"227adff621321c42ac)x"
      R"x(d279a309dd2509","span_id":"1bfb4f9431321c42","message":"10.4.158.202 POST /api/v1/users/me accepted in 1281 ms, 720 bytes read, request 75828c9f)x"
      R"x( queued for the worker of tenant t034 behind 534 others in its lane"})x");
}

TEST(Generate, TimesRiseWithinTheSpanAndMatchTheRecordTimes) {
  const auto sent = produced(history(1000));
  ASSERT_EQ(sent.size(), 1000u);
  std::int64_t last = 0;
  std::size_t by_partition[3] = {};
  for (const auto& record : sent) {
    EXPECT_GE(record.timestamp_ms, last);
    last = record.timestamp_ms;
    ++by_partition[record.partition];
    const auto ts = base::parse_rfc3339(std::string_view(record.payload).substr(7, 27));
    ASSERT_TRUE(ts) << record.payload;
    EXPECT_EQ(ts->value() / 1000, record.timestamp_ms);
  }
  EXPECT_EQ(sent.front().timestamp_ms, kFrom.value() / 1000);
  EXPECT_LT(sent.back().timestamp_ms, kTo.value() / 1000);
  for (const auto count : by_partition) EXPECT_GT(count, 250u);
}

TEST(Generate, EventsAreAbout430Bytes) {
  auto options = history(20'000);
  options.heartbeat = base::Duration(0);
  Progress progress;
  produced(options, &progress);
  EXPECT_NEAR(static_cast<double>(progress.bytes) / static_cast<double>(progress.events), 430, 15);
}

TEST(Generate, SharesAreKept) {
  auto options = history(20'000);
  options.heartbeat = base::Duration(0);
  options.malformed_share = 0.02;
  options.late_share = 0.1;
  options.future_share = 0.05;
  Progress progress;
  const auto sent = produced(options, &progress);
  EXPECT_NEAR(static_cast<double>(progress.malformed), 400, 80);
  EXPECT_NEAR(static_cast<double>(progress.late), 2000, 200);
  EXPECT_NEAR(static_cast<double>(progress.future), 900, 150);
  EXPECT_NEAR(static_cast<double>(holding(sent, "\"severity\":\"ERROR\"")), 200, 60);
  EXPECT_EQ(holding(sent, "\"event\":\"heartbeat\""), static_cast<std::size_t>(progress.heartbeats));
}

TEST(Generate, BusyTenantsAreBusierByZipf) {
  const auto sent = produced(history(20'000));
  const auto first = holding(sent, "\"tenant\":\"t000\""), tenth = holding(sent, "\"tenant\":\"t009\"");
  EXPECT_GT(first, 8 * tenth);
  EXPECT_GT(tenth, 100u);
}

TEST(Generate, EachHostSendsAHeartbeatEachInterval) {
  Options options;
  options.hosts = 5;
  options.history = {{kFrom, kFrom + base::Duration::seconds(100), 1000}};
  const auto sent = produced(options);
  for (int i = 0; i < 5; ++i) {
    EXPECT_NEAR(static_cast<double>(holding(sent, "\"host\":\"" + host_name(i) + "\",\"event\":\"heartbeat\"")), 10, 1) << i;
  }
}

TEST(Generate, AnIncidentFailsItsServiceAndSilencesItsHost) {
  Options options;
  options.hosts = 5;
  options.history = {{kFrom, kFrom + base::Duration::seconds(100), 10'000}};
  options.incidents = {{.at = kFrom + base::Duration::seconds(50),
                        .lasts = base::Duration::seconds(50),
                        .service = "payments",
                        .error_share = 0.9,
                        .traffic_share = 0.5,
                        .silent_host = host_name(3)}};
  const auto sent = produced(options);
  std::size_t errors[2] = {}, heartbeats[2] = {};
  for (const auto& record : sent) {
    const std::size_t during = record.timestamp_ms >= kFrom.value() / 1000 + 50'000 ? 1 : 0;
    if (holding({record}, "\"service\":\"payments\"") != 0 && holding({record}, "\"ERROR\"") != 0) ++errors[during];
    if (holding({record}, "\"host\":\"" + host_name(3) + "\",\"event\":\"heartbeat\"") != 0) ++heartbeats[during];
  }
  EXPECT_LT(errors[0], 30u);
  EXPECT_GT(errors[1], 2000u);
  EXPECT_GT(heartbeats[0], 3u);
  EXPECT_EQ(heartbeats[1], 0u);
}

TEST(Generate, AFullQueueDelaysAndLosesNothing) {
  FakeProducer producer;
  producer.room = 7;
  StepClock clock;
  const auto done = run(history(1000), producer, clock, [](const Progress&) { return true; });
  ASSERT_TRUE(done);
  EXPECT_EQ(producer.sent.size(), 1000u);
  EXPECT_GT(producer.waits, 100u);
  EXPECT_TRUE(producer.flushed);
  EXPECT_EQ(done->delivered, 1000);
}

TEST(Generate, LiveTrafficKeepsItsRateAndStopsWhenTold) {
  FakeProducer producer;
  StepClock clock;  // 1 ms a look
  Options options;
  options.live_events = -1;
  options.rate = 2000;
  const auto done = run(options, producer, clock, [](const Progress& p) { return p.events < 500; });
  ASSERT_TRUE(done);
  EXPECT_GE(done->events, 500);
  EXPECT_LT(done->events, 520);
  EXPECT_NEAR(static_cast<double>(producer.sent.back().timestamp_ms - producer.sent.front().timestamp_ms), 250, 15);
}

TEST(Generate, WrongOptionsAreNamed) {
  auto options = history(10);
  options.history[0].to = kFrom;
  EXPECT_EQ(check(options), "--from must lie before --to");
  options = history(10);
  options.incidents.emplace_back().service = "chekout";
  EXPECT_THAT(check(options), HasSubstr("no generated service is called 'chekout'"));
}

TEST(Generate, OtlpMessagesHoldTheSameEventsAtOnce) {
  Options options{.seed = 3, .encoding = Encoding::kOtlpJson, .batch = 10, .history = {{kFrom, kTo, 95}}, .incidents = {}};
  Progress progress;
  const auto json = produced(options, &progress);
  EXPECT_EQ(progress.events, 95);
  ASSERT_EQ(json.size(), 10u);  // the last of 5
  EXPECT_EQ(produced(options), json);
  EXPECT_THAT(json[0].payload,
              testing::StartsWith(R"({"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":")"));
  std::size_t records = 0;
  for (const auto& message : json)
    for (auto at = message.payload.find("timeUnixNano"); at != std::string::npos; at = message.payload.find("timeUnixNano", at + 1))
      ++records;
  EXPECT_EQ(records, 95u);
  options.encoding = Encoding::kOtlpProto;
  const auto proto = produced(options);
  ASSERT_EQ(proto.size(), 10u);
  EXPECT_EQ(proto[0].payload[0], 10);  // resource_logs
  options.batch = 0;
  EXPECT_THAT(check(options), HasSubstr("batch must be 1 to 2000"));
}

}  // namespace
}  // namespace headpond::generate
