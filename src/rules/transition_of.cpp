#include "rules/transition_of.h"

#include "rules/fold.h"
#include "rules/template.h"

namespace headpond::rules {

Transition transition_of(const FoldGroup& fold, const Change& change, const std::string& key, const Claim& claim, base::Version version) {
  const Rule& rule = fold.rules[static_cast<std::size_t>(change.rule)];
  Transition t;
  t.id = {claim.generation, rule.name, key, change.seq};
  t.kind = change.kind;
  t.announced = change.announced;
  t.settles_announcement = change.settles_announcement;
  t.send = change.boundary >= claim.claimed_at;
  t.boundary = change.boundary;
  t.began_at = change.began_at;
  t.value = change.value;
  t.version = version;
  t.limit = rule.limit;
  t.window = rule.window;
  t.labels["alertname"] = rule.alert;
  const auto values = key_values(key);
  for (std::size_t i = 0; i < fold.by.size() && i < values.size(); ++i) t.labels[fold.by[i].name] = values[i].value_or("");
  const auto given = t.labels;
  for (const auto& [name, text] : rule.labels) t.labels[name] = render_template(text, given, change.value);
  for (const auto& [name, text] : rule.annotations) t.annotations[name] = render_template(text, t.labels, change.value);
  return t;
}

}  // namespace headpond::rules
