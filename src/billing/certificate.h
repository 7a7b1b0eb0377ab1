// The offset certificate of a closed day: exactly which offsets were billed, what they hold, and the hash of the certificate before.
// Format: docs/formats/billing.md. Values; no I/O; threads: any.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "billing/bill.h"
#include "billing/calculation.h"
#include "billing/day_book.h"
#include "billing/rates.h"

namespace headpond::billing {

inline constexpr int kFormat = 1;  // of the tables, and of a certificate that names no engine
inline constexpr int kFormatWithEngine = 2;

struct CertificateLink {
  base::Micros day;
  std::string sha256;  // of the certificate's bytes
  auto operator<=>(const CertificateLink&) const = default;
};

// The engine outside this binary that computed a day: "dbt-duckdb", "dbt-core 1.11.16, dbt-duckdb 1.11.1, duckdb 1.5.5".
struct MadeBy {
  std::string name, versions;
  auto operator<=>(const MadeBy&) const = default;
};

struct Certificate {
  std::string topology, branch;
  std::string table_id;  // of bronze
  base::Micros day;
  bool broker_clock = false;  // who stamps `arrival`: "broker" or "ingest"
  std::map<base::SourcePartition, PartitionDay> partitions;
  std::int64_t peak_second = 0, peak_second_events = 0;
  std::vector<Rate> rates;
  std::map<std::string, Content> tables;       // by name
  std::optional<MadeBy> engine;                // none: Headpond itself
  int report_layout = 0;                       // kReportLayout of the Headpond that drew the report
  std::map<std::string, std::string> outputs;  // SHA-256 by path relative to the branch's folder
  // Summary for readers that want no table.
  std::string currency, total;
  std::int64_t lines = 0, tenants = 0;
  std::vector<std::pair<std::string, std::string>> top;  // tenant, amount
  std::optional<CertificateLink> previous;               // none: the first day of the table

  PartitionDay totals() const;  // first and last mean nothing
};

std::string to_json(const Certificate& certificate);  // the stored bytes
// `name` is for messages. Errors: kCorrupt; kInvalid: written by a newer format, with the version to install.
base::Result<Certificate> parse_certificate(std::string_view json, std::string_view name);

// The day's ranges: what the log says, and for partitions of `previous` without a row an empty range behind their last one.
// Errors: kCorrupt: a partition does not go on where the certificate before ends.
base::Result<std::map<base::SourcePartition, PartitionDay>> chained_ranges(const DayFacts& facts, const Certificate* previous);

}  // namespace headpond::billing
