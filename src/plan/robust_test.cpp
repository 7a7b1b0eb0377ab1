// Whatever a file holds, reading and planning it ends in a plan or in issues with places, never in a crash.
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>

#include "plan/plan.h"

namespace headpond::plan {
namespace {

struct NoSecrets : spec::Secrets {
  std::optional<std::string> environment(const std::string&) const override { return std::nullopt; }
  std::optional<std::string> file(const std::string&) const override { return std::nullopt; }
};

std::string example(const std::string& name) {
  std::ifstream file(std::string(HEADPOND_SOURCE_DIR) + "/examples/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Returns whether the text was a good topology.
bool survives(const std::string& text) {
  const auto loaded = spec::load(text, "t.yaml", NoSecrets{});
  EXPECT_NE(loaded.topology.has_value(), !loaded.issues.empty()) << text;
  for (const auto& issue : loaded.issues) {
    EXPECT_GE(issue.place.line, 1) << to_string(issue);
    EXPECT_GE(issue.place.column, 1) << to_string(issue);
  }
  if (!loaded.topology) return false;
  const Plan plan = make_plan(*loaded.topology);
  EXPECT_FALSE(render_table(plan).empty());
  EXPECT_FALSE(to_json(plan).empty());
  for (const auto& verdict : plan.refusals()) EXPECT_FALSE(verdict.mend.empty());
  const std::string written = write_branches(text, plan);
  if (written == text) return true;
  const auto again = spec::load(written, "t.yaml", NoSecrets{});
  EXPECT_TRUE(again.topology) << to_string(again.issues) << written;
  return true;
}

TEST(Robust, EveryTruncationOfATopology) {
  for (const auto* name : {"observability.yaml", "canvas.yaml"}) {
    const std::string text = example(name);
    for (std::size_t n = 0; n < text.size(); n += 5) survives(text.substr(0, n));
  }
}

TEST(Robust, RandomEditsOfATopology) {
  std::mt19937 random(20261125);
  const std::vector<std::string> pieces{"{",    "}",   "[",    "]",     ":",      ": ",  "- ",           "\n",  "\t",   "  ",
                                        "#",    "&a ", "*a",   "<<: ",  "!!int ", "|\n", ">\n",          "'",   "\"",   "%",
                                        "@",    "~",   "null", "1e999", "-1",     "0",   "99999999999h", "1us", "\xff", "\xf0\x9f\x98\x80",
                                        "${X}", "${",  ",",    "---\n", "...\n",  "? "};
  int good = 0;
  for (int i = 0; i < 1'500; ++i) {
    std::string text = example(i % 2 == 0 ? "observability.yaml" : "canvas.yaml");
    for (auto edits = 1 + random() % 3; edits > 0; --edits) {
      const auto at = random() % text.size();
      switch (random() % 4) {
        case 0: text.erase(at, 1 + random() % 8); break;
        case 1: text.insert(at, pieces[random() % pieces.size()]); break;
        case 2: text.replace(at, 1 + random() % 3, pieces[random() % pieces.size()]); break;
        default: {
          const auto from = random() % text.size();
          text.insert(at, text.substr(from, random() % 60));
        }
      }
      if (text.empty()) text = " ";
    }
    good += survives(text) ? 1 : 0;
  }
  EXPECT_GT(good, 50);  // comments and spare spaces are hit often enough: the good way is walked too
}

}  // namespace
}  // namespace headpond::plan
