#include "base/result.h"

#include <cstdio>
#include <cstdlib>

namespace headpond::base {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kRetry: return "retry";
    case ErrorKind::kFull: return "full";
    case ErrorKind::kInvalid: return "invalid";
    case ErrorKind::kNotFound: return "not_found";
    case ErrorKind::kConflict: return "conflict";
    case ErrorKind::kFenced: return "fenced";
    case ErrorKind::kUnknown: return "unknown";
    case ErrorKind::kCorrupt: return "corrupt";
  }
  return "?";
}

Error Error::within(std::string_view what) && {
  message.insert(0, std::string(what) + ": ");
  return std::move(*this);
}

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "headpond: internal error: %s is false at %s:%d; please report this\n", expression, file, line);
  std::abort();
}

}  // namespace headpond::base
