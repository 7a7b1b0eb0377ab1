#include "spec/price_book.h"

#include <gtest/gtest.h>

#include "base/time.h"

namespace headpond::spec {
namespace {

constexpr char kGood[] = R"(version: 1
currency: USD
prices:
  - per_gb: 0.50
  - from: 2026-02-01
    tenants:
      acme: {per_gb: 0.4}
      globex: {included: {gb: 5}}
    per_gb: [{up_to: 10, price: 0.3}, {price: 0.000000001}]
    per_million_events: 12
    included: {gb: 1, million_events: 2}
)";

PriceBook good() {
  auto loaded = load_price_book(kGood, "prices.yaml");
  EXPECT_TRUE(loaded.book) << (loaded.issues.empty() ? "" : loaded.issues[0].message);
  return loaded.book.value_or(PriceBook{});
}

std::string first_issue(const std::string& text) {
  const auto loaded = load_price_book(text, "p.yaml");
  if (loaded.book || loaded.issues.empty()) return "none";
  const auto& [at, message] = loaded.issues[0];
  return std::to_string(at.line) + ":" + std::to_string(at.column) + " " + message;
}

TEST(Decimal9, ReadsExactDigitsAndRefusesWhatItCannotHold) {
  EXPECT_EQ(parse_decimal9("0.1")->billionths, 100'000'000);
  EXPECT_EQ(parse_decimal9("999999999.999999999")->billionths, 999'999'999'999'999'999);
  EXPECT_EQ(to_text(*parse_decimal9("12.000000001")), "12.000000001");
  EXPECT_EQ(to_text(*parse_decimal9("7")), "7.000000000");
  for (const auto* bad : {"", ".", ".5", "5.", "-1", "+1", "1e3", "0.0000000001", "1000000000", "1,5", " 1", "0x1"}) {
    EXPECT_FALSE(parse_decimal9(bad)) << bad;
  }
}

TEST(PriceBook, HoldsThePricesOfTheDay) {
  const auto book = good();
  const auto day = [](const char* text) { return *base::parse_day(text); };
  EXPECT_EQ(book.in_force(day("2026-01-31")), &book.periods[0]);
  EXPECT_EQ(book.in_force(day("2026-02-01")), &book.periods[1]);
  EXPECT_EQ(book.periods[0].everyone.per_gb[0].price.billionths, 500'000'000);
  EXPECT_TRUE(book.periods[0].everyone.per_million_events.empty());
}

TEST(PriceBook, ATenantsOverrideFallsBackOnEveryoneWhateverTheOrder) {
  const auto book = good();
  const auto& period = book.periods[1];
  const auto& acme = period.tenants.at("acme");
  EXPECT_EQ(acme.per_gb.size(), 1u);
  EXPECT_EQ(acme.per_gb[0].price.billionths, 400'000'000);
  EXPECT_EQ(acme.per_million_events[0].price.billionths, 12'000'000'000);
  EXPECT_EQ(acme.included_gb.billionths, 1'000'000'000);
  const auto& globex = period.tenants.at("globex");
  EXPECT_EQ(globex.included_gb.billionths, 5'000'000'000);
  EXPECT_EQ(globex.included_million_events.billionths, 2'000'000'000);
  EXPECT_EQ(globex.per_gb.size(), 2u);
}

TEST(PriceBook, ABookThatBeginsLaterHasNoPricesBefore) {
  const auto loaded = load_price_book("version: 1\ncurrency: USD\nprices: [{from: 2026-02-01, per_gb: 1}]\n", "p.yaml");
  ASSERT_TRUE(loaded.book);
  EXPECT_EQ(loaded.book->in_force(*base::parse_day("2026-01-31")), nullptr);
}

TEST(PriceBook, SaysWhereAndWhatIsWrong) {
  const std::string head = "version: 1\ncurrency: USD\nprices:\n";
  EXPECT_EQ(first_issue(head + "  - per_gbb: 1\n"), "4:5 unknown key `per_gbb` in an entry of prices; did you mean `per_gb`?");
  EXPECT_EQ(first_issue(head + "  - colour: 1\n"),
            "4:5 unknown key `colour` in an entry of prices; expected per_gb, per_million_events, included, from or tenants");
  EXPECT_EQ(first_issue(head + "  - per_gb: -1\n"),
            "4:13 a price is \"-1\"; expected a decimal number such as 0.25: not negative, below 1000000000, at most nine places");
  EXPECT_EQ(first_issue(head + "  - from: tomorrow\n"), "4:11 from is \"tomorrow\"; expected a UTC day such as 2026-01-31");
  EXPECT_EQ(first_issue(head + "  - {from: 2026-02-01}\n  - {from: 2026-02-01}\n"),
            "5:5 from is 2026-02-01; expected a day after 2026-02-01, where the entry before it begins");
  EXPECT_EQ(first_issue(head + "  - per_gb: [{up_to: 5, price: 1}]\n"),
            "4:14 the last tier has an `up_to`: what lies above it would have no price; add {price: …}");
  EXPECT_EQ(first_issue(head + "  - per_gb: [{up_to: 5, price: 1}, {up_to: 5, price: 2}, {price: 1}]\n"),
            "4:36 up_to is 5.000000000; expected more than 5.000000000, where this tier begins");
  EXPECT_EQ(first_issue("version: 2\ncurrency: USD\nprices: [{per_gb: 1}]\n"), "1:10 version is \"2\"; this Headpond reads version 1");
  EXPECT_EQ(first_issue("version: 1\ncurrency: dollars\nprices: [{per_gb: 1}]\n"),
            "2:11 currency is \"dollars\"; expected an ISO 4217 code such as USD");
  EXPECT_EQ(first_issue("version: 1\ncurrency: USD\n"), "1:1 a price book has no `prices`");
  EXPECT_EQ(first_issue(head + "  - per_gb: 1\n    per_gb: 2\n"), "5:5 `per_gb` stands twice in an entry of prices");
  EXPECT_EQ(first_issue("prices: ["), "1:1 not YAML: end of sequence flow not found");
  EXPECT_EQ(first_issue(""), "1:1 the price book is empty; expected version, currency and prices");
}

TEST(PriceBook, GathersEveryIssueInFileOrder) {
  const auto loaded = load_price_book("version: 3\ncurrency: x\nprices: [{per_gb: a, included: {gb: b}}]\n", "p.yaml");
  ASSERT_EQ(loaded.issues.size(), 4u);
  for (std::size_t i = 1; i < loaded.issues.size(); ++i) EXPECT_LE(loaded.issues[i - 1].place.line, loaded.issues[i].place.line);
}

}  // namespace
}  // namespace headpond::spec
