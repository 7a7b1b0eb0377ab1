#include "notify/generation.h"

#include <cstdio>

#include "notify/json_codec.h"

namespace headpond::notify {
namespace {

constexpr int kFormat = 1;

std::string folder_of(const std::string& pages_root) {
  return pages_root + "/_generations/";
}

std::string path_of(const std::string& pages_root, std::int64_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "%010lld.json", static_cast<long long>(number));
  return folder_of(pages_root) + name;
}

base::Result<Generation> read(env::ObjectStore& objects, const std::string& path) {
  TRY(const std::string text, objects.get(path));
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("generation") || !json.contains("claimed_at")) {
    return base::fail(base::ErrorKind::kCorrupt, path + " is not the claim of a generation; restore it from a backup");
  }
  if (json.value("format", 0) > kFormat) {
    return base::fail(base::ErrorKind::kInvalid,
                      path + ": written in format " + std::to_string(json.value("format", 0)) + "; install a newer headpond");
  }
  return Generation{json["generation"].get<std::int64_t>(), base::Micros(json["claimed_at"].get<std::int64_t>())};
}

}  // namespace

base::Result<std::int64_t> claim_generation(env::ObjectStore& objects, const std::string& pages_root, base::Micros now) {
  while (true) {
    TRY(const auto newest, newest_generation(objects, pages_root));
    const std::int64_t number = newest ? newest->number + 1 : 1;
    const Json claim{{"format", kFormat}, {"generation", number}, {"claimed_at", now.value()}};
    const auto put = objects.put_if_absent(path_of(pages_root, number), claim.dump());
    if (put) return number;
    if (put.error().kind == base::ErrorKind::kConflict) continue;  // someone else took it: the next one
    if (put.error().kind == base::ErrorKind::kUnknown) return base::fail(base::ErrorKind::kRetry, put.error().message);
    return std::unexpected(put.error());
  }
}

base::Result<std::optional<Generation>> newest_generation(env::ObjectStore& objects, const std::string& pages_root) {
  TRY(const auto listed, objects.list(folder_of(pages_root)));
  if (listed.empty()) return std::nullopt;
  TRY(const Generation generation, read(objects, listed.back().path));
  return generation;
}

base::Result<Generation> read_generation(env::ObjectStore& objects, const std::string& pages_root, std::int64_t number) {
  return read(objects, path_of(pages_root, number));
}

}  // namespace headpond::notify
