// Outbox objects of an engine elsewhere, taken over once and removed when receipted.
#include "notify/intake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "env/fake.h"
#include "notify/codec.h"
#include "notify/generation.h"
#include "notify/notifier.h"

namespace headpond::notify {
namespace {

using rules::Transition;
using rules::TransitionKind;
using testing::ElementsAre;
using testing::IsEmpty;

class IntakeTest : public testing::Test {
 protected:
  IntakeTest() {
    EXPECT_NE(mkdtemp(directory.data()), nullptr);
    claim();
  }
  ~IntakeTest() override {
    close();
    std::filesystem::remove_all(directory);
  }

  void claim() { generation = *claim_generation(lake, "pages/p", clock.now()); }

  Transition change(std::int64_t seq, const std::string& key = R"({"host":"h1"})") {
    Transition t;
    t.id = {generation, "g/Silent", key, seq};
    t.kind = seq % 2 == 1 ? TransitionKind::kFiring : TransitionKind::kResolved;
    t.boundary = t.began_at = clock.now();
    t.window = base::Duration::minutes(1);
    t.labels = {{"alertname", "Silent"}};
    return t;
  }

  // An object as a job writes it.
  std::string write(std::int64_t version, const std::vector<Transition>& transitions, const std::string& settled = "") {
    std::string text = R"({"format":1,)" + (settled.empty() ? "" : "\"settled_us\":" + settled + ",") + "\"transitions\":[";
    for (std::size_t i = 0; i < transitions.size(); ++i) text += (i > 0 ? "," : "") + to_json(transitions[i]);
    char name[64];
    std::snprintf(name, sizeof name, "%010d-%020d-%d.json", static_cast<int>(generation), static_cast<int>(version), ++objects);
    const std::string path = std::string("pages/p/_outbox/") + name;
    EXPECT_TRUE(lake.put(path, text + "]}"));
    return path;
  }

  void open() {
    IntakeOptions intake_options{.pages_root = "pages/p", .local_directory = directory + "/outbox", .targets = {}};
    for (const auto& target : targets) intake_options.targets.push_back(target.name);
    intake_options.branch = "p";
    intake_options.list_interval = list_interval;
    intake_options.say = [this](const std::string& line) { said.push_back(line); };
    auto opened = Intake::open(std::move(intake_options), store, clock, failpoints);
    ASSERT_TRUE(opened) << opened.error().message;
    intake = std::move(*opened);
    NotifierOptions options{
        .branch = "p", .pages_root = "pages/p", .local_directory = directory + "/notify", .table_interval = base::Duration(0)};
    auto sender = Notifier::open(options, targets, intake->outbox(),
                                 {lake, clock, random, http, failpoints, [this](const std::string& page) { pages.push_back(page); }});
    ASSERT_TRUE(sender) << sender.error().message;
    notifier = std::move(*sender);
  }
  void close() {
    notifier.reset();
    intake.reset();
  }

  void settle() {
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(intake->step());
      ASSERT_TRUE(notifier->step());
      clock.advance(base::Duration::millis(100));
    }
    ASSERT_TRUE(intake->step());
  }
  std::size_t left() { return lake.list("pages/p/_outbox/")->size(); }

  env::FakeClock clock;
  env::MemoryStore lake{&clock};
  env::FaultyStore store{lake};  // as the intake sees it
  env::SeededRandom random;
  env::FakeFailpoints failpoints;
  env::FakeHttpClient http;
  std::string directory = "/tmp/intake-test-XXXXXX";
  std::int64_t generation = 0;
  int objects = 0;
  base::Duration list_interval{0};
  std::vector<std::string> pages, said;
  std::vector<TargetConfig> targets{{"out", TargetKind::kStdout, {}, ""}};
  std::unique_ptr<Intake> intake;
  std::unique_ptr<Notifier> notifier;
};

TEST_F(IntakeTest, DeliversEachIdentityOnceAndThenRemovesItsObject) {
  open();
  settle();
  write(7, {change(1)});
  write(7, {change(1)});  // at least once: the job wrote it again
  settle();
  EXPECT_EQ(pages.size(), 1u);
  EXPECT_EQ(left(), 0u);
  write(9, {change(1), change(2)});
  settle();
  EXPECT_EQ(pages.size(), 2u);
  EXPECT_EQ(left(), 0u);
}

TEST_F(IntakeTest, WithAnIntervalItListsWhenTheBellRingsOrTheIntervalIsOver) {
  list_interval = base::Duration::seconds(5);
  write(6, {change(1)});
  open();
  ASSERT_TRUE(intake->step());
  EXPECT_EQ(intake->status().pending, 1u);  // the first step always looks
  write(7, {change(2)});
  ASSERT_TRUE(intake->step());
  EXPECT_EQ(intake->status().pending, 1u);
  ASSERT_TRUE(lake.put("pages/p/_bell", "1"));
  ASSERT_TRUE(intake->step());
  EXPECT_EQ(intake->status().pending, 2u);
  write(8, {change(3)});  // its ring was lost
  clock.advance(base::Duration::millis(4900));
  ASSERT_TRUE(intake->step());
  EXPECT_EQ(intake->status().pending, 2u);
  clock.advance(base::Duration::millis(100));
  ASSERT_TRUE(intake->step());
  EXPECT_EQ(intake->status().pending, 3u);
}

TEST_F(IntakeTest, ARingIsNotForgottenWhenTheListingFails) {
  list_interval = base::Duration::seconds(5);
  open();
  ASSERT_TRUE(intake->step());
  write(7, {change(1)});
  ASSERT_TRUE(lake.put("pages/p/_bell", "1"));
  store.refuse("pages/p/_outbox/");
  EXPECT_FALSE(intake->step());
  store.refuse("");
  ASSERT_TRUE(intake->step());
  EXPECT_EQ(intake->status().pending, 1u);
}

TEST_F(IntakeTest, AnObjectStaysUntilItsReceiptsAreThere) {
  open();
  write(7, {change(1)});
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(intake->step());
  EXPECT_EQ(left(), 1u);
  EXPECT_EQ(intake->status().pending, 1u);
  settle();
  EXPECT_EQ(left(), 0u);
}

TEST_F(IntakeTest, ALostDiskForgetsNothingThatWasNotReceiptedAndSendsNothingTwice) {
  open();
  write(7, {change(1)});
  settle();
  write(8, {change(1, R"({"host":"h2"})")});
  ASSERT_TRUE(intake->step());
  close();
  std::filesystem::remove_all(directory + "/outbox");
  write(9, {change(1)});  // again, after a restart of the job
  open();
  settle();
  EXPECT_EQ(pages.size(), 2u);
  EXPECT_EQ(left(), 0u);
}

TEST_F(IntakeTest, OfWhatWaitedWhileNobodyDeliveredOnlyTheLatestIsSent) {
  write(7, {change(1)});
  write(8, {change(2)});
  write(9, {change(3)});
  open();
  settle();
  EXPECT_EQ(pages.size(), 2u);  // the resolve of what may have been heard, and the firing that stands
  EXPECT_EQ(left(), 0u);
}

TEST_F(IntakeTest, ANewerGenerationIsOpenedAnewAndTheOldOnesRestIsPassedOver) {
  open();
  write(7, {change(1)});
  settle();
  ASSERT_EQ(pages.size(), 1u);
  const auto stray = change(2);
  claim();
  --generation;
  write(8, {stray});  // of the job that was taken over from
  ++generation;
  write(1, {}, "5");
  const auto fenced = intake->step();
  ASSERT_FALSE(fenced);
  EXPECT_EQ(fenced.error().kind, base::ErrorKind::kFenced);
  close();
  open();
  write(2, {change(1)});  // the new state confirms the open page: it goes on under its key
  settle();
  EXPECT_EQ(pages.size(), 1u);
  EXPECT_EQ(left(), 0u);
  write(3, {change(2)});
  settle();
  EXPECT_EQ(pages.size(), 2u);
}

TEST_F(IntakeTest, ANewerGenerationThatDoesNotConfirmAPageResolvesItAfterAWindow) {
  open();
  write(7, {change(1)});
  settle();
  claim();
  close();
  open();
  write(1, {}, std::to_string((clock.now() + base::Duration::seconds(59)).value()));
  settle();
  EXPECT_EQ(pages.size(), 1u);
  write(2, {}, std::to_string((clock.now() + base::Duration::minutes(2)).value()));
  settle();
  EXPECT_EQ(pages.size(), 2u);
}

TEST_F(IntakeTest, AnObjectThatCannotBeReadIsToldAndKeepsNoOtherWaiting) {
  const std::string damaged = "pages/p/_outbox/0000000001-00000000000000000001-x.json";
  const std::string newer = "pages/p/_outbox/0000000001-00000000000000000002-x.json";
  ASSERT_TRUE(lake.put(damaged, "{"));
  ASSERT_TRUE(lake.put(newer, R"({"format":2,"transitions":[]})"));
  write(7, {change(1)});
  open();
  settle();
  ASSERT_EQ(pages.size(), 2u) << "the page of the readable object, and one about the others";
  EXPECT_THAT(pages, testing::Contains(testing::HasSubstr("2 outbox objects cannot be read, their pages are not sent: " + damaged)));
  EXPECT_EQ(left(), 2u) << "what cannot be read stays";
  const std::string why = newer + ": written in format 2; install a newer headpond";
  EXPECT_THAT(said, ElementsAre(testing::StartsWith(damaged + " is not an outbox object"), why)) << "once each";
  EXPECT_EQ(intake->status().unreadable.at(newer), why);
  EXPECT_EQ(read_unreadable(lake, "pages/p")->size(), 2u);

  ASSERT_TRUE(lake.remove(damaged));
  settle();
  EXPECT_EQ(read_unreadable(lake, "pages/p")->size(), 1u);
  EXPECT_EQ(pages.size(), 2u);
  ASSERT_TRUE(lake.put(newer, R"({"format":1,"transitions":[)" + to_json(change(1, R"({"host":"h2"})")) + "]}"));
  settle();
  EXPECT_EQ(pages.size(), 4u) << "mended, it is delivered, and the page about it resolves";
  EXPECT_EQ(left(), 0u);
  EXPECT_THAT(*read_unreadable(lake, "pages/p"), IsEmpty());
}

TEST_F(IntakeTest, ThePageAboutUnreadableObjectsResolvesThoughTheDiskIsLost) {
  ASSERT_TRUE(lake.put("pages/p/_outbox/0000000001-00000000000000000001-x.json", "{"));
  open();
  settle();
  ASSERT_EQ(pages.size(), 1u);
  close();
  std::filesystem::remove_all(directory);
  ASSERT_TRUE(lake.remove("pages/p/_outbox/0000000001-00000000000000000001-x.json"));
  open();
  for (int i = 0; i < 6; ++i) settle();  // beyond what the lost one held as its lease
  EXPECT_EQ(pages.size(), 2u);
  EXPECT_THAT(*read_unreadable(lake, "pages/p"), IsEmpty());
}

// Two targets: `out`, and a webhook that is down at first.
class UndeliverableTest : public IntakeTest {
 protected:
  UndeliverableTest() {
    targets = {{"out", TargetKind::kStdout, {}, ""}, {"hook", TargetKind::kWebhook, {"http://hook"}, ""}};
    http.respond = [this](const env::HttpRequest&) -> base::Result<env::HttpResponse> {
      if (down) return base::fail(base::ErrorKind::kRetry, "refused");
      return env::HttpResponse{.status = 200, .body = "", .headers = {}};
    };
  }
  void run(int seconds) {
    for (int i = 0; i < seconds; ++i) {
      ASSERT_TRUE(intake->step());
      ASSERT_TRUE(notifier->step());
      clock.advance(base::Duration::seconds(1));
    }
  }
  void lose_disk() {
    close();
    std::filesystem::remove_all(directory);
    clock.advance(base::Duration::seconds(10));  // what the lost one held as its lease
    open();
  }
  long about_hook() {
    return std::ranges::count_if(pages, [](const std::string& page) { return page.find("PageUndeliverable") != std::string::npos; });
  }

  bool down = true;
};

TEST_F(UndeliverableTest, ResolvesAfterALostDiskThoughNothingMoreIsToBeSent) {
  open();
  write(7, {change(1)});
  run(90);
  ASSERT_EQ(about_hook(), 1);
  down = false;
  run(30);  // the page gets through; not well for long enough yet
  ASSERT_EQ(left(), 0u);
  ASSERT_EQ(about_hook(), 1);
  lose_disk();
  run(90);
  EXPECT_EQ(about_hook(), 2);
}

TEST_F(UndeliverableTest, ResolvesThoughTheDiskWentBeforeItsReceiptWasDurable) {
  open();
  write(7, {change(1)});
  failpoints.on_reach = [&](std::string_view name) {
    if (name == "notify.after_send" && about_hook() == 1) throw 1;
  };
  EXPECT_THROW(run(90), int);
  failpoints.on_reach = nullptr;
  ASSERT_EQ(about_hook(), 1) << "heard, and nobody wrote that down";
  down = false;
  lose_disk();
  run(120);
  EXPECT_EQ(about_hook(), 3) << "said again with its key, and resolved";
  EXPECT_EQ(left(), 0u);
}

TEST_F(UndeliverableTest, StandsWhereNothingWasAcceptedSince) {
  open();
  write(7, {change(1)});
  run(90);
  ASSERT_EQ(about_hook(), 1);
  lose_disk();
  run(600);
  EXPECT_EQ(about_hook(), 1);
}

// The branch's engine was this binary: it paged, and its generation ends. The job's first object is of generation 2.
class MovedBranchTest : public IntakeTest {
 protected:
  // What the embedded engine and its notifier made of `transitions`, on another machine.
  void embedded(std::vector<Transition> transitions) {
    const std::string elsewhere = directory + "/embedded";
    std::filesystem::create_directories(elsewhere);
    auto state = *state::Store::open(elsewhere + "/state");
    const auto newest = *newest_generation(lake, "pages/p");
    auto outbox = *open_outbox(
        *state, lake, {.pages_root = "pages/p", .generation = newest->number, .claimed_at = newest->claimed_at, .targets = {"out"}});
    NotifierOptions options{
        .branch = "p", .pages_root = "pages/p", .local_directory = elsewhere + "/notify", .table_interval = base::Duration(0)};
    auto sender = *Notifier::open(options, {{"out", TargetKind::kStdout, {}, ""}}, *outbox,
                                  {lake, clock, random, http, failpoints, [this](const std::string& page) { pages.push_back(page); }});
    outbox->add(std::move(transitions));
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(sender->step());
    ASSERT_TRUE(sender->drain());
    ASSERT_EQ(outbox->pending(), 0u);
  }

  std::string statuses(std::int64_t of_generation) {
    std::string text;
    const auto objects_read = read_receipts(lake, "pages/p", {}).value();
    for (const auto& object : objects_read)
      for (const auto& receipt : object.receipts)
        if (receipt.transition.id.generation == of_generation)
          text += std::to_string(receipt.transition.id.seq) + " " + std::string(to_string(receipt.status)) + ";";
    return text;
  }
};

TEST_F(MovedBranchTest, AnOpenPageGoesOnAndTheNextFiringArrives) {
  embedded({change(1)});
  ASSERT_EQ(pages.size(), 1u);
  claim();
  open();
  write(1, {change(1)});  // what stands open at the claim is repeated
  settle();
  EXPECT_EQ(pages.size(), 1u) << "the target has this page";
  write(2, {change(2)});
  settle();
  EXPECT_EQ(pages.size(), 2u);
  write(3, {change(3)});
  settle();
  EXPECT_EQ(pages.size(), 3u) << "embedded fired, the branch moved, it fires again: the page has to arrive";
  EXPECT_EQ(statuses(2), "1 confirmed;2 delivered;3 delivered;");
  EXPECT_EQ(left(), 0u);
}

TEST_F(MovedBranchTest, WhatEmbeddedResolvedFiresAnewThoughItsNumbersBeginAgain) {
  embedded({change(1)});
  embedded({change(2)});
  ASSERT_EQ(pages.size(), 2u);
  claim();
  open();
  write(1, {change(1)});
  settle();
  EXPECT_EQ(pages.size(), 3u);
  EXPECT_EQ(statuses(2), "1 delivered;");
}

TEST_F(MovedBranchTest, AnIncidentThatEndedBeforeAnybodyLookedIsResolvedOnce) {
  embedded({change(1)});
  claim();
  open();
  // The job is beyond a window behind the claim when its objects are first listed.
  write(1, {change(1), change(2)}, std::to_string((clock.now() + base::Duration::minutes(2)).value()));
  settle();
  EXPECT_EQ(pages.size(), 2u);
  EXPECT_EQ(statuses(1), "1 delivered;");
  EXPECT_EQ(statuses(2), "1 confirmed;2 delivered;") << "the resolve is of the page that stands open";
  EXPECT_EQ(left(), 0u);
}

TEST_F(MovedBranchTest, ItIsResolvedOnceAlsoWhereAllOfItWaitedForANotifier) {
  embedded({change(1)});
  claim();
  write(1, {change(1)});
  write(2, {change(2)}, std::to_string((clock.now() + base::Duration::minutes(2)).value()));
  write(3, {change(3)});
  open();
  settle();
  EXPECT_EQ(pages.size(), 3u);
  EXPECT_EQ(statuses(1), "1 delivered;");
  EXPECT_EQ(statuses(2), "1 confirmed;2 delivered;3 delivered;");
}

TEST_F(MovedBranchTest, WhoFiresWhileTheOldPageIsBeingResolvedOpensOneOfItsOwn) {
  embedded({change(1)});
  claim();
  open();
  write(1, {}, std::to_string((clock.now() + base::Duration::minutes(2)).value()));
  ASSERT_TRUE(intake->step());
  write(2, {change(1)});
  settle();
  EXPECT_EQ(pages.size(), 3u);
  EXPECT_EQ(statuses(1), "1 delivered;2 delivered;");
  EXPECT_EQ(statuses(2), "1 delivered;");
}

TEST_F(MovedBranchTest, BothEndAlikeWhereTheNotifierLosesItsDiskAfterEachObject) {
  embedded({change(1)});
  claim();
  for (int seq = 1; seq <= 3; ++seq) {
    open();
    write(seq, {change(seq)});
    settle();
    close();
    std::filesystem::remove_all(directory + "/outbox");
    clock.advance(base::Duration::minutes(1));
  }
  EXPECT_EQ(pages.size(), 3u);
  EXPECT_EQ(statuses(2), "1 confirmed;2 delivered;3 delivered;");
}

}  // namespace
}  // namespace headpond::notify
