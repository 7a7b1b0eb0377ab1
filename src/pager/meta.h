// The row "p/meta": how far the pager's state has come. Threads: values; any.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"

namespace headpond::pager {

struct Meta {
  std::int64_t generation = 0;
  base::Version version{-1};
  base::PositionVector positions;
  std::map<std::string, base::Micros> settled;  // by fold id: the last settled boundary; absent = none yet
  std::int64_t late_seq = 0;                    // of the page "pipeline late": odd = firing
  base::Micros late_since{0};                   // began_at of that page
};

std::string to_json(const Meta& meta);
// Errors: kCorrupt; kInvalid: written by a newer format.
base::Result<Meta> parse_meta(std::string_view json);

}  // namespace headpond::pager
