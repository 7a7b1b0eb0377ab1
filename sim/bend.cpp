#include "sim/bend.h"

#include <functional>
#include <nlohmann/json.hpp>

namespace headpond::sim {
namespace {

using Json = nlohmann::ordered_json;

std::string edited(const std::string& entry, const std::function<void(Json& action)>& edit) {
  std::string out;
  for (std::size_t at = 0; at < entry.size();) {
    auto end = entry.find('\n', at);
    if (end == std::string::npos) end = entry.size();
    auto action = Json::parse(entry.substr(at, end - at));
    edit(action);
    if (!action.is_null()) out += action.dump() + "\n";
    at = end + 1;
  }
  return out;
}

Json* facts_of(Json& action) {
  if (!action.contains("commitInfo") || !action["commitInfo"].contains("headpond")) return nullptr;
  return &action["commitInfo"]["headpond"];
}

}  // namespace

bool has_batches(const std::string& entry) {
  return entry.find("\"batches\"") != std::string::npos;
}

std::string without_batches(const std::string& entry) {
  return edited(entry, [](Json& action) {
    if (auto* facts = facts_of(action)) {
      facts->erase("batches");
      facts->erase("clocks");
    }
    if (action.contains("add") || action.contains("txn")) action = nullptr;
  });
}

std::string shifted_positions(const std::string& entry, std::int64_t by) {
  return edited(entry, [&](Json& action) {
    auto* facts = facts_of(action);
    if (facts == nullptr || !facts->contains("batches")) return;
    for (auto& batch : (*facts)["batches"]) {
      std::map<int, Json*> last;  // range by partition
      for (auto& range : batch["ranges"]) last[range[0].get<int>()] = &range;
      for (auto& [partition, range] : last) {
        auto& end = (*range)[3];
        if (end.get<std::int64_t>() + by < (*range)[2].get<std::int64_t>()) continue;
        end = end.get<std::int64_t>() + by;
        if (!facts->contains("clocks")) continue;
        for (auto& [source, clocks] : (*facts)["clocks"].items())
          for (auto& clock : clocks)
            if (source == batch["source"] && clock[0].get<int>() == partition) clock[2] = end;
      }
    }
  });
}

std::string earlier_clocks(const std::string& entry, std::int64_t by_us) {
  return edited(entry, [&](Json& action) {
    auto* facts = facts_of(action);
    if (facts == nullptr || !facts->contains("clocks")) return;
    for (auto& [source, clocks] : (*facts)["clocks"].items())
      for (auto& clock : clocks) clock[1] = clock[1].get<std::int64_t>() - by_us;
  });
}

std::string with_batches_of(const std::string& entry, const std::string& earlier) {
  Json batches;
  std::string files;
  edited(earlier, [&](Json& action) {
    if (auto* facts = facts_of(action)) batches = (*facts)["batches"];
    if (action.contains("add")) files += action.dump() + "\n";
  });
  return edited(without_batches(entry),
                [&](Json& action) {
                  if (auto* facts = facts_of(action)) (*facts)["batches"] = batches;
                }) +
         files;
}

}  // namespace headpond::sim
