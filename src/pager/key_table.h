// The states of all keys of one pager: hot ones in a bounded map, all of them in the state store, and who has a timer when.
//
//   table.get(fold, key) → bytes;  table.set(fold, key, bytes, timer);  table.due(fold, boundary) → keys
//   table.stage(batch); …write…; table.confirm();
//
// Store rows: "k/<fold id>/<key JSON>". Threads: one at a time.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "state/store.h"

namespace headpond::pager {

class KeyTable {
 public:
  // Borrows `store`. Reads every key's timer.
  static base::Result<KeyTable> open(state::Store& store, std::size_t hot_keys_max);

  base::Result<std::string> get(const std::string& fold, const std::string& key);
  // An empty state forgets the key.
  void set(const std::string& fold, const std::string& key, std::string state, std::optional<base::Micros> timer);
  std::vector<std::string> due(const std::string& fold, base::Micros boundary) const;
  // Every key of the fold, with its newest state, in byte order; a copy, so `visit` may call set().
  base::Result<void> for_each(const std::string& fold,
                              const std::function<base::Result<void>(const std::string& key, const std::string& state)>& visit);

  std::size_t keys() const { return keys_; }
  std::size_t changed_bytes() const { return changed_bytes_; }
  void stage(state::WriteBatch& batch) const;
  // What was staged is in the store: it may leave memory.
  void confirm();

  static std::string row(const std::string& fold, const std::string& key) { return "k/" + fold + "/" + key; }

 private:
  struct Hot {
    std::string state;
    bool changed = false;
  };
  explicit KeyTable(state::Store& store, std::size_t hot_keys_max) : store_(&store), hot_keys_max_(hot_keys_max) {}
  void set_timer(const std::string& row, std::optional<std::int64_t> timer);

  state::Store* store_;
  std::size_t hot_keys_max_;
  std::unordered_map<std::string, Hot> hot_;  // by row; an empty state: known to be absent
  std::unordered_map<std::string, std::int64_t> timer_;
  std::map<std::string, std::set<std::pair<std::int64_t, std::string>>> timers_;  // fold → (boundary, key)
  std::size_t keys_ = 0, changed_bytes_ = 0;
};

}  // namespace headpond::pager
