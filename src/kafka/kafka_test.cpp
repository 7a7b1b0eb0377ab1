// Against librdkafka's own in-process broker: what needs no JVM.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <chrono>
#include <deque>
#include <set>
#include <thread>

#include "kafka/client.h"

namespace headpond::kafka {
namespace {

using testing::HasSubstr;

constexpr auto kTick = base::Duration::millis(50);

struct Seen {
  struct Row {
    std::int32_t partition;
    std::int64_t offset, timestamp_us;
    std::string payload;
    bool has_key;
    std::string headers = {};
  };
  std::vector<Row> rows;
  std::vector<PartitionEvent> events;
  std::size_t limit = 1000;

  Handler handler() {
    return {this,
            [](void* context, const Record& r) {
              auto& seen = *static_cast<Seen*>(context);
              seen.rows.push_back(
                  {r.partition, r.offset, r.timestamp_us, std::string(r.payload), r.key.data() != nullptr, std::string(r.headers)});
              return seen.rows.size() < seen.limit;
            },
            [](void* context, const PartitionEvent& e) { static_cast<Seen*>(context)->events.push_back(e); }};
  }
  std::size_t count(EventKind kind) const {
    return static_cast<std::size_t>(std::count_if(events.begin(), events.end(), [&](const auto& e) { return e.kind == kind; }));
  }
};

template <class Condition>
bool until(Source& source, Seen& seen, Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    source.poll(kTick, seen.handler());
  }
  return true;
}

class MockKafka : public testing::Test {
 protected:
  void SetUp() override {
    auto started = MockBroker::start("logs", 2);
    ASSERT_TRUE(started) << started.error().message;
    broker_ = std::move(*started);
    options_.brokers = broker_->brokers();
  }
  void produce(int count, std::int64_t first_ms) {
    auto producer = open_producer(options_, "logs", "none");
    ASSERT_TRUE(producer) << producer.error().message;
    for (int i = 0; i < count; ++i) {
      const auto text = "{\"n\":" + std::to_string(i) + "}";
      const Message message{.payload = text, .key = {}, .timestamp_ms = first_ms + i, .partition = i % 2};
      const auto taken = (*producer)->produce({&message, 1});
      ASSERT_TRUE(taken) << taken.error().message;
      ASSERT_EQ(*taken, 1u);
    }
    const auto flushed = (*producer)->flush(base::Duration::seconds(20));
    ASSERT_TRUE(flushed) << flushed.error().message;
    EXPECT_EQ((*producer)->delivered(), count);
  }
  std::unique_ptr<MockBroker> broker_;
  ClientOptions options_;
};

TEST_F(MockKafka, HandsOverEachRecordOnceInOrderAndTellsTheEnd) {
  produce(100, 1'700'000'000'000);
  auto source = open_source(options_, "logs", "g");
  ASSERT_TRUE(source) << source.error().message;
  ASSERT_TRUE((*source)->assign({{base::PartitionId(0), base::Offset(10)}, {base::PartitionId(1), base::Offset(0)}}));
  Seen seen;
  ASSERT_TRUE(until(**source, seen, [&] { return seen.rows.size() >= 90 && seen.count(EventKind::kEnd) >= 2; }));
  ASSERT_EQ(seen.rows.size(), 90u);
  std::int64_t next[2] = {10, 0};
  for (const auto& row : seen.rows) {
    EXPECT_EQ(row.offset, next[row.partition]++);
    EXPECT_EQ(row.timestamp_us, (1'700'000'000'000 + row.offset * 2 + row.partition) * 1000);
    EXPECT_EQ(row.payload, "{\"n\":" + std::to_string(row.offset * 2 + row.partition) + "}");
    EXPECT_FALSE(row.has_key);
  }
  for (const auto& event : seen.events) EXPECT_EQ(event.offset.value(), 50);
}

TEST_F(MockKafka, AProducersHeadersArrive) {
  auto producer = open_producer(options_, "logs", "lz4");
  ASSERT_TRUE(producer) << producer.error().message;
  const MessageHeader headers[] = {{"type", "json"}, {"empty", ""}};
  const Message messages[] = {{.payload = "{}", .key = "k", .timestamp_ms = 1, .partition = 0, .headers = headers},
                              {.payload = "{}", .key = {}, .timestamp_ms = 2, .partition = 0}};
  ASSERT_EQ((*producer)->produce(messages).value_or(0), 2u);
  ASSERT_TRUE((*producer)->flush(base::Duration::seconds(20)));
  auto source = open_source(options_, "logs", "g");
  ASSERT_TRUE(source) << source.error().message;
  ASSERT_TRUE((*source)->assign({{base::PartitionId(0), base::Offset(0)}}));
  Seen seen;
  ASSERT_TRUE(until(**source, seen, [&] { return seen.rows.size() >= 2; }));
  std::string expected;
  headers_json(std::vector<HeaderView>{{"type", "json"}, {"empty", ""}}, expected);
  EXPECT_EQ(seen.rows[0].headers, expected);
  EXPECT_TRUE(seen.rows[0].has_key);
  EXPECT_EQ(seen.rows[1].headers, "");
  EXPECT_FALSE(seen.rows[1].has_key);
}

TEST_F(MockKafka, StopsWhenTheHandlerSaysSoAndGoesOnWithTheNext) {
  produce(60, 1'700'000'000'000);
  auto source = open_source(options_, "logs", "g");
  ASSERT_TRUE((*source)->assign({{base::PartitionId(0), base::Offset(0)}}));
  Seen seen;
  seen.limit = 7;
  ASSERT_TRUE(until(**source, seen, [&] { return seen.rows.size() >= 7; }));
  EXPECT_EQ(seen.rows.size(), 7u);
  seen.limit = 1000;
  ASSERT_TRUE(until(**source, seen, [&] { return seen.rows.size() >= 30; }));
  for (std::size_t i = 0; i < seen.rows.size(); ++i) EXPECT_EQ(seen.rows[i].offset, static_cast<std::int64_t>(i));
}

std::size_t allocated() {
  const auto heap = mallinfo2();
  return heap.uordblks + heap.hblkhd;
}

// Bytes the process holds more than at first, at most, as far as a slow reader sees it.
struct SlowReader {
  std::size_t at_first, most = 0;
  std::size_t records = 0;

  Handler handler() {
    return {this,
            [](void* context, const Record&) {
              auto& reader = *static_cast<SlowReader*>(context);
              // The client has as long as it may need to fetch once more.
              const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
              while (std::chrono::steady_clock::now() < deadline) {
                const auto now = allocated();
                if (now > reader.at_first) reader.most = std::max(reader.most, now - reader.at_first);
              }
              ++reader.records;
              return false;
            },
            [](void*, const PartitionEvent&) {}};
  }
};

TEST_F(MockKafka, WhatIsFetchedForASlowReaderStaysWithinItsBound) {
  constexpr int kRecords = 90;
  auto producer = open_producer(options_, "logs", "none");
  ASSERT_TRUE(producer) << producer.error().message;
  const std::string payload(100'000, 'x');
  for (int i = 0; i < kRecords; ++i) {
    const Message message{.payload = payload, .key = {}, .timestamp_ms = 1'700'000'000'000, .partition = i % 2};
    ASSERT_EQ((*producer)->produce({&message, 1}).value_or(0), 1u);
    ASSERT_TRUE((*producer)->flush(base::Duration::seconds(20)));  // a batch each: the client holds a batch until its last record is read
  }
  producer->reset();
  options_.queue_bytes = 1 << 20;
  options_.fetch_bytes = 1 << 20;
  SlowReader reader{.at_first = allocated()};
  auto source = open_source(options_, "logs", "g");
  ASSERT_TRUE(source) << source.error().message;
  ASSERT_TRUE((*source)->assign({{base::PartitionId(0), base::Offset(0)}, {base::PartitionId(1), base::Offset(0)}}));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (reader.records < 12 && std::chrono::steady_clock::now() < deadline) (*source)->poll(kTick, reader.handler());
  EXPECT_EQ(reader.records, 12u);
  // The queue, one answer, and the mock broker's copy of that; all of the topic is 9 MB.
  EXPECT_LT(reader.most, 4u << 20) << "the client goes on fetching while its reader is slow";
}

TEST_F(MockKafka, RefetchStartsAtTheGivenOffset) {
  produce(40, 1'700'000'000'000);
  auto source = open_source(options_, "logs", "g");
  ASSERT_TRUE((*source)->assign({{base::PartitionId(0), base::Offset(0)}}));
  Seen seen;
  ASSERT_TRUE(until(**source, seen, [&] { return seen.rows.size() >= 20; }));
  ASSERT_TRUE((*source)->refetch({base::PartitionId(0), base::Offset(15)}));
  Seen again;
  ASSERT_TRUE(until(**source, again, [&] { return again.rows.size() >= 5; }));
  EXPECT_EQ(again.rows.front().offset, 15);
}

TEST_F(MockKafka, APositionWithItsEpochIsFetchedFrom) {
  produce(40, 1'700'000'000'000);
  auto source = open_source(options_, "logs", "g");
  ASSERT_TRUE((*source)->assign({{base::PartitionId(0), base::Offset(7), 0}}));
  Seen seen;
  ASSERT_TRUE(until(**source, seen, [&] { return seen.rows.size() >= 13; }));
  EXPECT_EQ(seen.rows.front().offset, 7);
  ASSERT_TRUE((*source)->add({{base::PartitionId(1), base::Offset(5), 0}}));
  Seen other;
  ASSERT_TRUE(until(**source, other, [&] { return other.rows.size() >= 15; }));
  EXPECT_EQ(other.rows.front().offset, 5);
}

TEST_F(MockKafka, AnswersLogEndsWithoutWaiting) {
  produce(10, 1'700'000'000'000);
  auto source = open_source(options_, "logs", "g");
  (*source)->ask_log_ends({base::PartitionId(0), base::PartitionId(1)});
  std::optional<std::vector<LogEnd>> ends;
  Seen seen;
  ASSERT_TRUE(until(**source, seen, [&] { return (ends = (*source)->take_log_ends()).has_value(); }));
  ASSERT_EQ(ends->size(), 2u);
  for (const auto& end : *ends) EXPECT_EQ(end.end.value(), 5) << end.error;
}

TEST_F(MockKafka, DescribesTheTopic) {
  auto source = open_source(options_, "logs", "g");
  const auto info = (*source)->describe();
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->partitions.size(), 2u);
  EXPECT_TRUE(info->partitions[0].has_leader);
  EXPECT_FALSE(info->transactions);
}

TEST_F(MockKafka, AnOffsetBeyondTheLogIsAnEventNotAJump) {
  produce(10, 1'700'000'000'000);
  auto source = open_source(options_, "logs", "g");
  ASSERT_TRUE((*source)->assign({{base::PartitionId(0), base::Offset(4711)}}));
  Seen seen;
  ASSERT_TRUE(until(**source, seen, [&] { return seen.count(EventKind::kOutOfRange) + seen.count(EventKind::kTruncated) > 0; }));
  EXPECT_TRUE(seen.rows.empty());
}

TEST(Kafka, UnreachableBrokerIsOneClearLine) {
  const auto info = describe_topic({.brokers = "127.0.0.1:1", .librdkafka_options = {}}, "logs");
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().kind, base::ErrorKind::kRetry);
  EXPECT_THAT(info.error().message, HasSubstr("cannot reach any Kafka broker at 127.0.0.1:1 within 5s; is it running?"));
}

TEST(Kafka, RefusesOptionsThatWouldBreakTheGuarantee) {
  const auto refused = open_source({.brokers = "127.0.0.1:1", .librdkafka_options = {{"auto.offset.reset", "earliest"}}}, "logs", "g");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, base::ErrorKind::kInvalid);
  EXPECT_THAT(refused.error().message, HasSubstr("'auto.offset.reset' cannot be set: it is always 'error'"));
  const auto unknown = open_source({.brokers = "127.0.0.1:1", .librdkafka_options = {{"fetch.mesage.max.bytes", "s3cret"}}}, "logs", "g");
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("'fetch.mesage.max.bytes': librdkafka has no such property"));
  EXPECT_THAT(unknown.error().message, testing::Not(HasSubstr("s3cret")));
}

TEST(Kafka, EveryOptionThatWouldBreakTheGuaranteeIsRefusedWithTheReasonAndWithoutItsValue) {
  const std::vector<std::pair<std::string, std::string>> bad = {{"isolation.level", "read_uncommitted"},
                                                                {"check.crcs", "false"},
                                                                {"enable.auto.commit", "true"},
                                                                {"auto.commit.enable", "true"},
                                                                {"enable.auto.offset.store", "true"},
                                                                {"group.id", "hunter2"},
                                                                {"group.protocol", "consumer"},
                                                                {"partition.assignment.strategy", "range"},
                                                                {"queued.max.messages.kbytes", "2000000"},
                                                                {"fetch.message.max.bytes", "900000000"},
                                                                {"max.partition.fetch.bytes", "900000000"},
                                                                {"fetch.max.bytes", "900000000"},
                                                                {"receive.message.max.bytes", "900000000"},
                                                                {"transactional.id", "x"},
                                                                {"topic.blacklist", "logs"},
                                                                {"debug", "all"},
                                                                {"statistics.interval.ms", "1000"}};
  for (const auto& [key, value] : bad) {
    const auto refused = open_source({.brokers = "127.0.0.1:1", .librdkafka_options = {{key, value}}}, "logs", "g");
    ASSERT_FALSE(refused) << key;
    EXPECT_EQ(refused.error().kind, base::ErrorKind::kInvalid);
    EXPECT_THAT(refused.error().message, HasSubstr("'" + key + "' cannot be set: "));
    EXPECT_THAT(refused.error().message, testing::Not(HasSubstr("hunter2")));
  }
  // What is so anyway may be said, and what only one client needs is kept from the others.
  const auto taken = open_source({.brokers = "127.0.0.1:1",
                                  .librdkafka_options = {{"isolation.level", "read_committed"},
                                                         {"enable.auto.commit", "false"},
                                                         {"group.instance.id", "i-1"},
                                                         {"message.max.bytes", "1000"}}},
                                 "logs", "g");
  EXPECT_TRUE(taken) << taken.error().message;
}

TEST_F(MockKafka, ALoneMemberOfAGroupIsDealtEveryPartition) {
  auto group = open_group(options_, "logs", "g");
  ASSERT_TRUE(group) << group.error().message;
  std::optional<GroupChange> change;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!(change = (*group)->take()) && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ASSERT_TRUE(change);
  EXPECT_EQ(change->kind, GroupChange::Kind::kGained);
  EXPECT_EQ(change->partitions, (std::vector{base::PartitionId(0), base::PartitionId(1)}));
  EXPECT_FALSE((*group)->take()) << "no other change before the answer";
  ASSERT_TRUE((*group)->done());
  (*group)->publish_offsets({{base::PartitionId(0), base::Offset(3)}});
  EXPECT_FALSE((*group)->take());
  EXPECT_FALSE((*group)->trouble());
}

TEST_F(MockKafka, AGroupDealsItsPartitionsOutAnewWhenAMemberComesOrGoes) {
  options_.librdkafka_options = {{"session.timeout.ms", "3000"}, {"heartbeat.interval.ms", "200"}};  // the mock waits so long for joins
  std::vector<std::unique_ptr<Group>> members;
  std::vector<std::set<int>> held(2);
  std::vector<int> given(2);
  const auto until = [&](auto condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      for (std::size_t i = 0; i < members.size(); ++i) {
        const auto change = members[i] ? members[i]->take() : std::nullopt;
        if (!change) continue;
        for (const auto id : change->partitions) {
          if (change->kind == GroupChange::Kind::kGained) {
            held[i].insert(id.value());
          } else {
            held[i].erase(id.value());
          }
        }
        given[i] += change->kind == GroupChange::Kind::kGiven ? 1 : 0;
        EXPECT_TRUE(members[i]->done());
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return condition();
  };
  members.push_back(std::move(*open_group(options_, "logs", "g")));
  ASSERT_TRUE(until([&] { return held[0].size() == 2; }));
  members.push_back(std::move(*open_group(options_, "logs", "g")));
  ASSERT_TRUE(until([&] { return held[0].size() == 1 && held[1].size() == 1; }));
  EXPECT_NE(held[0], held[1]);
  EXPECT_EQ(given, (std::vector{1, 0}));
  members[0].reset();
  EXPECT_TRUE(until([&] { return held[1].size() == 2; }));
}

TEST_F(MockKafka, AMemberLeavesWithAChangeUnanswered) {
  auto group = open_group(options_, "logs", "g");
  ASSERT_TRUE(group) << group.error().message;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!(*group)->take() && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  group->reset();
  EXPECT_LT(std::chrono::steady_clock::now(), deadline);
}

struct NoToken final : TokenProvider {
  base::Result<Token> token() override { return base::fail(base::ErrorKind::kRetry, "none today"); }
};

TEST(Kafka, TheLoginsThatAreDocumentedAreBuiltIn) {
  for (const auto* mechanism : {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"}) {
    ClientOptions options{.brokers = "127.0.0.1:1",
                          .librdkafka_options = {{"security.protocol", "SASL_SSL"}, {"sasl.mechanism", mechanism}},
                          .tokens = std::make_shared<NoToken>()};
    if (std::string_view(mechanism) != "OAUTHBEARER") {
      options.tokens = nullptr;
      options.librdkafka_options["sasl.username"] = "u";
      options.librdkafka_options["sasl.password"] = "p";
    }
    const auto source = open_source(options, "logs", "g");
    EXPECT_TRUE(source) << mechanism << ": " << source.error().message;
  }
}

TEST(Kafka, ATokenThatIsNotGivenIsSaid) {
  const auto info = describe_topic({.brokers = "127.0.0.1:1",
                                    .librdkafka_options = {{"security.protocol", "SASL_SSL"}, {"sasl.mechanism", "OAUTHBEARER"}},
                                    .tokens = std::make_shared<NoToken>()},
                                   "logs");
  ASSERT_FALSE(info);
  EXPECT_THAT(info.error().message, HasSubstr("refuses the login"));
  EXPECT_THAT(info.error().message, HasSubstr("none today"));
}

TEST(Kafka, AHeadersOneOddByteIsSeenWhereverItStands) {
  const std::vector<std::pair<std::string, std::string>> odd = {{"\"", R"(\")"},     {"\\", R"(\\)"},          {"\x1f", R"(\u001f)"},
                                                                {"\t", R"(\u0009)"}, {"\xc3\xa9", "\xc3\xa9"}, {"\x7f", "\x7f"}};
  std::string out;
  for (std::size_t size = 0; size < 70; ++size) {
    for (std::size_t at = 0; at <= size; ++at) {
      for (const auto& [byte, said] : odd) {
        const auto before = std::string(at, 'a'), behind = std::string(size - at, 'b');
        headers_json(std::vector<HeaderView>{{before + byte + behind, "x"}}, out);
        ASSERT_EQ(out, "[[\"" + before + said + behind + "\",\"x\"]]");
      }
      const auto broken = std::string(at, 'a') + "\xff" + std::string(size - at, 'b');
      headers_json(std::vector<HeaderView>{{"k", broken}}, out);
      ASSERT_TRUE(out.starts_with("[[\"k\",{\"base64\":\"")) << out;
    }
  }
}

TEST(Kafka, HeadersBecomeJsonThatKeepsOrderNullsAndBytes) {
  const std::vector<HeaderView> headers = {{"k", "v\"\n"}, {"k", std::string_view()}, {"bin", std::string_view("\xff\x00\x01\x02", 4)}};
  std::string out;
  headers_json(headers, out);
  EXPECT_EQ(out, R"([["k","v\"\u000a"],["k",null],["bin",{"base64":"/wABAg=="}]])");
}

}  // namespace
}  // namespace headpond::kafka
