// Which values of an OTLP log record the columns of a table are made of.
//
// A source in `from` is either the key of an attribute ("service.name"), looked for in the log record, then its scope, then its resource;
// or a place: "/time_unix_nano" "/observed_time_unix_nano" "/severity_number" "/severity_text" "/body" "/trace_id" "/span_id" "/flags"
// "/event_name" "/scope/name" "/scope/version"; "/attributes/KEY" "/scope/attributes/KEY" "/resource/attributes/KEY" for an attribute of
// just that. KEY is taken as it stands, slashes included.
//
// Threads: any, once prepared.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "decode/decoder.h"
#include "decode/key_trie.h"

namespace headpond::decode {

enum class OtlpField {
  kTime,
  kObservedTime,
  kSeverityNumber,
  kSeverityText,
  kBody,
  kTraceId,
  kSpanId,
  kFlags,
  kEventName,
  kScopeName,
  kScopeVersion
};
inline constexpr std::size_t kOtlpFields = 11;
enum class OtlpOwner { kRecord, kScope, kResource };

class OtlpColumns {
 public:
  // `slot`: what the wants of `field` say. Errors: kInvalid: no such place.
  base::Result<void> add(const Field& field, std::uint16_t slot);

  const std::vector<Want>& of(OtlpField field) const { return fields_[static_cast<std::size_t>(field)]; }
  // Null: nobody wants it.
  const KeyTrie::Node* attribute(OtlpOwner owner, std::string_view key) const {
    return attributes_[static_cast<std::size_t>(owner)].find(key);
  }

 private:
  base::Result<void> add_source(std::string_view source, Want want);

  std::array<std::vector<Want>, kOtlpFields> fields_;
  std::array<KeyTrie::Node, 3> attributes_;
};

}  // namespace headpond::decode
