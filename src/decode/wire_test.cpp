#include "decode/wire.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "decode/otlp_fixture.h"

namespace headpond::decode {
namespace {

// What a field says, as text; "broken" at the end of what is no protobuf.
using Fields = std::vector<std::string>;

Fields read(std::string_view bytes) {
  Fields fields;
  WireReader reader(bytes);
  while (reader.next()) {
    auto said = std::to_string(reader.field()) + "/" + std::to_string(static_cast<int>(reader.type())) + ":";
    switch (reader.type()) {
      case WireType::kVarint: said += std::to_string(reader.varint()); break;
      case WireType::kFixed64: said += std::to_string(reader.fixed64()); break;
      case WireType::kFixed32: said += std::to_string(reader.fixed32()); break;
      case WireType::kBytes: said += reader.bytes(); break;
      default: break;
    }
    fields.push_back(said);
  }
  if (!reader.ok()) fields.push_back("broken");
  return fields;
}

// The same by the format's description, a byte at a time; but for groups.
struct Plainly {
  std::string_view left;
  bool has_group = false;

  std::optional<std::uint64_t> varint() {
    unsigned __int128 value = 0;
    for (int i = 0; i < 10 && !left.empty(); ++i) {
      const auto byte = static_cast<unsigned char>(left.front());
      left.remove_prefix(1);
      value |= static_cast<unsigned __int128>(byte & 127) << (7 * i);
      if (byte < 128) return value >> 64 == 0 ? std::optional(static_cast<std::uint64_t>(value)) : std::nullopt;
    }
    return std::nullopt;
  }
  std::optional<std::uint64_t> fixed(std::size_t size) {
    if (left.size() < size) return std::nullopt;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value |= std::uint64_t{static_cast<unsigned char>(left[i])} << (8 * i);
    left.remove_prefix(size);
    return value;
  }
  // None: broken.
  std::optional<std::string> value(unsigned type) {
    const auto text = [](std::optional<std::uint64_t> number) { return number ? std::optional(std::to_string(*number)) : std::nullopt; };
    if (type == 0) return text(varint());
    if (type == 1) return text(fixed(8));
    if (type == 5) return text(fixed(4));
    const auto size = type == 2 ? varint() : std::nullopt;
    if (!size || *size > left.size()) return std::nullopt;
    const std::string bytes(left.substr(0, *size));
    left.remove_prefix(*size);
    return bytes;
  }

  Fields read() {
    Fields fields;
    while (!left.empty()) {
      const auto tag = varint();
      if (!tag || *tag > UINT32_MAX || *tag < 8) return fields.push_back("broken"), fields;
      has_group = has_group || (*tag & 7) == 3;
      const auto said = value(*tag & 7);
      if (!said) return fields.push_back("broken"), fields;
      fields.push_back(std::to_string(*tag >> 3) + "/" + std::to_string(*tag & 7) + ":" + *said);
    }
    return fields;
  }
};

// A field of any kind, its numbers now and then longer than they need be.
std::string field(std::mt19937_64& random) {
  const auto stretched = [&](std::string varint) {
    if (random() % 8 != 0) return varint;
    varint.back() = static_cast<char>(varint.back() | 0x80);
    for (auto n = random() % 9; n > 0; --n) varint += '\x80';
    return varint + '\0';
  };
  const auto number = random() % 16 == 0 ? random() >> random() % 64 : 1 + random() % 16;
  const auto tag = [&](unsigned type) { return stretched(otlp::varint(number << 3 | type)); };
  switch (random() % 5) {
    case 0: return tag(0) + stretched(otlp::varint(random() >> random() % 64));
    case 1: return tag(1) + std::string(8, static_cast<char>(random()));
    case 2: return tag(5) + std::string(4, static_cast<char>(random()));
    default: {
      const auto size = random() % 8 == 0 ? random() % 20'000 : random() % 4 == 0 ? 120 + random() % 16 : random() % 20;
      return tag(2) + stretched(otlp::varint(size)) + std::string(size, static_cast<char>(random()));
    }
  }
}

TEST(Wire, ReadsWhatTheFormatSaysWholeCutAndDamaged) {
  std::mt19937_64 random(7);
  std::size_t whole = 0, broken = 0;
  for (int round = 0; round < 60'000; ++round) {
    std::string bytes;
    for (auto n = random() % 6; n > 0; --n) bytes += field(random);
    if (round % 3 == 1) bytes.resize(random() % (bytes.size() + 1));
    if (round % 3 == 2 && !bytes.empty()) bytes[random() % bytes.size()] = static_cast<char>(random());
    Plainly plainly{bytes};
    const auto expected = plainly.read();
    if (plainly.has_group) continue;
    const auto padded = bytes + std::string(64, static_cast<char>(random()));  // what lies behind the bytes says nothing
    ASSERT_EQ(read(std::string_view(padded).substr(0, bytes.size())), expected) << "round " << round;
    ++(expected.empty() || expected.back() != "broken" ? whole : broken);
  }
  EXPECT_GT(whole, 20'000u);
  EXPECT_GT(broken, 5'000u);
}

TEST(Wire, PassesOverGroups) {
  const std::string inside = otlp::number(3, 5) + otlp::bytes(2, "x");
  const std::string group = otlp::varint(7 << 3 | 3) + inside + otlp::varint(7 << 3 | 4);
  const auto padded = otlp::number(1, 2) + group + otlp::number(4, 300) + std::string(64, '\0');
  EXPECT_EQ(read(std::string_view(padded).substr(0, padded.size() - 64)), (Fields{"1/0:2", "7/3:", "4/0:300"}));
  EXPECT_EQ(read(std::string_view(padded).substr(0, padded.size() - 68)), (Fields{"1/0:2", "broken"}));
}

}  // namespace
}  // namespace headpond::decode
