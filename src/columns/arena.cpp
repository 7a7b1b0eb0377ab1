#include <algorithm>
#include <cstring>

#include "columns/batch.h"

namespace headpond::columns {

namespace {
constexpr std::size_t kBlock = 64u << 10;
}  // namespace

char* Arena::allocate(std::size_t n) {
  while (block_ < blocks_.size() && used_ + n > blocks_[block_].size) {
    ++block_;
    used_ = 0;
  }
  if (block_ == blocks_.size()) {
    const auto size = std::max(n, kBlock);
    blocks_.push_back({std::make_unique_for_overwrite<char[]>(size), size});
  }
  char* const place = blocks_[block_].data.get() + used_;
  used_ += n;
  allocated_ += n;
  return place;
}

std::string_view Arena::copy(std::string_view bytes) {
  char* const place = allocate(bytes.size());
  if (!bytes.empty()) std::memcpy(place, bytes.data(), bytes.size());
  return {place, bytes.size()};
}

void Arena::reset() {
  std::erase_if(blocks_, [](const Block& block) { return block.size > kBlock; });
  block_ = 0;
  used_ = 0;
  allocated_ = 0;
}

}  // namespace headpond::columns
