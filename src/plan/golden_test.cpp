// Holds tests/golden/plan: the plans of the examples, and what is said about bad topologies.
// HEADPOND_GOLDEN_UPDATE=1 rewrites the files instead.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <tuple>

#include "plan/plan.h"

namespace headpond::plan {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = HEADPOND_SOURCE_DIR;

struct NoSecrets : spec::Secrets {
  std::optional<std::string> environment(const std::string&) const override { return std::nullopt; }
  std::optional<std::string> file(const std::string&) const override { return std::nullopt; }
};

std::string read(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void expect_golden(const fs::path& path, const std::string& text) {
  if (std::getenv("HEADPOND_GOLDEN_UPDATE") != nullptr) {
    std::ofstream(path) << text;
    return;
  }
  EXPECT_EQ(text, read(path)) << path;
}

std::string unescaped(std::string text) {
  for (const auto& [escape, character] : {std::pair{"\\n", "\n"}, {"\\t", "\t"}})
    for (std::size_t at; (at = text.find(escape)) != std::string::npos;) text.replace(at, 2, character);
  return text;
}

// Everything the user is told about a topology that may not run; empty when it may.
std::string complaints(const std::string& text) {
  const auto loaded = spec::load(text, "observability.yaml", NoSecrets{});
  return loaded.topology ? render_refusals(make_plan(*loaded.topology)) : to_string(loaded.issues);
}

TEST(Golden, EveryBadTopologyIsToldWhatIsWrongAndHowToMendIt) {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(kRoot / "tests/golden/plan/bad")) {
    if (entry.path().extension() != ".edit") continue;
    ++count;
    std::istringstream lines(read(entry.path()));
    std::string text = read(kRoot / "examples/observability.yaml"), edits;
    std::string from;
    for (std::string line; std::getline(lines, line) && line != "=";) {
      edits += line + "\n";
      if (line.starts_with("- ")) from = unescaped(line.substr(2));
      if (!line.starts_with("+")) continue;
      const auto at = text.find(from);
      ASSERT_NE(at, std::string::npos) << entry.path() << ": " << from;
      text.replace(at, from.size(), unescaped(line.substr(std::min<std::size_t>(2, line.size()))));
    }
    const std::string said = complaints(text);
    EXPECT_NE(said, "") << entry.path();
    expect_golden(entry.path(), edits + "=\n" + said);
  }
  EXPECT_GE(count, 12);
}

TEST(Golden, TheExamplesThemselvesAreGood) {
  for (const auto* name : {"observability", "laptop", "canvas", "nginx", "zeek-dns", "zeek-syslog", "apache"})
    EXPECT_EQ(complaints(read(kRoot / "examples" / (std::string(name) + ".yaml"))), "") << name;
}

// The addresses of the local mission come from the environment.
struct LocalSecrets : NoSecrets {
  std::optional<std::string> environment(const std::string& name) const override { return "http://127.0.0.1/" + name; }
};

TEST(Golden, TheLocalMissionIsTheMissionWithLocalAddresses) {
  const auto local = spec::load(read(kRoot / "examples/mission-local.yaml"), "mission-local.yaml", LocalSecrets{});
  const auto mission = spec::load(read(kRoot / "examples/observability.yaml"), "observability.yaml", NoSecrets{});
  ASSERT_TRUE(local.topology) << to_string(local.issues);
  EXPECT_EQ(render_refusals(make_plan(*local.topology)), "");
  ASSERT_EQ(local.topology->branches.size(), mission.topology->branches.size());
  for (std::size_t i = 0; i < mission.topology->branches.size(); ++i) {
    const auto &a = local.topology->branches[i], &b = mission.topology->branches[i];
    EXPECT_EQ(std::tie(a.name, a.kind, a.engine, a.serves, a.rhythm, a.trigger, a.schedule, a.rules, a.price_book),
              std::tie(b.name, b.kind, b.engine, b.serves, b.rhythm, b.trigger, b.schedule, b.rules, b.price_book));
  }
}

TEST(Golden, PlansOfTheExamples) {
  for (const std::string name : {"observability", "laptop", "canvas"}) {
    const auto loaded = spec::load(read(kRoot / "examples" / (name + ".yaml")), name + ".yaml", NoSecrets{});
    ASSERT_TRUE(loaded.topology) << to_string(loaded.issues);
    const Plan plan = make_plan(*loaded.topology);
    expect_golden(kRoot / "tests/golden/plan" / (name + ".txt"), render_table(plan));
    expect_golden(kRoot / "tests/golden/plan" / (name + ".json"), to_json(plan) + "\n");
  }
}

}  // namespace
}  // namespace headpond::plan
