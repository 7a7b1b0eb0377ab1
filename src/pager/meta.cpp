#include "pager/meta.h"

#include <nlohmann/json.hpp>

#include "rules/program.h"

namespace headpond::pager {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

std::string to_json(const Meta& meta) {
  Json out = {{"format", rules::kFormat},
              {"generation", meta.generation},
              {"version", meta.version.value()},
              {"positions", Json::array()},
              {"settled_us", Json::object()},
              {"late_seq", meta.late_seq},
              {"late_since_us", meta.late_since.value()}};
  for (const auto& [where, offset] : meta.positions) out["positions"].push_back({where.source, where.partition.value(), offset.value()});
  for (const auto& [fold, boundary] : meta.settled) out["settled_us"][fold] = boundary.value();
  return out.dump();
}

base::Result<Meta> parse_meta(std::string_view json) {
  try {
    const Json in = Json::parse(json);
    if (in.at("format").get<int>() > rules::kFormat)
      return base::fail(base::ErrorKind::kInvalid,
                        "the pager's state has format " + in["format"].dump() + "; install the Headpond that wrote it");
    Meta meta;
    meta.generation = in.at("generation").get<std::int64_t>();
    meta.version = base::Version(in.at("version").get<std::int64_t>());
    for (const auto& p : in.at("positions"))
      meta.positions[{p.at(0).get<std::string>(), base::PartitionId(p.at(1).get<std::int32_t>())}] =
          base::Offset(p.at(2).get<std::int64_t>());
    for (const auto& [fold, boundary] : in.at("settled_us").items()) meta.settled[fold] = base::Micros(boundary.get<std::int64_t>());
    meta.late_seq = in.at("late_seq").get<std::int64_t>();
    meta.late_since = base::Micros(in.at("late_since_us").get<std::int64_t>());
    return meta;
  } catch (const Json::exception&) {
    return base::fail(base::ErrorKind::kCorrupt,
                      "the pager's state is not readable (p/meta); remove its local state so that it restores a checkpoint");
  }
}

}  // namespace headpond::pager
