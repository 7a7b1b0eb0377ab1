#include "billing/models.h"

#include <gtest/gtest.h>

namespace headpond::billing {
namespace {

Models with(const std::string& model) {
  auto files = embedded_models();
  files["models/m.sql"] = model;
  auto models = Models::load(files);
  EXPECT_TRUE(models) << models.error().message;
  return *models;
}

std::string rendered(const std::string& model) {
  const auto text = with(model).render("m", {.day = "2026-11-24"});
  return text ? *text : "error: " + text.error().message;
}

TEST(Models, ResolvesReferencesSourcesTheDayAndMacros) {
  EXPECT_EQ(rendered("SELECT * FROM {{ ref('usage_15m') }}"), "SELECT * FROM usage_15m");
  EXPECT_EQ(rendered("{{source(\"bronze\" , 'logs')}}"), "bronze_logs");
  EXPECT_EQ(rendered("{# a comment #}{{ hp_date(var('day')) }}"), "DATE '2026-11-24'");
  EXPECT_EQ(rendered("{{ hp_minute('arrival') }}"), "epoch_us(arrival) // 60000000");
  EXPECT_EQ(rendered("{{ hp_amount('q', 'p') }}"), "CAST(q * p AS DECIMAL(28, 2))");
}

TEST(Models, RefusesEverythingElseWithItsPlace) {
  const std::string known = "; the built-in runner knows ref, source, var('day'), hp_ macros and comments";
  EXPECT_EQ(rendered("a\n{{ ref('nothing') }}"), "error: models/m.sql:2: unknown template {{ ref('nothing') }}" + known);
  EXPECT_EQ(rendered("{{ var('night') }}"), "error: models/m.sql:1: unknown template {{ var('night') }}" + known);
  EXPECT_EQ(rendered("{{ hp_slot() }}"), "error: models/m.sql:1: unknown template {{ hp_slot() }}" + known);
  EXPECT_EQ(rendered("{{ env_var('HOME') }}"), "error: models/m.sql:1: unknown template {{ env_var('HOME') }}" + known);
  EXPECT_EQ(rendered("{{ hp_slot(arrival) }}"), "error: models/m.sql:1: unknown template {{ hp_slot(arrival) }}" + known);
  EXPECT_EQ(rendered("{% if true %}x"), "error: models/m.sql:1: unknown template \"{% if true %\"" + known);
  EXPECT_EQ(rendered("{{ ref('usage_15m')"), "error: models/m.sql:1: unknown template \"{{ ref('usag\"" + known);
}

TEST(Models, TakesTheDuckdbBodyBeforeTheDefaultOneInEitherOrder) {
  const std::string specific = "{% macro duckdb__hp_x(a) %}duck {{ a }}{% endmacro %}\n";
  const std::string common = "{% macro default__hp_x(a) %}any {{ a }}{% endmacro %}\n";
  for (const auto& macros : {specific + common, common + specific}) {
    auto models = Models::load({{"macros/m.sql", macros}, {"models/m.sql", "{{ hp_x('1') }}"}});
    ASSERT_TRUE(models);
    EXPECT_EQ(models->render("m", {}).value_or("error"), "duck 1");
  }
}

TEST(Models, EveryEmbeddedModelRendersWithoutTemplatesLeft) {
  auto models = Models::load(embedded_models());
  ASSERT_TRUE(models) << models.error().message;
  for (const auto* name : {"usage_15m", "usage_peak", "invoice_lines"}) {
    const auto text = models->render(name, {.day = "2026-11-24"});
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_EQ(text->find_first_of("{}"), std::string::npos) << *text;
  }
}

}  // namespace
}  // namespace headpond::billing
