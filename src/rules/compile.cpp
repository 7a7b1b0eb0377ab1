// Drafts → program: names resolved, windows cut into slices, rules with the same `by` and slices put together.
#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

#include "base/time.h"
#include "base/xxh3.h"
#include "rules/program.h"
#include "rules/template.h"

namespace headpond::rules {
namespace {

constexpr std::int64_t kIntervalMin = 100'000;  // µs
constexpr base::Duration kSeenWithinDefault = base::Duration::hours(24);

class Compiler {
 public:
  Compiler(const std::vector<GroupDraft>& groups, const std::vector<Column>& columns) : groups_(groups), columns_(columns) {}

  CompileResult run() {
    std::set<std::string> group_names;
    for (const auto& group : groups_) {
      if (!group_names.insert(group.name).second)
        issue(group.place, "a second group is named `" + group.name + "`; names tell pages apart, choose another");
      check_group(group);
      std::set<std::string> names;
      for (const auto& draft : group.rules) {
        if (!names.insert(draft.alert).second)
          issue(draft.place, "a second rule of the group `" + group.name + "` is named `" + draft.alert + "`; choose another name");
        compile_rule(group, draft);
      }
    }
    CompileResult result;
    if (issues_.empty()) result.program = std::move(program_);
    result.issues = std::move(issues_);
    return result;
  }

 private:
  void issue(const Place& place, std::string message) { issues_.push_back({place, std::move(message)}); }

  static Place place_of(const std::map<std::string, Place>& places, const std::string& key, const Place& otherwise) {
    const auto it = places.find(key);
    return it == places.end() ? otherwise : it->second;
  }

  void check_group(const GroupDraft& group) {
    if (group.interval.value() < kIntervalMin)
      issue(place_of(group.places, "interval", group.place), "interval is below 100ms; rules are evaluated every 100ms at most");
    if (group.lateness.value() < 0) issue(place_of(group.places, "lateness", group.place), "lateness is negative");
  }

  std::vector<Column> resolve_by(const RuleDraft& draft) {
    std::vector<Column> by;
    for (const auto& name : draft.by) {
      const auto found = std::find_if(columns_.begin(), columns_.end(), [&](const auto& c) { return c.name == name.text; });
      if (found == columns_.end()) {
        std::vector<std::string> names;
        for (const auto& c : columns_) names.push_back(c.name);
        const auto near = nearest_word(name.text, names);
        issue(name.place, "there is no column `" + name.text + "`" + (near ? "; did you mean " + *near + "?" : ""));
      } else if (found->type == ColumnType::kDouble || found->type == ColumnType::kTimestamp) {
        issue(name.place, "`" + name.text + "` is " + std::string(to_string(found->type)) + "; group by string, integer or bool columns");
      } else if (std::any_of(by.begin(), by.end(), [&](const auto& c) { return c.name == name.text; })) {
        issue(name.place, "`" + name.text + "` stands twice in `by`; keep one");
      } else {
        by.push_back(*found);
      }
    }
    return by;
  }

  FoldGroup& fold_for(const GroupDraft& group, std::vector<Column> by) {
    std::string text;
    for (const auto& c : by) text += c.name + ":" + std::string(to_string(c.type)) + ",";
    text += "|" + std::to_string(group.interval.value()) + "|" + std::to_string(group.lateness.value());
    std::array<char, 17> hex{};
    std::snprintf(hex.data(), hex.size(), "%016llx", static_cast<unsigned long long>(base::xxh3(text)));
    for (auto& fold : program_.folds)
      if (fold.id == hex.data()) return fold;
    FoldGroup fold;
    fold.id = hex.data();
    fold.by = std::move(by);
    fold.interval = group.interval;
    fold.lateness = group.lateness;
    program_.folds.push_back(std::move(fold));
    return program_.folds.back();
  }

  // Every window must be cut by whole slices; says which near one would be.
  bool check_window(const GroupDraft& group, const RuleDraft& draft, const Expression& e) {
    const Place at = draft.expr.at(e.offset);
    const std::string window = base::format_duration(e.window);
    if (e.window.value() <= group.lateness.value()) {
      issue(at, "the window " + window + " is not longer than the group's lateness " + base::format_duration(group.lateness) +
                    "; widen it, or shorten lateness");
      return false;
    }
    const base::Duration coarse = coarse_slice(e.window, group.interval);
    if (e.window.value() % coarse.value() == 0) return true;
    const base::Duration near((e.window.value() / coarse.value() + 1) * coarse.value());
    issue(at, "the window " + window + " does not divide into slices of " + base::format_duration(coarse) +
                  " (window/60, in whole intervals of " + base::format_duration(group.interval) + "); " + base::format_duration(near) +
                  " would");
    return false;
  }

  bool resolve(const GroupDraft& group, const RuleDraft& draft, FoldGroup& fold, Rule& rule, Expression& e) {
    bool good = true;
    for (auto& child : e.children) good = resolve(group, draft, fold, rule, child) && good;
    if (e.kind != Expression::Kind::kCount && e.kind != Expression::Kind::kAbsent) return good;
    if (!check_window(group, draft, e)) return false;
    const bool absent = e.kind == Expression::Kind::kAbsent;
    const base::Duration seen_within = absent ? draft.seen_within.value_or(kSeenWithinDefault) : base::Duration();
    if (absent && seen_within.value() <= e.window.value()) {
      issue(place_of(draft.places, "expect", draft.place),
            "seen_within " + base::format_duration(seen_within) + " is not longer than the window of absent(…)[" +
                base::format_duration(e.window) + "], so nothing could ever be missed; widen it");
      return false;
    }
    e.counter = add_counter(fold, absent ? Measure::Kind::kPresence : Measure::Kind::kCount, e, group.interval, seen_within);
    rule.window = std::max(rule.window, e.window);
    if (std::find(rule.counters.begin(), rule.counters.end(), e.counter) == rule.counters.end()) rule.counters.push_back(e.counter);
    return good;
  }

  static int add_counter(FoldGroup& fold, Measure::Kind kind, const Expression& e, base::Duration interval, base::Duration seen_within) {
    Measure measure;
    measure.kind = kind;
    measure.predicate = e.predicate;
    const std::string name = measure.name();
    auto m = std::find_if(fold.measures.begin(), fold.measures.end(), [&](const auto& other) { return other.name() == name; });
    if (m == fold.measures.end()) m = fold.measures.insert(m, measure);
    const int index = static_cast<int>(m - fold.measures.begin());
    for (std::size_t i = 0; i < fold.counters.size(); ++i) {
      const auto& c = fold.counters[i];
      if (c.measure == index && c.window == e.window && c.seen_within == seen_within) return static_cast<int>(i);
    }
    Counter counter;
    counter.measure = index;
    counter.window = e.window;
    counter.coarse = kind == Measure::Kind::kPresence ? interval : coarse_slice(e.window, interval);
    counter.seen_within = seen_within;
    fold.counters.push_back(counter);
    return static_cast<int>(fold.counters.size()) - 1;
  }

  void check_texts(const RuleDraft& draft, const std::vector<Column>& by) {
    std::vector<std::string> names = {"alertname"};
    for (const auto& column : by) names.push_back(column.name);
    for (const auto& label : draft.labels) {
      if (label.name == "alertname" || std::any_of(by.begin(), by.end(), [&](const auto& c) { return c.name == label.name; }))
        issue(label.place, "the label `" + label.name + "` is given by Headpond; choose another name");
      for (const auto& problem : check_template(label.value.text, names, TemplateUse::kLabel))
        issue(label.value.at(problem.offset), problem.message);
    }
    for (const auto& label : draft.labels) names.push_back(label.name);
    for (const auto& annotation : draft.annotations)
      for (const auto& problem : check_template(annotation.value.text, names, TemplateUse::kAnnotation))
        issue(annotation.value.at(problem.offset), problem.message);
  }

  void compile_rule(const GroupDraft& group, const RuleDraft& draft) {
    auto by = resolve_by(draft);
    check_texts(draft, by);
    auto parsed = parse_expression(draft.expr, columns_);
    if (!parsed.expression) {
      issues_.push_back(std::move(parsed.issue));
      return;
    }
    Rule rule;
    rule.name = group.name + "/" + draft.alert;
    rule.alert = draft.alert;
    rule.group = group.name;
    rule.place = draft.place;
    rule.hold = draft.hold;
    rule.keep_firing = draft.keep_firing;
    rule.limit = group.limit;
    rule.keys = draft.keys.value_or(0);
    for (const auto& label : draft.labels) rule.labels[label.name] = label.value.text;
    for (const auto& annotation : draft.annotations) rule.annotations[annotation.name] = annotation.value.text;
    rule.expression = std::move(*parsed.expression);
    rule.monotone = rule.expression.is_monotone();
    rule.has_absent = rule.expression.contains_absent();
    if (draft.seen_within && !rule.has_absent)
      issue(place_of(draft.places, "expect", draft.place),
            "expect: {seen_within} is for absent(…), which this rule does not use; remove it");
    if (group.interval.value() < kIntervalMin) return;
    FoldGroup& fold = fold_for(group, std::move(by));
    if (resolve(group, draft, fold, rule, rule.expression)) fold.rules.push_back(std::move(rule));
  }

  const std::vector<GroupDraft>& groups_;
  const std::vector<Column>& columns_;
  Program program_;
  std::vector<Issue> issues_;
};

}  // namespace

base::Duration coarse_slice(base::Duration window, base::Duration interval) {
  const std::int64_t sixtieth = (window.value() + 59) / 60;
  return base::Duration((sixtieth + interval.value() - 1) / interval.value() * interval.value());
}

CompileResult compile(const std::vector<GroupDraft>& groups, const std::vector<Column>& columns) {
  return Compiler(groups, columns).run();
}

}  // namespace headpond::rules
