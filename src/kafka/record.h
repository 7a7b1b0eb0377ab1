// A Kafka record as the client holds it, and what else a partition may tell. Everything is a view, valid during the call that hands it
// over.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace headpond::kafka {

struct Record {
  std::string_view payload;  // data() == nullptr: a tombstone
  std::string_view key;      // data() == nullptr: none
  std::string_view headers;  // JSON, see headers_json(); data() == nullptr: none
  std::int64_t offset = 0;
  std::int64_t timestamp_us = -1;  // -1: none
  std::int32_t partition = 0;
  std::int32_t leader_epoch = -1;  // -1: the broker does not tell
  bool log_append_time = false;    // timestamp_us was given by the broker
};

enum class EventKind {
  kEnd,          // everything before `offset` has been handed over; `offset` is where the next fetch goes on
  kOutOfRange,   // `offset` is not in the log (retention, or a log that was cut)
  kTruncated,    // the broker's log ends below what was read: records were lost or the topic is another one
  kInterrupted,  // the fetch session broke (leader moved, connection lost); the client goes on by itself
  kRefused,      // not authorized, unknown topic or partition, a batch that cannot be unpacked: a person must act
};

struct PartitionEvent {
  EventKind kind = EventKind::kInterrupted;
  base::PartitionId partition;  // -1: all
  base::Offset offset{-1};      // kEnd, kOutOfRange; else -1
  std::string message;          // for a person
};

// Plain function pointers: one predictable call a record.
struct Handler {
  void* context = nullptr;
  // Takes the record. false: it was taken, but hand over no more in this poll.
  bool (*on_record)(void* context, const Record& record) = nullptr;
  void (*on_event)(void* context, const PartitionEvent& event) = nullptr;
};

}  // namespace headpond::kafka
