// The rules in force: compiled from files, numbered by the state's dictionaries, and what must happen when they are edited.
// Store rows: "p/rules" (the files and columns in force), "p/dictionary/<fold id>". Threads: one at a time.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "pager/engine.h"
#include "rules/expression.h"
#include "rules/program.h"
#include "state/store.h"

namespace headpond::pager {

// Errors: kInvalid: all issues, a line each.
base::Result<rules::Program> compile_files(const std::vector<RuleFile>& files, const std::vector<rules::Column>& columns);

struct RuleSource {
  std::vector<RuleFile> files;
  std::vector<rules::Column> columns;
  std::string to_json() const;
};
base::Result<RuleSource> parse_rule_source(std::string_view json);

class RuleSet {
 public:
  // The program of `source` under the numbers in `dictionaries`. New counters see rows from `valid_from` on; none: from the beginning.
  static base::Result<RuleSet> make(const RuleSource& source, std::map<std::string, rules::Dictionary> dictionaries,
                                    std::optional<base::Micros> valid_from);

  const rules::Program& program() const { return program_; }
  const rules::FoldGroup* fold(const std::string& id) const;
  const std::map<std::string, rules::Dictionary>& dictionaries() const { return dictionaries_; }
  void stage(state::WriteBatch& batch) const;

 private:
  RuleSource source_;
  rules::Program program_;
  std::map<std::string, rules::Dictionary> dictionaries_;  // by fold id; also of folds no rule uses any more: a seq outlives its rule
};

// What the store holds; none: a fresh state.
base::Result<std::optional<RuleSource>> stored_rules(state::Store& store);
base::Result<std::map<std::string, rules::Dictionary>> stored_dictionaries(state::Store& store);

}  // namespace headpond::pager
