#include "env/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace headpond::env {
namespace {

using testing::HasSubstr;

TEST(Process, GivesCodeAndOutputWithItsOwnEnvironmentAndDirectory) {
  const auto processes = real_processes();
  const auto done = processes->run({.argv = {"sh", "-c", "echo $WORD; pwd; echo aside >&2; exit 7"},
                                    .environment = {{"WORD", "x"}, {"WORD", "pond"}},
                                    .directory = "/"});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->code, 7);
  EXPECT_EQ(done->output, "pond\n/\naside\n");
}

TEST(Process, OneThatIsNotThereIsNotFoundAndOneThatHangsIsKilledWithItsChildren) {
  const auto processes = real_processes();
  const auto absent = processes->run({.argv = {"/no/such/program"}});
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().kind, base::ErrorKind::kNotFound);
  EXPECT_THAT(absent.error().message, HasSubstr("cannot run /no/such/program: No such file"));
  const auto hangs = processes->run({.argv = {"sh", "-c", "sleep 600 & wait"}, .timeout = base::Duration::millis(200)});
  ASSERT_FALSE(hangs);
  EXPECT_EQ(hangs.error().kind, base::ErrorKind::kRetry);
}

TEST(Process, OneThatIsGivenUpIsToldToEndAndItsOutputIsInTheLog) {
  const auto log = (std::filesystem::temp_directory_path() / ("headpond-given-up-" + std::to_string(::getpid()))).string();
  const auto said = [&] {
    std::ifstream in(log);
    return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  };
  const auto stopped = real_processes()->run(
      {.argv = {"sh", "-c", "trap 'echo told; exit 0' TERM; echo begun; while :; do sleep 0.05; done"}, .log = log, .give_up = [&] {
         return said() == "begun\n";
       }});
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().kind, base::ErrorKind::kRetry);
  EXPECT_THAT(stopped.error().message, HasSubstr("was given up and stopped"));
  // A shell may add that its sleep was ended, too.
  EXPECT_THAT(said(), testing::AllOf(testing::StartsWith("begun\n"), testing::EndsWith("told\n")));
  std::filesystem::remove(log);
}

TEST(Process, KeepsTheEndOfALongOutput) {
  const auto done = real_processes()->run({.argv = {"sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' a; echo; echo last"}});
  ASSERT_TRUE(done);
  EXPECT_LE(done->output.size(), 1u << 20);
  EXPECT_TRUE(done->output.ends_with("a\nlast\n"));
}

TEST(Process, AStartedOneWritesItsLogAndIsSeenToEnd) {
  char folder[] = "/tmp/process-test-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string log = std::string(folder) + "/log", go = std::string(folder) + "/go";
  const auto processes = real_processes();
  const auto pid = processes->start({.argv = {"sh", "-c", "until [ -e " + go + " ]; do sleep 0.01; done; echo done"}, .log = log});
  ASSERT_TRUE(pid) << pid.error().message;
  EXPECT_TRUE(processes->running(*pid));
  std::ofstream(go).close();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (processes->running(*pid)) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
  std::stringstream text;
  text << std::ifstream(log).rdbuf();
  EXPECT_EQ(text.str(), "done\n");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace headpond::env
