// What makes a Delta table a bronze table, checked alike by reader, writer and audit. Private to bronze.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "bronze/facts.h"
#include "delta/log.h"

namespace headpond::bronze {

inline constexpr std::string_view kWriterFeature = "headpond";

// "file:///lake/bronze/logs", for messages.
std::string place_of(const delta::Table& table);

delta::Protocol bronze_protocol();
// Errors: kInvalid: not a bronze table, with what to do.
base::Result<void> check_protocol(const delta::Table& table, const delta::Protocol& protocol);
base::Result<void> check_first_commit(const delta::Table& table, const delta::Commit& commit);
// Errors: kCorrupt: another program wrote this commit. Those of parse_facts.
base::Result<CommitFacts> facts_of(const delta::Commit& commit, const std::string& name);

std::unexpected<base::Error> missing_version(const delta::Table& table, base::Version missing, base::Version newest);

// The table's schema with the columns of `wanted` that it lacks, before ingest_date.
// Errors: kInvalid: a column of the table has another type than wanted, with the mend.
base::Result<std::vector<delta::Field>> merged_schema(const delta::Table& table, const std::vector<delta::Field>& existing,
                                                      const std::vector<delta::Field>& wanted);

}  // namespace headpond::bronze
