#include "pager/key_table.h"

#include "rules/key_state.h"

namespace headpond::pager {
namespace {

constexpr std::size_t kFoldAt = 2, kKeyAt = 2 + 16 + 1;  // "k/<16 hex digits>/<key>"

}  // namespace

base::Result<KeyTable> KeyTable::open(state::Store& store, std::size_t hot_keys_max) {
  KeyTable table(store, hot_keys_max);
  TRY_VOID(store.scan("k/", [&](std::string_view row, std::string_view state) {
    ++table.keys_;
    table.set_timer(std::string(row), rules::timer_of(state));
    return true;
  }));
  return table;
}

base::Result<std::string> KeyTable::get(const std::string& fold, const std::string& key) {
  const std::string where = row(fold, key);
  const auto hot = hot_.find(where);
  if (hot != hot_.end()) return hot->second.state;
  TRY(auto stored, store_->get(where));
  std::string state = std::move(stored).value_or("");
  hot_[where].state = state;
  return state;
}

void KeyTable::set(const std::string& fold, const std::string& key, std::string state, std::optional<base::Micros> timer) {
  const std::string where = row(fold, key);
  Hot& hot = hot_[where];
  if (hot.state.empty() && !state.empty()) ++keys_;
  if (!hot.state.empty() && state.empty()) --keys_;
  if (hot.changed) changed_bytes_ -= hot.state.size() + where.size();
  changed_bytes_ += state.size() + where.size();
  hot.state = std::move(state);
  hot.changed = true;
  set_timer(where, timer ? std::optional(timer->value()) : std::nullopt);
}

void KeyTable::set_timer(const std::string& row, std::optional<std::int64_t> timer) {
  const std::string fold = row.substr(kFoldAt, 16), key = row.substr(kKeyAt);
  const auto old = timer_.find(row);
  if (old != timer_.end()) {
    if (timer == old->second) return;
    timers_[fold].erase({old->second, key});
    timer_.erase(old);
  }
  if (!timer) return;
  timer_[row] = *timer;
  timers_[fold].emplace(*timer, key);
}

std::vector<std::string> KeyTable::due(const std::string& fold, base::Micros boundary) const {
  std::vector<std::string> keys;
  const auto timers = timers_.find(fold);
  if (timers == timers_.end()) return keys;
  for (const auto& [at, key] : timers->second) {
    if (at > boundary.value()) break;
    keys.push_back(key);
  }
  return keys;
}

base::Result<void> KeyTable::for_each(const std::string& fold,
                                      const std::function<base::Result<void>(const std::string& key, const std::string& state)>& visit) {
  std::map<std::string, std::string> all;
  const std::string prefix = row(fold, "");
  TRY_VOID(store_->scan(prefix, [&](std::string_view where, std::string_view state) {
    all[std::string(where.substr(kKeyAt))] = state;
    return true;
  }));
  for (const auto& [where, hot] : hot_)
    if (where.starts_with(prefix)) all[where.substr(kKeyAt)] = hot.state;
  for (const auto& [key, state] : all)
    if (!state.empty()) TRY_VOID(visit(key, state));
  return {};
}

void KeyTable::stage(state::WriteBatch& batch) const {
  for (const auto& [where, hot] : hot_) {
    if (!hot.changed) continue;
    if (hot.state.empty()) {
      batch.remove(where);
    } else {
      batch.put(where, hot.state);
    }
  }
}

void KeyTable::confirm() {
  changed_bytes_ = 0;
  const bool crowded = hot_.size() > hot_keys_max_;
  for (auto it = hot_.begin(); it != hot_.end();) {
    it->second.changed = false;
    it = crowded || it->second.state.empty() ? hot_.erase(it) : std::next(it);
  }
}

}  // namespace headpond::pager
