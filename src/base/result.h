// Result<T>: a value or an Error whose kind names the remedy. Nothing in Headpond throws across a folder.
//
//   base::Result<int> parse(std::string_view);
//   TRY(int n, parse(text));            // returns the error to the caller
//   TRY_VOID(writer.flush());           // the same for Result<void>
//
// Threads: values; no shared state.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace headpond::base {

enum class ErrorKind {
  kRetry,     // transient: the same call may succeed later
  kFull,      // commit or drain first
  kInvalid,   // the user's input; message carries file:line:column where there is one
  kNotFound,  // the named thing does not exist
  kConflict,  // someone else won: re-read, then decide
  kFenced,    // another owner has taken over: stop
  kUnknown,   // the outcome is not known: re-read before retrying
  kCorrupt,   // stop and tell a person
};

// "retry", "full", … for messages and metrics.
std::string_view to_string(ErrorKind kind);

struct Error {
  ErrorKind kind;
  // One line for a person: what happened, to what, and what to do about it.
  std::string message;

  // The same error with "what: " in front, as it passes up through a layer that knows more.
  Error within(std::string_view what) &&;
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(ErrorKind kind, std::string message) {
  return std::unexpected(Error{kind, std::move(message)});
}

// Ends the process with the place and reason: for our own bugs, also in release builds.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace headpond::base

#define HP_ASSERT(expression)                                              \
  do {                                                                     \
    if (!(expression)) [[unlikely]]                                        \
      ::headpond::base::assertion_failed(#expression, __FILE__, __LINE__); \
  } while (false)

#define HP_CONCAT_INNER(a, b) a##b
#define HP_CONCAT(a, b) HP_CONCAT_INNER(a, b)
#define TRY_IMPL(result, declaration, ...)             \
  auto result = (__VA_ARGS__);                         \
  if (!result) [[unlikely]]                            \
    return std::unexpected(std::move(result).error()); \
  declaration = std::move(*result)
#define TRY(declaration, ...) TRY_IMPL(HP_CONCAT(try_result_, __LINE__), declaration, __VA_ARGS__)
#define TRY_VOID(...)                                                        \
  do {                                                                       \
    if (auto try_void_result = (__VA_ARGS__); !try_void_result) [[unlikely]] \
      return std::unexpected(std::move(try_void_result).error());            \
  } while (false)
