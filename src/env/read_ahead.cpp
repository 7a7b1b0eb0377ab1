#include "env/read_ahead.h"

#include <algorithm>
#include <mutex>
#include <unordered_set>
#include <utility>

#include "env/read_many.h"

namespace headpond::env {

void ReadAhead::expect(const std::vector<std::string>& paths) {
  if (inner_.reads_at_once() == 1) return;
  const std::unordered_set<std::string> wanted(paths.begin(), paths.end());
  std::vector<std::string> missing;
  {
    const std::unique_lock lock(mutex_);
    std::erase_if(held_, [&](const auto& held) { return !wanted.contains(held.first); });
    for (const auto& path : wanted)
      if (!held_.contains(path)) missing.push_back(path);
  }
  auto read = get_many(inner_, missing);
  const std::unique_lock lock(mutex_);
  for (std::size_t i = 0; i < missing.size(); ++i)
    if (read[i]) held_.emplace(std::move(missing[i]), *std::move(read[i]));
}

base::Result<std::string> ReadAhead::get(const std::string& path) {
  {
    const std::shared_lock lock(mutex_);
    if (const auto found = held_.find(path); found != held_.end()) return found->second;
  }
  return inner_.get(path);
}

base::Result<std::string> ReadAhead::get_range(const std::string& path, std::int64_t offset, std::int64_t length) {
  {
    const std::shared_lock lock(mutex_);
    if (const auto found = held_.find(path); found != held_.end()) {
      const auto begin = std::clamp<std::int64_t>(offset, 0, std::ssize(found->second));
      return found->second.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(std::max<std::int64_t>(0, length)));
    }
  }
  return inner_.get_range(path, offset, length);
}

base::Result<ObjectMeta> ReadAhead::head(const std::string& path) {
  {
    const std::shared_lock lock(mutex_);
    if (const auto found = held_.find(path); found != held_.end()) return ObjectMeta{path, std::ssize(found->second), base::Micros(0)};
  }
  return inner_.head(path);
}

}  // namespace headpond::env
