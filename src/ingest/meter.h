// Rows and bytes a second over the last few seconds, from running totals. Threads: one at a time.
#pragma once

#include <cstdint>
#include <deque>

#include "base/ids.h"

namespace headpond::ingest {

class Meter {
 public:
  void start(base::Duration now) { notes_ = {{now, 0, 0}}; }
  void note(base::Duration now, std::int64_t rows, std::int64_t bytes) {
    notes_.push_back({now, rows, bytes});
    while (notes_.size() > 2 && now - notes_[1].at >= kWindow) notes_.pop_front();
  }
  double rows_per_s() const { return rate(notes_.back().rows - notes_.front().rows); }
  double bytes_per_s() const { return rate(notes_.back().bytes - notes_.front().bytes); }

 private:
  static constexpr auto kWindow = base::Duration::seconds(5);
  struct Note {
    base::Duration at;
    std::int64_t rows, bytes;
  };
  double rate(std::int64_t amount) const {
    const double seconds = (notes_.back().at - notes_.front().at).to_seconds();
    return seconds > 0 ? static_cast<double>(amount) / seconds : 0;
  }
  std::deque<Note> notes_ = {{}};
};

}  // namespace headpond::ingest
