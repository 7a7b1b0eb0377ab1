#include "ingest/share.h"

#include <charconv>
#include <cmath>

namespace headpond::ingest {
namespace {

constexpr int kPartitionsMax = 1'000'000;
constexpr double kGolden = 0.6180339887498949;

bool read_number(std::string_view text, int& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && out >= 0 && out <= kPartitionsMax;
}

std::unexpected<base::Error> not_a(const char* option, std::string_view text, const char* expected) {
  return base::fail(base::ErrorKind::kInvalid, std::string(option) + ": found '" + std::string(text) + "'; expected " + expected);
}

}  // namespace

base::Result<Share> parse_instance(std::string_view text) {
  const auto slash = text.find('/');
  Share share;
  if (slash == std::string_view::npos || !read_number(text.substr(0, slash), share.index) ||
      !read_number(text.substr(slash + 1), share.count) || share.index >= share.count)
    return not_a("--instance", text, "i/K with i from 0 to K-1, such as 0/2 and 1/2 for two instances");
  return share;
}

base::Result<Share> parse_partitions(std::string_view text) {
  Share share;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(',', begin), text.size());
    const auto item = text.substr(begin, end - begin);
    const auto dash = item.find('-');
    int first = 0, last = 0;
    const bool good = dash == std::string_view::npos ? read_number(item, first) && read_number(item, last)
                                                     : read_number(item.substr(0, dash), first) && read_number(item.substr(dash + 1), last);
    if (!good || last < first) return not_a("--partitions", text, "partitions and ranges of them, such as 0-3,7");
    for (int id = first; id <= last; ++id) share.listed.insert(base::PartitionId(id));
    begin = end + 1;
  }
  return share;
}

double phase_of(const Share& share) {
  if (share.listed.empty()) return static_cast<double>(share.index) / share.count;
  return phase_of(*share.listed.begin());
}

double phase_of(base::PartitionId lowest) {
  return std::fmod(lowest.value() * kGolden, 1.0);
}

base::Duration until_phase(double phase, base::Micros now, base::Duration interval) {
  const auto length = interval.value();
  const auto wanted = static_cast<std::int64_t>(phase * static_cast<double>(length));
  auto left = (wanted - now.value()) % length;
  if (left < 0) left += length;
  return base::Duration(left <= length / 4 ? left + length : left);
}

}  // namespace headpond::ingest
