// Of a durable outbox: the page about pages that no target took.

#include <algorithm>

#include "notify/durable_outbox.h"
#include "notify/json_codec.h"

namespace headpond::notify {

using rules::Transition;
using rules::TransitionKind;

void DurableOutbox::report(Transition page) {
  const std::lock_guard lock(mutex_);
  report_one(std::move(page));
}

void DurableOutbox::report_one(Transition page) {
  page.id.generation = options_.generation;
  std::int64_t seq = 0;
  for (const auto& target : options_.targets) {
    const auto it = lines_.find(line_of(target, page.id));
    if (it != lines_.end()) seq = std::max(seq, it->second.seq);
  }
  for (const auto& [id, entry] : entries_) {
    const auto& held = id.transition;
    if (held.generation == page.id.generation && held.rule == page.id.rule && held.key == page.id.key) seq = std::max(seq, held.seq);
  }
  const bool stands_firing = seq % 2 == 1;
  if (stands_firing == (page.kind == TransitionKind::kFiring)) return;
  page.id.seq = seq + 1;
  add_one(std::move(page), options_.report_after_batch);
}

bool DurableOutbox::took_since_report(const std::string& target) const {
  const std::lock_guard lock(mutex_);
  const std::string key = undeliverable_key(target);
  std::optional<ReceiptPlace> reported;
  for (const auto& [line, state] : lines_) {
    if (line.rule != kUndeliverableRule || line.key != key || !state.open) continue;
    if (line.target == target) return true;  // it took that very page
    reported = std::max(reported.value_or(state.place), state.place);
  }
  return reported && std::ranges::any_of(lines_, [&](const auto& entry) {
           return entry.first.target == target && entry.second.status == ReceiptStatus::kDelivered && entry.second.place > *reported;
         });
}

// One page for all that a rule's limit holds back; it resolves when none of them fires any more.
void DurableOutbox::report_held_back(const Transition& because) {
  std::size_t held = 0;
  for (const auto& target : options_.targets) {
    const auto it = held_back_.find({target, because.id.generation, because.id.rule});
    if (it != held_back_.end()) held = std::max(held, it->second.size());
  }
  Transition page;
  page.id.rule = kHeldBackRule;
  page.id.key = Json{{"rule", because.id.rule}}.dump();
  page.kind = held > 0 ? TransitionKind::kFiring : TransitionKind::kResolved;
  page.boundary = because.boundary;
  page.began_at = because.boundary;
  page.value = static_cast<double>(held);
  page.version = because.version;
  page.window = because.window;
  page.labels = {{"alertname", "PagesHeldBack"}, {"severity", "page"}, {"rule", because.id.rule}};
  page.annotations = {{"summary", std::to_string(held) + " more pages of " + because.id.rule + " are held back by its limit of " +
                                      std::to_string(because.limit) + "; `headpond pages` lists them"}};
  report_one(std::move(page));
}

}  // namespace headpond::notify
