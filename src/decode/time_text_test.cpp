#include "decode/time_text.h"

#include <gtest/gtest.h>

#include "decode/convert.h"

namespace headpond::decode {
namespace {

TEST(TimeText, GivesWhatReadingTheWholeTextGives) {
  TimeText times;
  for (const auto* text : {"2026-11-25T10:20:30.123456Z",
                           "2026-11-25T10:20:31.654321Z",
                           "2026-11-25T10:20:31.6Z",
                           "2026-11-25T10:20:32Z",
                           "2026-11-25T10:20:60Z",
                           "2026-11-25T10:20:61Z",
                           "2026-11-25T10:20:5Z",
                           "2026-11-25T10:20:05.Z",
                           "2026-11-25T10:20:05.1234567Z",
                           "2026-11-25T10:20:05.12x4Z",
                           "2026-11-25T10:20:05.5+02:00",
                           "2026-11-25T10:20:0xZ",
                           "2026-11-25T10:20:x0Z",
                           "2026-11-25T10:20:05,5Z",
                           "2026-11-25T10:20:05Z1",
                           "2026-11-25T10:20:055Z",
                           "2026-11-25T10:21:00.000001Z",
                           "2026-11-25T10:20:59.999999Z",
                           "2026-13-25T10:20:59Z",
                           "2026-13-25T10:20:58Z",
                           "1764028800",
                           "1764028800.5",
                           "",
                           "2026-11-25T10:20:"})
    EXPECT_EQ(times.micros(text), micros_of_text(text)) << text;
}

}  // namespace
}  // namespace headpond::decode
