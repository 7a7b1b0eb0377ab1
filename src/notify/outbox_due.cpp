// Of a durable outbox: what is to be sent now.
#include <algorithm>

#include "notify/codec.h"
#include "notify/durable_outbox.h"

namespace headpond::notify {

using rules::Transition;
using rules::TransitionKind;

std::vector<Delivery> DurableOutbox::due(const std::string& target, std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  std::vector<Delivery> result;
  if (replaying_) return result;
  std::optional<Line> behind;                        // the line whose head is already in `result`
  std::optional<Line> decided;                       // the line whose decisions are in `result`
  std::map<std::string, std::size_t> about_to_fire;  // firing transitions in `result`, by rule
  for (const auto& [id, entry] : entries_) {
    const auto waiting = entry.waiting.find(target);
    if (waiting == entry.waiting.end()) continue;
    Line line = line_of(target, id.transition);
    if (behind == line) continue;
    if (entry.hold != Hold::kNone) {
      behind = std::move(line);
      continue;
    }
    std::size_t& rule_fires = about_to_fire[id.transition.rule];
    Delivery delivery = delivery_of(id, entry, line, rule_fires);
    if (!delivery.decision) {
      behind = line;
      // What is passed over must be on record before anything after it is heard: a crash in between would bring it back.
      if (decided == line) continue;
      if (id.transition.seq % 2 == 1) ++rule_fires;
    } else {
      decided = std::move(line);
    }
    result.push_back(std::move(delivery));
    if (result.size() == limit) break;
  }
  return result;
}

Delivery DurableOutbox::delivery_of(const Id& id, const Entry& entry, const Line& line, std::size_t about_to_fire) const {
  const Transition& t = entry.transition;
  Delivery delivery{t, line.target, entry.waiting.at(line.target), dedup_key(t.id)};
  if (id.settles) delivery.decision = ReceiptStatus::kSettled;
  if (!delivery.decision && !t.send) delivery.decision = ReceiptStatus::kRecorded;
  if (delivery.decision) return delivery;
  if (t.kind == TransitionKind::kFiring) {
    if (const LineState* older = open_in_older_generation(line)) {
      delivery.decision = ReceiptStatus::kConfirmed;
      delivery.dedup_key = older->dedup_key;
    } else if (beyond_limit(line, t, about_to_fire)) {
      delivery.decision = ReceiptStatus::kSummarised;
    }
    return delivery;
  }
  const auto state = lines_.find(line);
  if (state == lines_.end()) return delivery;
  if (state->second.open) delivery.dedup_key = state->second.dedup_key;
  if (state->second.status == ReceiptStatus::kSummarised) delivery.decision = ReceiptStatus::kSummarised;
  return delivery;
}

bool DurableOutbox::beyond_limit(const Line& line, const Transition& transition, std::size_t about_to_fire) const {
  if (transition.limit <= 0) return false;
  const auto open = open_count_.find({line.target, line.generation, line.rule});
  return (open == open_count_.end() ? 0 : open->second) + about_to_fire >= static_cast<std::size_t>(transition.limit);
}

const LineState* DurableOutbox::open_in_older_generation(const Line& line) const {
  for (const Line& older : older_open_) {
    if (older.target == line.target && older.rule == line.rule && older.key == line.key && older.generation < line.generation &&
        !resolving(older)) {
      return &lines_.at(older);
    }
  }
  return nullptr;
}

// Its resolve waits to be sent: who fires now opens a page of its own.
bool DurableOutbox::resolving(const Line& older) const {
  const auto it = entries_.find(Id{{older.generation, older.rule, older.key, lines_.at(older).seq + 1}, false});
  return it != entries_.end() && it->second.waiting.contains(older.target);
}

// The newer state's firing is here and has no receipt yet.
bool DurableOutbox::about_to_be_confirmed(const Line& older) const {
  for (auto it = entries_.lower_bound(Id{{options_.generation, older.rule, older.key, 0}, false}); it != entries_.end(); ++it) {
    const Transition& t = it->second.transition;
    if (t.id.generation != options_.generation || t.id.rule != older.rule || t.id.key != older.key) return false;
    const auto waiting = it->second.waiting.find(older.target);
    const bool goes_on = !it->first.settles && t.send && t.kind == TransitionKind::kFiring && waiting != it->second.waiting.end();
    if (goes_on && !waiting->second) return true;
  }
  return false;
}

}  // namespace headpond::notify
