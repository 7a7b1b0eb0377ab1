#include "decode/time_text.h"

#include <cstring>
#include <string>

#include "decode/convert.h"

namespace headpond::decode {

std::optional<std::int64_t> TimeText::read(std::string_view text) {
  const auto micros = micros_of_text(text);
  if (micros && text.size() > kPrefix && text[kPrefix - 1] == ':') {
    if (const auto minute = micros_of_text(std::string(text.substr(0, kPrefix)) + "00Z")) {
      std::memcpy(prefix_, text.data(), kPrefix);
      prefix_size_ = kPrefix;
      minute_ = *minute;
    }
  }
  return micros;
}

}  // namespace headpond::decode
