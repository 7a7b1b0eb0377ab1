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

struct NoHttp : env::HttpClient {
  base::Result<env::HttpResponse> send(const env::HttpRequest&) override { return base::fail(base::ErrorKind::kRetry, "no network"); }
};

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
    auto opened = Intake::open({.pages_root = "pages/p", .local_directory = directory + "/outbox", .targets = {"out"}}, lake, failpoints);
    ASSERT_TRUE(opened) << opened.error().message;
    intake = std::move(*opened);
    NotifierOptions options{
        .branch = "p", .pages_root = "pages/p", .local_directory = directory + "/notify", .table_interval = base::Duration(0)};
    auto sender = Notifier::open(options, {{"out", TargetKind::kStdout, {}, ""}}, intake->outbox(),
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
  env::SeededRandom random;
  env::FakeFailpoints failpoints;
  NoHttp http;
  std::string directory = "/tmp/intake-test-XXXXXX";
  std::int64_t generation = 0;
  int objects = 0;
  std::vector<std::string> pages;
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

TEST_F(IntakeTest, AnObjectThatCannotBeReadIsNamed) {
  open();
  ASSERT_TRUE(lake.put("pages/p/_outbox/0000000001-00000000000000000001-x.json", "{"));
  EXPECT_EQ(intake->step().error().kind, base::ErrorKind::kCorrupt);
  ASSERT_TRUE(lake.put("pages/p/_outbox/0000000001-00000000000000000001-x.json", R"({"format":2,"transitions":[]})"));
  EXPECT_EQ(intake->step().error().message,
            "pages/p/_outbox/0000000001-00000000000000000001-x.json: written in format 2; install a newer headpond");
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
