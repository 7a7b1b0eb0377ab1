#include "decode/otlp_columns.h"

#include <string>

namespace headpond::decode {
namespace {

constexpr std::array<std::string_view, kOtlpFields> kPlaces{"/time_unix_nano",
                                                            "/observed_time_unix_nano",
                                                            "/severity_number",
                                                            "/severity_text",
                                                            "/body",
                                                            "/trace_id",
                                                            "/span_id",
                                                            "/flags",
                                                            "/event_name",
                                                            "/scope/name",
                                                            "/scope/version"};
constexpr std::array<std::string_view, 3> kOwners{"/attributes/", "/scope/attributes/", "/resource/attributes/"};

void add_want(std::vector<Want>& wants, Want want) {
  for (const auto& there : wants)
    if (there.slot == want.slot) return;  // a better one of the same column
  wants.push_back(want);
}

}  // namespace

base::Result<void> OtlpColumns::add(const Field& field, std::uint16_t slot) {
  for (std::size_t i = 0; i < field.from.size(); ++i)
    if (auto added = add_source(field.from[i], {slot, static_cast<std::uint8_t>(i * kOwners.size())}); !added)
      return std::unexpected(std::move(added).error().within("column " + field.name));
  return {};
}

base::Result<void> OtlpColumns::add_source(std::string_view source, Want want) {
  for (std::size_t i = 0; i < kPlaces.size(); ++i)
    if (source == kPlaces[i]) return add_want(fields_[i], want), base::Result<void>();
  for (std::size_t i = 0; i < kOwners.size(); ++i)
    if (source.starts_with(kOwners[i]) && source.size() > kOwners[i].size())
      return add_want(attributes_[i].find_or_add(source.substr(kOwners[i].size()))->wants, want), base::Result<void>();
  if (source.empty() || source.front() == '/') {
    std::string known;
    for (const auto place : kPlaces) known += std::string(place) + " ";
    return base::fail(base::ErrorKind::kInvalid, "'" + std::string(source) + "' is no place in an OTLP log record; there are " + known +
                                                     "/attributes/KEY /scope/attributes/KEY /resource/attributes/KEY, and the key of an "
                                                     "attribute without a slash before it");
  }
  for (auto& owner : attributes_) {
    add_want(owner.find_or_add(source)->wants, want);
    ++want.rank;
  }
  return {};
}

}  // namespace headpond::decode
