// The engine's thread and the notifier's share an outbox.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "env/fake.h"
#include "notify/notifier.h"
#include "state/fake.h"

namespace headpond::notify {
namespace {

TEST(NotifyThreads, AnEngineAddsAndStagesWhileTheNotifierSends) {
  constexpr int kPages = 400;
  std::string pattern = (std::filesystem::temp_directory_path() / "headpond-threads-XXXXXX").string();
  const std::string root = ::mkdtemp(pattern.data());
  env::FakeClock clock;
  env::SeededRandom random;
  env::MemoryStore lake;
  state::MemoryStateStore state;
  env::FakeHttpClient http;
  env::Failpoints failpoints;
  auto outbox =
      open_outbox(state, lake, {.pages_root = "pages", .generation = 1, .claimed_at = base::Micros(0), .targets = {"hook"}}).value();
  NotifierOptions options{.branch = "p", .pages_root = "pages", .local_directory = root};
  options.table_interval = base::Duration(0);
  auto notifier = Notifier::open(options, {{.name = "hook", .kind = TargetKind::kWebhook, .urls = {"http://hook"}, .secret = ""}}, *outbox,
                                 {lake, clock, random, http, failpoints, [](const std::string&) {}})
                      .value();
  std::atomic<bool> done = false;
  std::jthread sender([&] {
    while (!done || outbox->pending() > 0) ASSERT_TRUE(notifier->step()) << notifier->status().message;
  });
  for (int i = 0; i < kPages; ++i) {
    rules::Transition t;
    t.id = {1, "g/r", "key" + std::to_string(i % 7), i / 7 + 1};
    t.kind = t.id.seq % 2 == 1 ? rules::TransitionKind::kFiring : rules::TransitionKind::kResolved;
    outbox->add({t});
    outbox->settled_to(base::Micros(i));
    if (i % 50 == 0) {
      state::WriteBatch batch;
      outbox->stage(batch);
      ASSERT_TRUE(state.write(batch));
      outbox->confirm();
    }
    (void)notifier->status();
  }
  done = true;
  sender.join();
  EXPECT_EQ(http.requests.size(), static_cast<std::size_t>(kPages));
  EXPECT_EQ(notifier->status().delivered, kPages);
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace headpond::notify
