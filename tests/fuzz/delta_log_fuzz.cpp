// A log entry is read or refused; what is read is written so that it reads the same. The facts in it, their fold and the statistics of its
// files are read or refused too. So are a block of the ledger and the facts of a checkpoint.
#include <cstdlib>

#include "bronze/facts.h"
#include "bronze/ledger.h"
#include "bronze/log_checkpoint.h"
#include "bronze/tail.h"
#include "delta/checkpoint.h"
#include "delta/log.h"
#include "fuzz.h"

// Of these sources nothing here opens a table; the real ones would bring DuckDB along.
namespace headpond::delta {
base::Result<std::optional<Checkpoint>> last_checkpoint(const Table&) {
  std::abort();
}
base::Result<Snapshot> read_checkpoint(const Table&, base::Version, const std::function<base::Result<void>(AddFile)>&) {
  std::abort();
}
}  // namespace headpond::delta

namespace {

template <class Parse>
void reads_or_refuses(std::string_view text, Parse parse) {
  using headpond::bronze::to_json;
  const auto read = parse(text, "it");
  if (!read) return headpond::fuzz::require(!read.error().message.empty(), "a refusal says why");
  const auto written = to_json(*read);
  const auto again = parse(written, "it");
  headpond::fuzz::require(again.has_value() && to_json(*again) == written, "what was written reads the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace headpond;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  reads_or_refuses(text, bronze::parse_ledger_block);
  reads_or_refuses(text, bronze::parse_log_checkpoint);
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
