// OTLP protobuf: what otlp_check.h says, and as many rows as a reader of its own, written for nothing but counting, finds log records.
#include <functional>
#include <optional>

#include "otlp_check.h"

namespace {

using Take = std::function<bool(std::uint64_t field, std::string_view bytes)>;

std::optional<std::uint64_t> varint(std::string_view& bytes) {
  unsigned __int128 value = 0;
  for (int i = 0; i < 10 && !bytes.empty(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= static_cast<unsigned __int128>(byte & 127) << (7 * i);
    if (byte < 128) return value >> 64 == 0 ? std::optional(static_cast<std::uint64_t>(value)) : std::nullopt;
  }
  return std::nullopt;
}

// False: broken. Reads one field whose tag is `tag`; `end`: it was the end of the group `group`.
bool field(std::string_view& bytes, std::uint64_t tag, const Take& take, int depth);

bool group(std::string_view& bytes, std::uint64_t number, int depth) {
  if (depth > 32) return false;
  while (true) {
    const auto tag = varint(bytes);
    if (!tag || *tag > UINT32_MAX || *tag < 8) return false;
    if ((*tag & 7) == 4) return *tag >> 3 == number;
    if (!field(
            bytes, *tag, [](std::uint64_t, std::string_view) { return true; }, depth))
      return false;
  }
}

bool field(std::string_view& bytes, std::uint64_t tag, const Take& take, int depth) {
  const auto skip = [&](std::uint64_t n) { return bytes.size() >= n ? bytes.remove_prefix(n), true : false; };
  switch (tag & 7) {
    case 0: return varint(bytes).has_value();
    case 1: return skip(8);
    case 5: return skip(4);
    case 3: return group(bytes, tag >> 3, depth + 1);
    case 2: {
      const auto size = varint(bytes);
      if (!size || *size > bytes.size()) return false;
      const auto inside = bytes.substr(0, *size);
      bytes.remove_prefix(*size);
      return take(tag >> 3, inside);
    }
    default: return false;
  }
}

bool walk(std::string_view bytes, const Take& take) {
  while (!bytes.empty()) {
    const auto tag = varint(bytes);
    if (!tag || *tag > UINT32_MAX || *tag < 8 || !field(bytes, *tag, take, 0)) return false;
  }
  return true;
}

// None: the frame is broken.
std::optional<std::size_t> log_records(std::string_view message) {
  std::size_t count = 0;
  const auto scope = [&](std::uint64_t number, std::string_view) { return count += number == 2, true; };
  const auto resource = [&](std::uint64_t number, std::string_view bytes) { return number != 2 || walk(bytes, scope); };
  const auto request = [&](std::uint64_t number, std::string_view bytes) { return number != 1 || walk(bytes, resource); };
  return walk(message, request) ? std::optional(count) : std::nullopt;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace headpond;
  const std::string_view payload(reinterpret_cast<const char*>(data), size);
  const auto [rows, errors] = fuzz::check_otlp(decode::Encoding::kOtlpProto, size == 0 ? std::string_view("") : payload);
  const auto expected = log_records(payload);
  fuzz::require(rows == std::max<std::size_t>(1, expected.value_or(0)), "a row for each log record");
  fuzz::require(expected.has_value() || errors, "a broken frame is an error");
  return 0;
}
