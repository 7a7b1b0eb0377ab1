// Rules as the pager runs them: drafts from YAML in, fold groups out. Intermediate representation: docs/formats/pager.md.
//
//   auto compiled = compile(drafts, columns);
//   if (!compiled.program) …print compiled.issues…
//   fold_sql(compiled.program->folds[0], …)      // rows → partials
//   advance(compiled.program->folds[0], …)       // partials → transitions
//
// Pure; values; threads: any.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "rules/expression.h"

namespace headpond::rules {

inline constexpr int kFormat = 1;  // of the IR, the dictionary and the state bytes

// --- what a rules file says ---

struct NamedText {
  std::string name;
  SourceText value;
  Place place;  // of the name
};

struct RuleDraft {
  Place place;
  std::string alert;
  SourceText expr;
  std::vector<SourceText> by;
  base::Duration hold;         // `for`
  base::Duration keep_firing;  // `keep_firing_for`
  std::vector<NamedText> labels, annotations;
  std::optional<base::Duration> seen_within;
  std::optional<std::int64_t> keys;     // expected number of keys, for `rules check`
  std::map<std::string, Place> places;  // of its written keys
};

struct GroupDraft {
  Place place;
  std::string name;
  base::Duration interval = base::Duration::seconds(1);
  base::Duration lateness = base::Duration::seconds(5);
  int limit = 200;
  std::map<std::string, Place> places;
  std::vector<RuleDraft> rules;
};

// --- what runs ---

// What one pass over rows yields per key and fine slice.
struct Measure {
  enum class Kind { kCount = 0, kPresence = 1 };  // presence: the newest slice of `ts` with such a row, late ones included
  int id = -1;                                    // in the state; given by assign_ids()
  Kind kind = Kind::kCount;
  Predicate predicate;
  std::string name() const;  // canonical: "count:<sql>"
};

// One measure over one window.
struct Counter {
  int id = -1;
  int measure = 0;  // index into FoldGroup::measures
  base::Duration window;
  base::Duration coarse;       // the trailing edge moves by this; window and coarse are multiples of the interval
  base::Duration seen_within;  // of presence
  base::Micros valid_from{0};  // it has seen rows with ts from here on; given by assign_ids()
  std::string name(const Measure& measure_of_it) const;
};

struct Rule {
  int id = -1;
  std::string name;  // "<group>/<alert>"
  std::string alert, group;
  Place place;
  Expression expression;  // counters resolved
  base::Duration hold, keep_firing;
  std::map<std::string, std::string> labels, annotations;
  int limit = 0;
  std::int64_t keys = 0;  // expected; 0 = not said
  bool monotone = false, has_absent = false;
  base::Duration window;  // its longest
  std::vector<int> counters;

  bool announceable() const { return monotone && hold.value() == 0; }
};

// All rules with the same `by` and slices.
struct FoldGroup {
  std::string id;  // 16 hex digits: hash of by, interval, lateness
  std::vector<Column> by;
  base::Duration interval, lateness;
  std::vector<Measure> measures;
  std::vector<Counter> counters;
  std::vector<Rule> rules;
  base::Duration window_max() const;
};

struct Program {
  std::vector<FoldGroup> folds;
  const Rule* find(const std::string& name) const;
};

struct CompileResult {
  std::optional<Program> program;  // absent when there are issues
  std::vector<Issue> issues;       // all of them
};
CompileResult compile(const std::vector<GroupDraft>& groups, const std::vector<Column>& columns);

// window/60, rounded up to a whole number of intervals.
base::Duration coarse_slice(base::Duration window, base::Duration interval);

// The IR as JSON; equal programs give equal bytes. Numbers given by assign_ids() are in it.
std::string to_json(const Program& program);
// Back again: all that folding and advancing need, without places in files. Errors: kInvalid: a newer format, or not such JSON.
base::Result<Program> parse_program(std::string_view json);

// --- small ids that outlive edits ---

// The names behind the small numbers in a fold group's state. Numbers are never given twice.
struct Dictionary {
  int next = 0;
  std::map<std::string, int> ids;                  // "m:<measure>", "c:<counter>", "r:<rule>"
  std::map<std::string, std::int64_t> valid_from;  // by counter name, µs; absent = always
  std::string to_json() const;
};
base::Result<Dictionary> parse_dictionary(std::string_view json);

// Gives `fold` the ids of `dictionary`. Names it does not have are added, new counters as seeing rows with ts ≥ `valid_from` only; measures
// and counters that `fold` does not have are dropped. Returns whether the dictionary changed.
bool assign_ids(FoldGroup& fold, Dictionary& dictionary, std::optional<base::Micros> valid_from);

}  // namespace headpond::rules
