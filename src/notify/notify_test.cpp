// The whole of it, driven by step() over a fake world.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "env/fake.h"
#include "notify/codec.h"
#include "notify/generation.h"
#include "notify/notifier.h"
#include "notify/outbox.h"
#include "state/fake.h"

namespace headpond::notify {
namespace {

namespace fs = std::filesystem;
using base::Duration;
using base::ErrorKind;
using base::Micros;
using rules::Transition;
using rules::TransitionKind;

Transition page(const std::string& rule, const std::string& key, std::int64_t seq, Micros boundary) {
  Transition t;
  t.id = {1, rule, key, seq};
  t.kind = seq % 2 == 1 ? TransitionKind::kFiring : TransitionKind::kResolved;
  t.boundary = boundary;
  t.began_at = boundary;
  t.value = 7;
  t.version = base::Version(3);
  t.labels = {{"alertname", "A"}, {"host.name", "h"}};
  t.annotations = {{"summary", "s"}};
  t.window = Duration::minutes(1);
  return t;
}

const TargetConfig kHook{.name = "hook", .kind = TargetKind::kWebhook, .urls = {"http://hook/"}, .secret = "k"};
const TargetConfig kConsole{.name = "console", .kind = TargetKind::kStdout, .urls = {}, .secret = ""};
const TargetConfig kAlertmanager{.name = "am", .kind = TargetKind::kAlertmanager, .urls = {"http://am1", "http://am2/"}, .secret = ""};

// One process: its state directory, outbox and notifier. Dropping it is a crash.
struct Process {
  state::Store* state = nullptr;
  std::unique_ptr<Outbox> outbox;
  std::unique_ptr<Notifier> notifier;

  void stage() {
    state::WriteBatch batch;
    outbox->stage(batch);
    ASSERT_TRUE(state->write(batch));
    outbox->confirm();
  }
};

class NotifyTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "headpond-notify-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    http_.respond = [this](const env::HttpRequest& request) -> base::Result<env::HttpResponse> {
      if (down_.contains(request.url)) return base::fail(ErrorKind::kRetry, "refused");
      const auto body = nlohmann::json::parse(request.body);
      if (!body.is_array()) {
        const auto& id = body["id"];
        heard_.push_back(id["key"].get<std::string>() + "#" + std::to_string(id["seq"].get<int>()));
      }
      return env::HttpResponse{.status = status_, .body = "", .headers = {}};
    };
  }
  void TearDown() override { fs::remove_all(root_); }

  Process start(const std::vector<TargetConfig>& targets, const std::string& directory = "a", std::int64_t generation = 1) {
    Process p;
    p.state = &states_[directory];
    OutboxOptions options{.pages_root = "pages/p", .generation = generation, .claimed_at = Micros(0), .targets = {}};
    for (const auto& target : targets) options.targets.push_back(target.name);
    auto outbox = open_outbox(*p.state, store_, options);
    if (!outbox) return p;
    p.outbox = std::move(*outbox);
    NotifierOptions notifier{
        .branch = "p", .pages_root = "pages/p", .local_directory = root_ + "/" + directory + "/notify", .lease = lease_};
    p.notifier =
        Notifier::open(notifier, targets, *p.outbox,
                       {store_, clock_, random_, http_, failpoints_, [this](const std::string& text) { printed_.push_back(text); }})
            .value();
    return p;
  }

  // Steps until idle; the errors on the way.
  std::vector<ErrorKind> run(Process& p, int steps = 20) {
    std::vector<ErrorKind> errors;
    for (int i = 0; i < steps; ++i) {
      const auto more = p.notifier->step();
      if (!more) errors.push_back(more.error().kind);
      if (more && !*more) break;
    }
    return errors;
  }

  std::vector<Receipt> receipts() {
    std::vector<Receipt> all;
    const auto objects = read_receipts(memory_, "pages/p", {});
    for (const auto& object : objects.value()) all.insert(all.end(), object.receipts.begin(), object.receipts.end());
    return all;
  }
  std::vector<std::string> receipted() {
    std::vector<std::string> all;
    for (const auto& r : receipts()) {
      all.push_back(r.target + " " + r.transition.id.key + "#" + std::to_string(r.transition.id.seq) + " " +
                    std::string(to_string(r.status)));
    }
    return all;
  }

  std::string root_;
  env::FakeClock clock_;
  env::SeededRandom random_{7};
  env::MemoryStore memory_{&clock_};
  env::FaultyStore store_{memory_};
  env::FakeHttpClient http_;
  env::FakeFailpoints failpoints_;
  std::map<std::string, state::MemoryStateStore> states_;
  std::set<std::string> down_;
  int status_ = 200;
  Duration lease_ = NotifierOptions().lease;
  std::vector<std::string> heard_, printed_;
};

using Strings = std::vector<std::string>;

TEST_F(NotifyTest, WhatIsPassedOverIsDecidedByWhatTheEarlierSenderSentToTheEnd) {
  const auto answering = http_.respond;
  Process a = start({kHook}, "a");
  a.outbox->add({page("g/r", "k", 1, clock_.now())});
  run(a);
  Process b = start({kHook}, "b");
  b.outbox->replaying(true);
  for (auto* p : {&a, &b})
    for (const std::int64_t seq : {2, 3, 4}) p->outbox->add({page("g/r", "k", seq, clock_.now())});
  b.outbox->replaying(false);  // resolves 1, and passes over 3 and its resolve
  ASSERT_TRUE(a.notifier->step());
  http_.respond = [&](const env::HttpRequest& request) -> base::Result<env::HttpResponse> {
    (void)answering(request);
    return base::fail(ErrorKind::kUnknown, "the answer was lost");
  };
  ASSERT_TRUE(a.notifier->step());
  ASSERT_EQ(heard_, (std::vector<std::string>{"k#1", "k#2", "k#3"}));
  a = {};
  http_.respond = answering;
  for (int i = 0; i < 20; ++i) {
    run(b);
    clock_.advance(Duration::seconds(1));
  }
  EXPECT_EQ(heard_.back(), "k#4") << "the target heard of 3 and never of its end";
}

TEST_F(NotifyTest, DeliversInOrderPerKeyWithOneReceiptEach) {
  auto p = start({kHook, kConsole});
  p.outbox->add({page("r", "a", 1, clock_.now()), page("r", "a", 2, clock_.now()), page("r", "b", 1, clock_.now())});
  clock_.advance(Duration::millis(1500));
  EXPECT_TRUE(run(p).empty());
  EXPECT_EQ(heard_, (Strings{"a#1", "b#1", "a#2"}));
  EXPECT_EQ(printed_.size(), 3u);
  EXPECT_EQ(p.outbox->pending(), 0u);
  EXPECT_EQ(receipts().size(), 6u);
  EXPECT_EQ(receipts().front().event_to_page_ms(), 1500);
  EXPECT_EQ(failpoints_.hits["notify.after_send"], 2);
  // The same again is passed over.
  p.outbox->add({page("r", "a", 1, clock_.now()), page("r", "a", 2, clock_.now())});
  EXPECT_TRUE(run(p).empty());
  EXPECT_EQ(heard_.size(), 3u);
}

TEST_F(NotifyTest, WebhookIsSignedAndCarriesOneKeyForEveryDelivery) {
  auto p = start({kHook});
  p.outbox->add({page("r", "a", 1, clock_.now())});
  run(p);
  ASSERT_EQ(http_.requests.size(), 1u);
  std::map<std::string, std::string> headers(http_.requests[0].headers.begin(), http_.requests[0].headers.end());
  EXPECT_EQ(headers["X-Headpond-Signature"], "sha256=" + hmac_sha256_hex("k", http_.requests[0].body));
  EXPECT_EQ(headers["Idempotency-Key"], idempotency_key({1, "r", "a", 1}));
  EXPECT_NE(idempotency_key({1, "r", "a", 1}), idempotency_key({1, "r", "a", 2}));
  EXPECT_NE(idempotency_key({1, "r", "a", 1}), idempotency_key({2, "r", "a", 1}));
  EXPECT_EQ(dedup_key({1, "r", "a", 1}), dedup_key({1, "r", "a", 2}));
  EXPECT_NE(dedup_key({1, "r", "a", 1}), dedup_key({1, "r", "a", 3}));
  // RFC 4231, test case 2.
  EXPECT_EQ(hmac_sha256_hex("Jefe", "what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_F(NotifyTest, ADeadTargetHoldsUpNoOtherAndIsTriedAgainWithBackoff) {
  down_ = {"http://hook/"};
  auto p = start({kHook, kConsole});
  p.outbox->add({page("r", "a", 1, clock_.now()), page("r", "a", 2, clock_.now())});
  run(p);
  EXPECT_EQ(printed_.size(), 2u);
  const auto tried = http_.requests.size();
  run(p);
  EXPECT_EQ(http_.requests.size(), tried) << "no request before the backoff is over";
  clock_.advance(Duration::seconds(1));
  run(p);
  EXPECT_GT(http_.requests.size(), tried);
  EXPECT_EQ(p.outbox->pending(), 2u);
  down_.clear();
  clock_.advance(Duration::seconds(30));
  run(p);
  EXPECT_EQ(heard_, (Strings{"a#1", "a#2"}));
}

TEST_F(NotifyTest, ARefusedPageIsADeadLetterAndTheOthersSayItsTarget) {
  status_ = 400;
  auto p = start({kHook, kConsole});
  p.outbox->add({page("r", "a", 1, clock_.now())});
  run(p);
  EXPECT_EQ(receipted(), (Strings{"console a#1 delivered", "hook a#1 dead", "console {\"target\":\"hook\"}#1 delivered"}));
  EXPECT_EQ(p.notifier->status().dead, 1);
  EXPECT_EQ(p.outbox->pending(), 0u);
  status_ = 200;
  p.stage();
  p = start({kHook, kConsole});  // also by the process after it
  p.outbox->add({page("r", "a", 2, clock_.now())});
  clock_.advance(Duration::minutes(2));
  run(p);
  EXPECT_EQ(receipted().back(), "console {\"target\":\"hook\"}#2 delivered");
}

TEST_F(NotifyTest, AlertmanagerHearsOnEveryPeerAndAgainWhileFiring) {
  auto p = start({kAlertmanager});
  p.outbox->add({page("r", "a", 1, clock_.now())});
  run(p);
  ASSERT_GE(http_.requests.size(), 2u);
  EXPECT_EQ(http_.requests[0].url, "http://am1/api/v2/alerts");
  EXPECT_EQ(http_.requests[1].url, "http://am2/api/v2/alerts");
  auto alert = nlohmann::json::parse(http_.requests[0].body).at(0);
  EXPECT_EQ(alert["labels"]["host_name"], "h");
  EXPECT_GT(alert["endsAt"].get<std::string>(), alert["startsAt"].get<std::string>());
  http_.requests.clear();
  down_ = {"http://am1/api/v2/alerts"};
  clock_.advance(Duration::minutes(1));
  run(p);
  ASSERT_EQ(http_.requests.size(), 2u) << "resent to both";
  p.outbox->add({page("r", "a", 2, clock_.now())});
  run(p);
  EXPECT_EQ(receipted().back(), "am a#2 delivered") << "one peer's acceptance is enough";
  http_.requests.clear();
  clock_.advance(Duration::minutes(5));
  run(p);
  EXPECT_TRUE(http_.requests.empty()) << "what is resolved is not resent";
}

TEST_F(NotifyTest, RecordedTransitionsAreNotSentAndTheStillFiringOneIs) {
  auto p = start({kHook});
  auto recorded = page("r", "a", 1, clock_.now());
  recorded.send = false;
  p.outbox->add({recorded});
  run(p);
  EXPECT_TRUE(heard_.empty());
  EXPECT_EQ(receipted(), (Strings{"hook a#1 recorded"}));
  p.outbox->add({page("r", "a", 1, clock_.now())});
  run(p);
  EXPECT_EQ(heard_, (Strings{"a#1"}));
  p.outbox->add({recorded, page("r", "a", 1, clock_.now())});
  run(p);
  EXPECT_EQ(heard_, (Strings{"a#1"})) << "a replay of both changes nothing";
  auto settled = page("r", "a", 1, clock_.now());
  settled.settles_announcement = true;
  p.outbox->add({settled});
  p.outbox->add({settled});
  run(p);
  EXPECT_EQ(receipted().back(), " a#1 settled");
  EXPECT_EQ(receipts().size(), 3u);
}

TEST_F(NotifyTest, AfterAReplayEachKeyCollapsesToItsLatestState) {
  {
    auto p = start({kHook});
    p.outbox->add({page("r", "open", 1, clock_.now())});
    run(p);
  }
  auto p = start({kHook});
  p.outbox->replaying(true);
  for (int seq = 1; seq <= 5; ++seq) p.outbox->add({page("r", "open", seq, clock_.now())});
  for (int seq = 1; seq <= 4; ++seq) p.outbox->add({page("r", "over", seq, clock_.now())});
  for (int seq = 1; seq <= 3; ++seq) p.outbox->add({page("r", "new", seq, clock_.now())});
  run(p);
  EXPECT_EQ(heard_, (Strings{"open#1"}));
  p.outbox->replaying(false);
  run(p);
  // The page that is or may be open is resolved before the next one fires; what came and went after that stays unheard.
  EXPECT_EQ(heard_, (Strings{"open#1", "open#2", "new#2", "over#2", "new#3", "open#5"}));
  EXPECT_EQ(p.outbox->pending(), 0u);
  int superseded = 0;
  for (const auto& line : receipted()) superseded += line.ends_with("superseded") ? 1 : 0;
  EXPECT_EQ(superseded, 2 + 3 + 1);
}

TEST_F(NotifyTest, WhatWasStagedSurvivesACrashAndWhatHasAReceiptIsNotSentAgain) {
  {
    auto p = start({kHook});
    p.outbox->add({page("r", "a", 1, clock_.now())});
    run(p);
    p.outbox->add({page("r", "b", 1, clock_.now())});
    p.stage();
  }
  auto p = start({kHook});
  EXPECT_EQ(p.outbox->pending(), 1u);
  p.outbox->add({page("r", "a", 1, clock_.now())});
  run(p);
  EXPECT_EQ(heard_, (Strings{"a#1", "b#1"}));
  p.stage();
  int rows = 0;
  ASSERT_TRUE(p.state->scan("o/e/", [&](std::string_view, std::string_view) { return ++rows > 0; }));
  EXPECT_EQ(rows, 0) << "rows of receipted transitions go with the next batch";
}

TEST_F(NotifyTest, WhatReplayCannotMakeAgainIsHeardOnlyAfterItsBatch) {
  auto p = start({kHook});
  p.outbox->add_after_batch({page("r", "a", 1, clock_.now())});
  p.outbox->add({page("r", "a", 2, clock_.now()), page("r", "b", 1, clock_.now())});
  run(p);
  EXPECT_EQ(heard_, (Strings{"b#1"}));
  state::WriteBatch batch;
  p.outbox->stage(batch);
  run(p);
  EXPECT_EQ(heard_.size(), 1u) << "staged is not yet written";
  ASSERT_TRUE(p.state->write(batch));
  p.outbox->confirm();
  run(p);
  EXPECT_EQ(heard_, (Strings{"b#1", "a#1", "a#2"}));
}

TEST_F(NotifyTest, ALostMachineKnowsFromTheReceiptsWhatWasSent) {
  {
    auto p = start({kHook, kAlertmanager});
    p.outbox->add({page("r", "a", 1, clock_.now())});
    run(p);
  }
  auto p = start({kHook, kAlertmanager}, "b");
  run(p);
  EXPECT_EQ(p.notifier->status().state, "waiting for the lease");
  clock_.advance(Duration::seconds(8));
  p.outbox->add({page("r", "a", 1, clock_.now()), page("r", "a", 2, clock_.now())});
  run(p);
  EXPECT_EQ(heard_, (Strings{"a#1", "a#2"}));
}

TEST_F(NotifyTest, ANewGenerationGoesOnUnderTheOldDedupKeyAndResolvesWhatItDoesNotConfirm) {
  {
    auto p = start({kHook});
    p.outbox->add({page("r", "kept", 1, clock_.now()), page("r", "gone", 1, clock_.now())});
    run(p);
    ASSERT_TRUE(p.notifier->drain());
  }
  auto p = start({kHook}, "b", 2);
  auto firing = page("r", "kept", 1, clock_.now());
  firing.id.generation = 2;
  p.outbox->add({firing});
  run(p);
  EXPECT_EQ(receipted().back(), "hook kept#1 confirmed");
  p.outbox->settled_to(Micros(0) + Duration::minutes(2));
  run(p);
  EXPECT_EQ(heard_, (Strings{"gone#1", "kept#1", "gone#2"}));
  auto resolved = page("r", "kept", 2, clock_.now());
  resolved.id.generation = 2;
  p.outbox->add({resolved});
  run(p);
  EXPECT_EQ(nlohmann::json::parse(http_.requests.back().body)["dedup_key"], dedup_key({1, "r", "kept", 1}));
}

TEST_F(NotifyTest, NothingIsSentThatCouldOutliveTheLease) {
  lease_ = Duration::seconds(3);
  auto p = start({kHook});
  run(p);
  store_.refuse("pages/p/_leases");
  http_.respond = [this](const env::HttpRequest& request) -> base::Result<env::HttpResponse> {
    heard_.push_back(nlohmann::json::parse(request.body)["id"]["key"]);
    clock_.advance(Duration::millis(400));
    return env::HttpResponse{.status = 200, .body = "", .headers = {}};
  };
  clock_.advance(Duration::millis(700));
  p.outbox->add({page("r", "a", 1, clock_.now()), page("r", "b", 1, clock_.now())});
  run(p);
  EXPECT_EQ(heard_, (Strings{"a"})) << "1.9 s remain after a, and a request may take 2";
  store_.refuse("");
  run(p);
  EXPECT_EQ(heard_, (Strings{"a", "b"}));
}

TEST_F(NotifyTest, BeyondItsLimitARuleSendsOneSummary) {
  auto p = start({kHook});
  const auto limited = [&](const std::string& key, std::int64_t seq) {
    auto t = page("r", key, seq, clock_.now());
    t.limit = 2;
    return t;
  };
  p.outbox->add({limited("a", 1), limited("b", 1), limited("c", 1), limited("d", 1)});
  run(p);
  EXPECT_EQ(heard_, (Strings{"a#1", "b#1", "{\"rule\":\"r\"}#1"}));
  EXPECT_NE(http_.requests.back().body.find("2 more pages of r are held back"), std::string::npos) << http_.requests.back().body;
  p = start({kHook});
  heard_.clear();
  p.outbox->add({limited("c", 2), limited("a", 2), limited("e", 1)});
  run(p);
  EXPECT_EQ(heard_, (Strings{"a#2"})) << "e fires while a's page is still open, so it is held back as well";
  p.outbox->add({limited("f", 1), limited("d", 2), limited("e", 2)});
  run(p);
  EXPECT_EQ(heard_, (Strings{"a#2", "f#1", "{\"rule\":\"r\"}#2"}));
  EXPECT_EQ(p.outbox->pending(), 0u);
}

// Whatever call the process dies at, and however, the next one completes: each page at least once, in order, never after its resolve.
TEST_F(NotifyTest, ACrashAtEachStepLosesNothingAndKeepsOrder) {
  for (const auto fault : {env::Fault::kDieBefore, env::Fault::kDieAfter, env::Fault::kLostReply, env::Fault::kRefuse}) {
    for (int step = 1; step < 30; ++step) {
      SCOPED_TRACE("fault " + std::to_string(static_cast<int>(fault)) + " at call " + std::to_string(step));
      states_.clear();
      const auto listed = memory_.list("");
      for (const auto& object : *listed) ASSERT_TRUE(memory_.remove(object.path));
      heard_.clear();
      const Micros t = clock_.now();
      const std::vector<Transition> made = {page("r", "a", 1, t), page("r", "b", 1, t), page("r", "a", 2, t), page("r", "a", 3, t)};
      bool reached = false;
      {
        auto p = start({kHook});
        const auto before = store_.mutations();
        store_.fail_at(step, fault);
        p.outbox->add({made[0], made[1]});
        run(p, 6);
        p.stage();
        p.outbox->add({made[2], made[3]});
        run(p, 6);
        reached = store_.mutations() >= before + step;
      }
      store_.revive();
      auto p = start({kHook});
      p.outbox->add(made);  // the engine replays what came after its last batch
      for (int i = 0; i < 20 && p.outbox->pending() > 0; ++i) {
        run(p);
        clock_.advance(Duration::seconds(1));
      }
      EXPECT_EQ(p.outbox->pending(), 0u);
      ASSERT_TRUE(p.notifier->drain());
      Strings a;
      for (const auto& h : heard_) {
        if (h[0] == 'a' && (a.empty() || a.back() != h)) a.push_back(h);
      }
      EXPECT_EQ(a, (Strings{"a#1", "a#2", "a#3"}));
      EXPECT_EQ(std::count(heard_.begin(), heard_.end(), "b#1") >= 1, true);
      EXPECT_LE(heard_.size(), 6u) << "a repeat only around the fault";
      if (!reached) break;
    }
  }
}

TEST(Generation, IsClaimedOnceEach) {
  env::MemoryStore store;
  EXPECT_EQ(newest_generation(store, "pages/p").value(), std::nullopt);
  EXPECT_EQ(claim_generation(store, "pages/p", Micros(5)).value(), 1);
  EXPECT_EQ(claim_generation(store, "pages/p", Micros(9)).value(), 2);
  EXPECT_EQ(newest_generation(store, "pages/p").value()->number, 2);
  EXPECT_EQ(read_generation(store, "pages/p", 1)->claimed_at, Micros(5));
  EXPECT_EQ(read_generation(store, "pages/p", 3).error().kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace headpond::notify
