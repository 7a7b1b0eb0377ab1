#include "rules/expression.h"

#include <gtest/gtest.h>

namespace headpond::rules {
namespace {

const std::vector<Column> kColumns = {{"status", ColumnType::kInt32},
                                      {"service", ColumnType::kString},
                                      {"ok", ColumnType::kBool},
                                      {"duration_ms", ColumnType::kDouble},
                                      {"host", ColumnType::kString}};

ParsedExpression parse(const std::string& text) {
  return parse_expression({text, {"r.yaml", 1, 1}, false}, kColumns);
}

std::string sql_of(const std::string& predicate) {
  const auto parsed = parse("count(" + predicate + ")[1m] > 0");
  return parsed.expression ? parsed.expression->children[0].predicate.sql() : parsed.issue.message;
}

std::string problem(const std::string& text) {
  const auto parsed = parse(text);
  return parsed.expression ? "" : std::to_string(parsed.issue.place.column) + ": " + parsed.issue.message;
}

TEST(Expression, PredicatesBecomeQuotedSql) {
  EXPECT_EQ(sql_of("status >= 500"), "\"status\" >= 500");
  EXPECT_EQ(sql_of("service = 'it''s'"), "\"service\" = 'it''s'");
  EXPECT_EQ(sql_of("status in (500, 503) and not service like 'a%'"), "\"status\" IN (500, 503) AND (NOT \"service\" LIKE 'a%')");
  EXPECT_EQ(sql_of("service ~ '^api'"), "regexp_matches(\"service\", '^api')");
  EXPECT_EQ(sql_of("host is not null or ok"), "(NOT \"host\" IS NULL) OR \"ok\"");
  EXPECT_EQ(sql_of("(status = 1 or status = 2) and status != 3"), "(\"status\" = 1 OR \"status\" = 2) AND \"status\" <> 3");
  EXPECT_EQ(sql_of("duration_ms > 1.5"), "\"duration_ms\" > 1.5");
  EXPECT_EQ(sql_of(""), "true");
}

TEST(Expression, ErrorsSayWhereWhatWasFoundAndWhatWasExpected) {
  EXPECT_EQ(problem("count(status >= 'x')[1m] > 5"), "17: found the text 'x'; expected a number, as `status` is int32");
  EXPECT_EQ(problem("count(status >= 500) > 5"), "22: found `>`; expected a window behind count(…), such as [5m]");
  EXPECT_EQ(problem("count(status >= 500)[5x] > 5"), "21: found `[5x]`; expected a window such as [30s], [5m] or [1h30m]");
  EXPECT_EQ(problem("count()[5m]"), "12: the expression is a number; expected a comparison, such as `… > 500`");
  EXPECT_EQ(problem("1 > 0"), "1: the expression counts nothing; expected count(…)[window] or absent(…)[window]");
  EXPECT_EQ(problem("count()[5m] and count()[5m] > 1"),
            "1: this is a number; `and` and `or` join conditions: compare it with something first");
  EXPECT_EQ(problem("count(service ~ '(')[5m] > 1"), "17: not a regular expression (RE2): missing ): (");
  EXPECT_EQ(problem("count(status = null)[5m] > 1"), "16: a comparison with null is never true; write `status is null`");
  EXPECT_EQ(problem("count(status > 5)[5m] > 1 )"), "27: found `)`; expected an operator or the end of the expression");
  EXPECT_EQ(problem("count(service = 'a)[5m] > 1"), "17: the ' here has no closing '");
  EXPECT_EQ(problem("cuont()[5m] > 1"), "1: found `cuont`; expected count(…)[window] or absent(…)[window]; did you mean count?");
}

TEST(Expression, NamesEveryAggregateThatIsNotSupportedYet) {
  for (const std::string name : {"sum", "min", "max", "avg", "rate", "quantile", "distinct", "first_seen", "burn"})
    EXPECT_EQ(problem(name + "(status)[5m] > 1"), "1: not supported yet: " + name + "; supported are count and absent");
}

TEST(Expression, DeepNestingIsRefusedNotOverflowed) {
  EXPECT_NE(problem(std::string(10'000, '(') + "count()[5m] > 1").find("more than 64 deep"), std::string::npos);
  EXPECT_NE(problem("count(" + std::string(10'000, '(') + "status > 1").find("more than 64 deep"), std::string::npos);
  std::string nots;
  for (int i = 0; i < 4'000; ++i) nots += "not ";
  EXPECT_NE(problem("count(" + nots + "ok)[5m] > 1").find("more than 64 deep"), std::string::npos);
}

bool monotone(const std::string& text) {
  return parse(text).expression.value().is_monotone();
}

TEST(Expression, KnowsWhichConditionsCanOnlyBecomeTruer) {
  EXPECT_TRUE(monotone("count(status >= 500)[1m] > 5"));
  EXPECT_TRUE(monotone("5 <= count()[1m]"));
  EXPECT_TRUE(monotone("count()[1m] + 2 * count()[5m] - 3 >= 10 and count()[1m] / 2 > 3"));
  EXPECT_FALSE(monotone("count()[1m] < 5"));
  EXPECT_FALSE(monotone("count()[1m] == 5"));
  EXPECT_FALSE(monotone("count(status >= 500)[1m] / count()[1m] > 0.5"));
  EXPECT_FALSE(monotone("count()[1m] - count()[5m] > 0"));
  EXPECT_FALSE(monotone("count()[1m] * -1 > -5"));
  EXPECT_FALSE(monotone("absent()[1m] or count()[1m] > 5"));
}

}  // namespace
}  // namespace headpond::rules
