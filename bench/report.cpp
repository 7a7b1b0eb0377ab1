#include "report.h"

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

namespace headpond::bench {

void Report::section(std::string_view title) {
  std::printf("\n%.*s\n", static_cast<int>(title.size()), title.data());
}

void Report::stage(std::string_view name, double value, std::string_view unit, std::string_view note) {
  std::printf("  %-34.*s %12.1f %-16.*s %.*s\n", static_cast<int>(name.size()), name.data(), value, static_cast<int>(unit.size()),
              unit.data(), static_cast<int>(note.size()), note.data());
  std::fflush(stdout);
}

void Report::print() const {
  const auto text = [](const std::optional<double>& value) {
    char out[32];
    std::snprintf(out, sizeof out, "%.1f", value.value_or(0));
    return value ? std::string(out) : std::string("-");
  };
  std::printf("\n%-36s %12s %12s %12s  %s\n", "figure", "value", "floor", "goal", "unit");
  for (const auto& figure : figures_)
    std::printf("%-36s %12s %12s %12s  %s\n", figure.name.c_str(), text(figure.value).c_str(), text(figure.floor).c_str(),
                text(figure.goal).c_str(), figure.unit.c_str());
}

bool Report::write_json(const std::string& path) const {
  auto list = nlohmann::ordered_json::array();
  for (const auto& figure : figures_) {
    nlohmann::ordered_json item = {
        {"name", figure.name}, {"value", figure.value}, {"unit", figure.unit}, {"floor", nullptr}, {"goal", nullptr}};
    if (figure.floor) item["floor"] = *figure.floor;
    if (figure.goal) item["goal"] = *figure.goal;
    list.push_back(std::move(item));
  }
  std::ofstream file(path);
  file << list.dump(2) << '\n';
  return static_cast<bool>(file.flush());
}

}  // namespace headpond::bench
