#include "env/read_many.h"

#include <algorithm>
#include <atomic>
#include <thread>

namespace headpond::env {

std::vector<base::Result<std::string>> get_many(ObjectStore& store, const std::vector<std::string>& paths) {
  std::vector<base::Result<std::string>> out(paths.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (auto i = next++; i < paths.size(); i = next++) out[i] = store.get(paths[i]);
  };
  std::vector<std::jthread> helpers;
  const auto at_once = std::min(paths.size(), static_cast<std::size_t>(std::max(1, store.reads_at_once())));
  for (std::size_t i = 1; i < at_once; ++i) helpers.emplace_back(work);
  work();
  helpers.clear();  // joined: `out` is whole
  return out;
}

}  // namespace headpond::env
