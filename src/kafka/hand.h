// Private to this folder: the few messages a consumer has taken from its queue and not handed over yet.
//
// They are taken one by one, and what was taken is never put back: so the queue always tells the client's fetcher how much it holds.
// (rd_kafka_consume_callback_queue() takes the whole queue at once. While its messages are handed over the queue looks empty and is filled
// again, and so on without end when the reader is the slower one.) Of large messages it takes few.
// Threads: one at a time.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "kafka/handles.h"

namespace headpond::kafka {

class Hand {
 public:
  static constexpr std::size_t kMessagesMax = 256;
  static constexpr std::size_t kBytesWanted = 256 << 10;  // held to by the mean size of those taken last

  Hand() = default;
  Hand(const Hand&) = delete;
  Hand& operator=(const Hand&) = delete;
  ~Hand() { clear(); }

  // Takes what lies in `queue`, waiting up to `timeout_ms` for the first. Requires empty(). False: nothing came.
  bool fill(rd_kafka_queue_t* queue, int timeout_ms) {
    next_ = count_ = 0;
    take(queue, 0, wanted_);
    if (count_ == 0 && timeout_ms > 0) take(queue, timeout_ms, 1);  // with a time-out more than one would be waited for until all are there
    if (count_ == 0) return false;
    std::size_t bytes = 1;
    for (std::size_t i = 0; i < count_; ++i) bytes += messages_[i]->len;
    wanted_ = std::clamp<std::size_t>(kBytesWanted * count_ / bytes, 1, kMessagesMax);
    return true;
  }
  bool empty() const { return next_ == count_; }
  // The next one, the caller's; null: it was dropped. Requires !empty().
  rd_kafka_message_t* next() { return messages_[next_++]; }

  void drop(std::int32_t partition) {
    for (auto i = next_; i < count_; ++i) {
      if (messages_[i] == nullptr || messages_[i]->rkt == nullptr || messages_[i]->partition != partition) continue;
      rd_kafka_message_destroy(std::exchange(messages_[i], nullptr));
    }
  }
  void clear() {
    while (!empty())
      if (auto* const message = next()) rd_kafka_message_destroy(message);
  }

 private:
  void take(rd_kafka_queue_t* queue, int timeout_ms, std::size_t most) {
    const auto taken = rd_kafka_consume_batch_queue(queue, timeout_ms, messages_.data(), most);
    if (taken > 0) count_ = static_cast<std::size_t>(taken);
  }

  std::array<rd_kafka_message_t*, kMessagesMax> messages_;
  std::size_t next_ = 0, count_ = 0, wanted_ = 1;
};

}  // namespace headpond::kafka
