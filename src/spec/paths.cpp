#include <algorithm>
#include <cctype>
#include <filesystem>

#include "spec/topology.h"

namespace headpond::spec {

namespace {

constexpr std::size_t kTellingSize = 4;  // characters of a value that is one wherever it stands

}  // namespace

std::string to_string(const Place& place) {
  return place.file + ":" + std::to_string(place.line) + ":" + std::to_string(place.column);
}

std::string to_string(const Issue& issue) {
  return to_string(issue.place) + ": " + issue.message;
}

std::string to_string(const std::vector<Issue>& issues) {
  std::string text;
  for (const auto& issue : issues) text += to_string(issue) + "\n";
  return text;
}

std::string_view to_string(Encoding encoding) {
  switch (encoding) {
    case Encoding::kJson: return "json";
    case Encoding::kRaw: return "raw";
    case Encoding::kOtlpProto: return "otlp_proto";
    case Encoding::kOtlpJson: return "otlp_json";
  }
  return "";
}

std::string_view to_string(BranchKind kind) {
  switch (kind) {
    case BranchKind::kPager: return "pager";
    case BranchKind::kDashboard: return "dashboard";
    case BranchKind::kBilling: return "billing";
  }
  return "";
}

std::string_view to_string(Axis axis) {
  return axis == Axis::kLatency ? "latency" : "throughput";
}

std::string_view to_string(Rhythm rhythm) {
  switch (rhythm) {
    case Rhythm::kStream: return "stream";
    case Rhythm::kMicroBatch: return "micro-batch";
    case Rhythm::kBatch: return "batch";
  }
  return "";
}

LakePaths LakePaths::of(const std::string& location) {
  std::string path = location;
  const auto scheme = path.find("://");
  const std::size_t root = scheme != std::string::npos ? path.find('/', scheme + 3) : path.starts_with('/') ? 0 : std::string::npos;
  while (path.size() > 1 && path.back() == '/' && path.size() - 1 != root) path.pop_back();

  // Splits before the last folder, or before the one named "bronze" directly above it.
  const auto cut_before = [&](std::size_t end) { return end == 0 ? std::string::npos : path.rfind('/', end - 1); };
  std::size_t cut = cut_before(path.size());
  if (scheme != std::string::npos && (root == std::string::npos || cut < root)) return {path, "bronze"};
  if (cut == std::string::npos) return {".", path};
  if (cut != root || root == std::string::npos) {
    const std::size_t above = cut_before(cut);
    const std::size_t begin = above == std::string::npos ? 0 : above + 1;
    const bool inside_scheme = scheme != std::string::npos && (root == std::string::npos || begin <= root);
    if (!inside_scheme && path.substr(begin, cut - begin) == "bronze") {
      if (above == std::string::npos) return {".", path};
      cut = above;
    }
  }
  const std::string lake = cut == 0 ? "/" : path.substr(0, cut);
  return {lake, path.substr(cut + 1)};
}

std::string Topology::resolve(const std::string& written) const {
  if (written.find("://") != std::string::npos && !written.starts_with("file://")) return written;
  std::string local = written;
  if (local.starts_with("file://"))
    local = local.substr(7);
  else if (local.starts_with("file:"))
    local = local.substr(5);
  const std::filesystem::path joined = std::filesystem::path(directory) / local;
  const std::string normal = joined.lexically_normal().string();
  return normal.size() > 1 && normal.back() == '/' ? normal.substr(0, normal.size() - 1) : normal;
}

std::string Topology::redact(std::string text) const {
  // Longest first, so that a value that contains another is put back whole.
  std::vector<std::pair<std::string, std::string>> values(expanded.begin(), expanded.end());
  std::erase_if(values, [](const auto& v) { return v.second.empty(); });
  std::sort(values.begin(), values.end(), [](const auto& a, const auto& b) { return a.second.size() > b.second.size(); });
  const auto in_word = [&](std::size_t at) { return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at])) != 0; };
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto found = std::ranges::find_if(values, [&](const auto& v) {
      if (text.compare(at, v.second.size(), v.second) != 0) return false;
      // A letter or two inside a word are not the value, or no message could be read.
      return v.second.size() >= kTellingSize || (!in_word(at - 1) && !in_word(at + v.second.size()));
    });
    if (found == values.end()) {
      out += text[at++];
      continue;
    }
    out += found->first;
    at += found->second.size();
  }
  return out;
}

}  // namespace headpond::spec
