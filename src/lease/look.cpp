#include "lease/look.h"

#include <nlohmann/json.hpp>

namespace headpond::lease {

std::string Look::word() const {
  const auto colon = holder.find(':');
  return colon == std::string::npos ? "embedded" : holder.substr(0, colon);
}

bool Look::holds(base::Micros now, base::Duration clock_error) const {
  return !released && now - renewed_at < wait + clock_error;
}

base::Result<std::optional<Look>> look(env::ObjectStore& objects, const std::string& root) {
  using base::ErrorKind;
  while (true) {
    TRY(const auto listed, objects.list(root + "/"));
    if (listed.empty()) return std::nullopt;
    const auto& newest = listed.back();
    const auto text = objects.get(newest.path);
    if (!text && text.error().kind == ErrorKind::kNotFound) continue;  // renewed meanwhile
    if (!text) return std::unexpected(text.error());
    const auto json = nlohmann::json::parse(*text, nullptr, false);
    if (!json.is_object() || json.value("format", 0) < 1)
      return base::fail(ErrorKind::kCorrupt, newest.path + " is not a lease; remove it");
    if (json.value("format", 0) > 1)
      return base::fail(ErrorKind::kInvalid, newest.path + ": written by a newer headpond; install that one");
    return Look{json.value("holder", std::string()), json.value("epoch", std::int64_t{0}), json.value("released", false), newest.modified,
                base::Duration(json.value("lease_us", std::int64_t{0}) + json.value("grace_us", std::int64_t{0}))};
  }
}

}  // namespace headpond::lease
