#include "state/checkpoint.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/xxh3.h"
#include "state/store.h"

namespace headpond::state {
namespace {

namespace fs = std::filesystem;
using base::ErrorKind;
using base::fail;

constexpr int kFormat = 1;
constexpr std::size_t kKeep = 3;  // checkpoints; older ones and the files only they name are removed

base::Result<std::string> read_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  if (!in || bytes.bad()) return fail(ErrorKind::kRetry, "cannot read " + file.string());
  return std::move(bytes).str();
}

std::string object_name(const std::string& name, std::string_view bytes) {
  char hash[24];
  std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(base::xxh3(bytes)));
  return std::to_string(bytes.size()) + "-" + hash + fs::path(name).extension().string();
}

base::Result<nlohmann::json> read_manifest(env::ObjectStore& objects, const std::string& path) {
  TRY(const std::string text, objects.get(path));
  nlohmann::json manifest = nlohmann::json::parse(text, nullptr, false);
  if (!manifest.is_object() || !manifest.contains("files")) {
    return fail(ErrorKind::kCorrupt, path + " is not a checkpoint's manifest; remove it to use the checkpoint before it");
  }
  if (manifest.value("format", 0) > kFormat) {
    return fail(ErrorKind::kInvalid,
                path + ": written in format " + std::to_string(manifest.value("format", 0)) + "; install a newer headpond");
  }
  return manifest;
}

// Keeps the newest checkpoints and the files they name.
base::Result<void> remove_old(env::ObjectStore& objects, const std::string& prefix) {
  TRY(const auto manifests, objects.list(prefix + "/manifests/"));
  if (manifests.size() <= kKeep) return {};
  std::set<std::string> needed;
  for (std::size_t i = manifests.size() - kKeep; i < manifests.size(); ++i) {
    TRY(const auto manifest, read_manifest(objects, manifests[i].path));
    for (const auto& file : manifest["files"]) needed.insert(prefix + "/files/" + file["object"].get<std::string>());
  }
  for (std::size_t i = 0; i + kKeep < manifests.size(); ++i) TRY_VOID(objects.remove(manifests[i].path));
  TRY(const auto files, objects.list(prefix + "/files/"));
  for (const auto& file : files) {
    if (!needed.contains(file.path)) TRY_VOID(objects.remove(file.path));
  }
  return {};
}

}  // namespace

base::Result<void> upload_image(const std::string& image, env::ObjectStore& objects, const std::string& prefix, const std::string& name) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(image, error)) files.push_back(entry.path());
  if (error) return fail(ErrorKind::kRetry, "cannot list " + image + ": " + error.message());
  std::ranges::sort(files);
  TRY(const auto present, objects.list(prefix + "/files/"));
  std::set<std::string> there;
  for (const auto& object : present) there.insert(object.path);
  nlohmann::json manifest{{"format", kFormat}, {"files", nlohmann::json::array()}};
  for (const auto& file : files) {
    TRY(const std::string bytes, read_file(file));
    const std::string object = object_name(file.filename().string(), bytes);
    const std::string path = prefix + "/files/" + object;
    if (!there.contains(path)) TRY_VOID(objects.put(path, bytes));
    manifest["files"].push_back({{"name", file.filename().string()}, {"object", object}, {"size", bytes.size()}});
  }
  TRY_VOID(objects.put(prefix + "/manifests/" + name + ".json", manifest.dump()));
  return remove_old(objects, prefix);
}

base::Result<std::optional<std::string>> restore_newest(env::ObjectStore& objects, const std::string& prefix,
                                                        const std::string& directory) {
  TRY(const auto manifests, objects.list(prefix + "/manifests/"));
  if (manifests.empty()) return std::nullopt;
  TRY(const auto manifest, read_manifest(objects, manifests.back().path));
  std::error_code error;
  fs::create_directories(directory, error);
  if (!error && !fs::is_empty(directory, error)) {
    return fail(ErrorKind::kInvalid, "cannot restore into " + directory + ": it is not empty; move it away");
  }
  if (error) return fail(ErrorKind::kInvalid, "cannot restore into " + directory + ": " + error.message());
  // CURRENT makes a directory a store: it comes last, so that an interrupted restore is not taken for one.
  const auto write = [&](const nlohmann::json& file) -> base::Result<void> {
    TRY(const std::string bytes, objects.get(prefix + "/files/" + file["object"].get<std::string>()));
    const std::string name = file["name"];
    if (bytes.size() != file["size"].get<std::size_t>() || object_name(name, bytes) != file["object"].get<std::string>()) {
      return fail(ErrorKind::kCorrupt, "checkpoint file " + file["object"].get<std::string>() + " is damaged; remove " +
                                           manifests.back().path + " to use the checkpoint before it");
    }
    std::ofstream out(fs::path(directory) / name, std::ios::binary);
    out << bytes;
    out.close();
    if (!out) return fail(ErrorKind::kRetry, "cannot write " + directory + "/" + name + "; is the disk full?");
    return {};
  };
  for (const bool last : {false, true}) {
    for (const auto& file : manifest["files"]) {
      if ((file["name"] == "CURRENT") == last) TRY_VOID(write(file));
    }
  }
  const std::string path = manifests.back().path;
  const auto slash = path.rfind('/');
  return path.substr(slash + 1, path.size() - slash - 1 - std::string_view(".json").size());
}

}  // namespace headpond::state
