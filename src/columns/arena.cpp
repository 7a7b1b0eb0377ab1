#include <algorithm>
#include <cstring>

#include "columns/batch.h"

namespace headpond::columns {

char* Arena::allocate(std::size_t n) {
  allocated_ += n;
  if (n > kBlock) {  // has memory of its own, so that the blocks behind go on being used
    large_.push_back(std::make_unique_for_overwrite<char[]>(n));
    return large_.back().get();
  }
  if (used_ + n > kBlock) {
    ++block_;
    used_ = 0;
  }
  if (block_ == blocks_.size()) blocks_.push_back(std::make_unique_for_overwrite<char[]>(kBlock));
  char* const place = blocks_[block_].get() + used_;
  used_ += n;
  return place;
}

std::string_view Arena::copy(std::string_view bytes) {
  char* const place = allocate(bytes.size());
  if (!bytes.empty()) std::memcpy(place, bytes.data(), bytes.size());
  return {place, bytes.size()};
}

void Arena::reset() {
  large_.clear();
  block_ = 0;
  used_ = 0;
  allocated_ = 0;
}

}  // namespace headpond::columns
