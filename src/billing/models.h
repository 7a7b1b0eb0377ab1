// The billing SQL of engines/dbt, as DuckDB runs it inside Headpond.
//
//   TRY(auto models, billing::Models::load(billing::embedded_models()));
//   TRY(auto sql, models.render("usage_15m", {.day = "2026-11-24"}));
//
// The files are ordinary dbt models. Of dbt's templates Headpond understands a closed set, and refuses anything else:
//   {{ ref('model') }}            → the table of that name
//   {{ source('group', 'name') }} → group_name
//   {{ var('day') }}              → the day
//   {{ hp_…('text', …) }}         → the macro's duckdb__ or default__ body from macros/headpond.sql; an argument may be var('day')
//   {# … #}                       → nothing
// A macro's body is text with {{ parameter }} in it.
//
// Values; threads: any.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace headpond::billing {

// The files of engines/dbt compiled into this binary: "models/usage_15m.sql" → text.
const std::map<std::string, std::string>& embedded_models();

struct ModelVariables {
  std::string day;  // "2026-11-24"
};

class Models {
 public:
  // Errors: kInvalid: a template this runner does not know, with file and line.
  static base::Result<Models> load(const std::map<std::string, std::string>& files);

  // The SELECT of model `name` ("usage_15m"). Errors: kInvalid: as above; kNotFound: no such model.
  base::Result<std::string> render(const std::string& name, const ModelVariables& variables) const;

 private:
  struct Macro {
    std::vector<std::string> parameters;
    std::string body;
  };
  friend class Renderer;

  base::Result<void> load_macros(const std::string& file, std::string_view text);

  std::map<std::string, std::string> models_;  // by name
  std::map<std::string, Macro> macros_;        // by the name models call: hp_slot
};

}  // namespace headpond::billing
