#include "notify/unreadable.h"

#include <nlohmann/json.hpp>

namespace headpond::notify {
namespace {

using base::ErrorKind;
using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;

std::string path_of(const std::string& pages_root) {
  return pages_root + "/_unreadable.json";
}

}  // namespace

base::Result<void> write_unreadable(env::ObjectStore& lake, const std::string& pages_root, const Unreadable& objects) {
  if (objects.empty()) {
    const auto removed = lake.remove(path_of(pages_root));
    if (!removed && removed.error().kind != ErrorKind::kNotFound) return std::unexpected(removed.error());
    return {};
  }
  Json json{{"format", kFormat}, {"objects", Json::array()}};
  for (const auto& [path, why] : objects) json["objects"].push_back({{"path", path}, {"why", why}});
  return lake.put(path_of(pages_root), json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

base::Result<Unreadable> read_unreadable(env::ObjectStore& lake, const std::string& pages_root) {
  const auto text = lake.get(path_of(pages_root));
  if (!text && text.error().kind == ErrorKind::kNotFound) return Unreadable{};
  if (!text) return std::unexpected(text.error());
  const Json json = Json::parse(*text, nullptr, false);
  if (!json.is_object() || !json.contains("objects"))
    return base::fail(ErrorKind::kCorrupt, path_of(pages_root) + " is no record of unreadable objects; remove it, it is written anew");
  if (json.value("format", 0) > kFormat)
    return base::fail(ErrorKind::kInvalid, path_of(pages_root) + ": written by a newer headpond; install that one");
  Unreadable objects;
  for (const auto& object : json["objects"]) objects[object.value("path", "")] = object.value("why", "");
  return objects;
}

std::string describe(const Unreadable& objects) {
  if (objects.empty()) return "";
  const std::string& first = objects.begin()->second;
  if (objects.size() == 1) return "an outbox object cannot be read, its pages are not sent: " + first;
  return std::to_string(objects.size()) + " outbox objects cannot be read, their pages are not sent: " + first + " (and " +
         std::to_string(objects.size() - 1) + " more)";
}

}  // namespace headpond::notify
