// A log entry is read or refused; what is read is written so that it reads the same. The facts in it, their fold and the statistics of its
// files are read or refused too.
#include "bronze/facts.h"
#include "bronze/tail.h"
#include "delta/log.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace headpond;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto commit = delta::parse(text, "entry");
  if (!commit) {
    fuzz::require(!commit.error().message.empty(), "a refusal says why");
    return 0;
  }
  const auto written = delta::serialize(*commit);
  const auto again = delta::parse(written, "entry");
  fuzz::require(again.has_value(), "what was written reads");
  fuzz::require(delta::serialize(*again) == written, "what was written reads the same");
  for (const auto& add : commit->adds) static_cast<void>(bronze::data_file(add));
  if (commit->headpond.empty()) return 0;
  const auto facts = bronze::parse_facts(commit->headpond, "entry");
  if (!facts) return 0;
  const auto json = bronze::to_json(*facts);
  const auto facts_again = bronze::parse_facts(json, "entry");
  fuzz::require(facts_again.has_value() && bronze::to_json(*facts_again) == json, "facts that were written read the same");
  bronze::TableClock clock;
  static_cast<void>(clock.apply(*facts));
  return 0;
}
