#include "rules/program.h"

#include <gtest/gtest.h>

#include "rules/fold.h"

namespace headpond::rules {
namespace {

RuleDraft draft(const std::string& alert, const std::string& expr, const std::vector<std::string>& by) {
  RuleDraft d;
  d.alert = alert;
  d.expr.text = expr;
  for (const auto& column : by) d.by.push_back({column, {}});
  if (expr.find("absent") != std::string::npos) d.seen_within = base::Duration::seconds(3600);
  d.labels = {{"severity", {"page", {}}, {}}};
  d.annotations = {{"summary", {"{{ $value }} \"ä\"", {}}, {}}};
  return d;
}

Program numbered() {
  GroupDraft group;
  group.name = "g/h";
  group.rules = {draft("Count", "count(severity_number >= 17 and not (service like 'a%'))[1m] / count()[5m] > 0.25", {"service"}),
                 draft("Rises", "count(service in ('a', 'b') or service is null or service ~ '^c')[1m] + 2 >= 10", {"service"}),
                 draft("Gone", "absent(event = 'heartbeat')[60s] and count()[5m] < 3", {"host"})};
  const std::vector<Column> columns = {{"severity_number", ColumnType::kInt32},
                                       {"service", ColumnType::kString},
                                       {"event", ColumnType::kString},
                                       {"host", ColumnType::kString}};
  auto compiled = compile({group}, columns);
  for (const auto& issue : compiled.issues) ADD_FAILURE() << issue.message;
  Program program = compiled.program.value();
  for (auto& fold : program.folds) {
    Dictionary dictionary;
    dictionary.next = 7;
    assign_ids(fold, dictionary, base::Micros(1'795'000'000'000'000));
  }
  return program;
}

TEST(Program, ComesBackFromItsJsonWithAllThatRunningItNeeds) {
  const Program program = numbered();
  const auto json = to_json(program);
  const Program back = parse_program(json).value();
  EXPECT_EQ(to_json(back), json);
  EXPECT_EQ(fold_query(back.folds, "x").sql, fold_query(program.folds, "x").sql);
  ASSERT_EQ(back.folds.size(), program.folds.size());
  for (std::size_t f = 0; f < back.folds.size(); ++f) {
    for (std::size_t r = 0; r < back.folds[f].rules.size(); ++r) {
      const Rule &got = back.folds[f].rules[r], &want = program.folds[f].rules[r];
      EXPECT_EQ(got.alert, want.alert);
      EXPECT_EQ(got.group, want.group);
      EXPECT_EQ(got.counters, want.counters);
      EXPECT_EQ(got.window, want.window);
      EXPECT_EQ(got.has_absent, want.has_absent);
      EXPECT_EQ(got.announceable(), want.announceable());
      EXPECT_GE(got.id, 7);
    }
    EXPECT_EQ(back.folds[f].counters[0].valid_from, base::Micros(1'795'000'000'000'000));
  }
}

TEST(Program, RefusesWhatItDoesNotKnow) {
  const auto json = to_json(numbered());
  const auto refused = [&](const std::string& from, const std::string& to, const std::string& why) {
    auto text = json;
    text.replace(text.find(from), from.size(), to);
    const auto parsed = parse_program(text);
    ASSERT_FALSE(parsed) << to;
    EXPECT_EQ(parsed.error().kind, base::ErrorKind::kInvalid);
    EXPECT_NE(parsed.error().message.find(why), std::string::npos) << parsed.error().message;
  };
  refused("\"format\":1", "\"format\":2", "the rules have format 2");
  refused("\"kind\":\"count\"", "\"kind\":\"distinct\"", "`distinct` is no measure");
  refused("\"measure\":0", "\"measure\":9", "a counter names no measure");
  refused("\"op\":\">\"", "\"op\":\"~\"", "`~` is no comparison");
  refused("\"alert\":\"Count\",", "", "alert");
}

}  // namespace
}  // namespace headpond::rules
