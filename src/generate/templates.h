// The messages of generated logs. Threads: any.
#pragma once

#include <array>
#include <string_view>

namespace headpond::generate {

enum class Level { kDebug, kInfo, kWarn, kError };

// In `text`: %n a number, %h eight hex digits, %u a user, %i an address, %p a path, %d milliseconds, %t a tenant.
struct Template {
  Level level;
  std::string_view text;
};

extern const std::array<Template, 50> kTemplates;
extern const std::array<std::string_view, 16> kPaths;

}  // namespace headpond::generate
