// Transitions as JSON, and the stable strings made of their identity. Threads: any.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "rules/transition.h"

namespace headpond::notify {

std::string to_json(const rules::Transition& transition);
// Errors: kCorrupt.
base::Result<rules::Transition> parse_transition(std::string_view json, std::string_view name);

using rules::to_string;

// What a receiver uses to see a second delivery: the same for every delivery of one transition, different for any other.
// "g<generation>-<32 hex digits of SHA-256 over rule, NUL, key>-<seq>".
std::string idempotency_key(const rules::TransitionId& id);
// One episode of one alert: the same for its firing and its resolved. Same form, with "e<episode>".
std::string dedup_key(const rules::TransitionId& id);

// Lower-case hex of SHA-256 and of HMAC-SHA256.
std::string sha256_hex(std::string_view bytes);
std::string hmac_sha256_hex(std::string_view key, std::string_view bytes);

}  // namespace headpond::notify
