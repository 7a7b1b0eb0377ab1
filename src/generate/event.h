// Writes one generated event as JSON, by hand: no allocation, no locale. Threads: one at a time per Writer.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "generate/generate.h"
#include "generate/random.h"
#include "generate/templates.h"

namespace headpond::generate {

inline constexpr std::size_t kEventBytesMax = 1024;

struct Event {
  base::Micros ts;
  Level level = Level::kInfo;
  std::uint32_t service = 0, tenant = 0, host = 0;
  bool heartbeat = false;
  int status = 200;
};

// The variable parts of one event, for writers of other encodings. Views stay until the next one is made.
struct EventParts {
  std::string_view tenant, message;
  std::uint64_t duration_us = 0, id = 0, trace_low = 0, span = 0;
};

class EventWriter {
 public:
  explicit EventWriter(const Options& options);

  // Writes `event` to `out` (kEventBytesMax writable bytes) and returns its length. Variable parts come from `random`.
  std::size_t write(const Event& event, SeededRandom& random, char* out);
  EventParts parts(const Event& event, SeededRandom& random);

 private:
  struct Piece {
    std::string text;   // literal before the variable part
    char variable = 0;  // 0 = none
  };
  char* put_time(base::Micros t, char* out);
  char* put_message(const std::vector<Piece>& pieces, const Event& event, SeededRandom& random, char* out) const;

  std::vector<std::string> services_, tenants_, hosts_;  // each as a JSON member, leading comma included
  std::vector<std::string> tenant_names_;
  std::vector<std::vector<Piece>> messages_[4];  // by Level
  std::int64_t second_ = -1;
  char message_[kEventBytesMax];
  char second_text_[20] = {};  // "2026-11-25T10:15:00"
};

}  // namespace headpond::generate
