// Closes one day: models → check against the log → tables → outputs → certificate. Shared by run_day, verify_day and the engine.
// Threads: one at a time per local_directory.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "billing/billing.h"
#include "billing/certificate.h"
#include "billing/day_book.h"
#include "bronze/tail.h"
#include "sql/engine.h"

namespace headpond::billing {

// Bronze's ledger and log folded by day.
struct LoadedBook {
  DayBook book;
  std::string table_id;
};
// Fills `book` from the ledger, remembering the days it remembered, and returns the tail that goes on behind it. Errors: kNotFound: no
// bronze table yet.
base::Result<bronze::Tail> open_book(const World& world, DayBook& book);
// Reads ledger and log from their beginning; days before `from` are not remembered. Errors: kNotFound: no bronze table yet.
base::Result<LoadedBook> load_book(const World& world, std::optional<base::Micros> from);

struct StoredCertificate {
  Certificate certificate;
  std::string sha256;
  std::string text;
};
std::string certificate_path(const World& world, const Settings& settings, base::Micros day);
// None: the day is not closed yet. Errors: kCorrupt, kInvalid (newer format), kRetry.
base::Result<std::optional<StoredCertificate>> read_certificate(const World& world, const Settings& settings, base::Micros day);
// Days with a certificate, rising.
base::Result<std::vector<base::Micros>> certified_days(const World& world, const Settings& settings);

// A day's live files of bronze: paths in the lake, and the columns of its table.
struct BronzeDay {
  base::Version version;
  std::vector<std::string> paths;
  std::vector<delta::Field> schema;
};
base::Result<BronzeDay> bronze_day(const World& world, base::Micros day);
// What they hold, as a relation for open_sql's engine.
base::Result<std::string> bronze_relation(const World& world, base::Micros day);
base::Result<std::unique_ptr<sql::Engine>> open_sql(const World& world);

// kInvalid with the partition that keeps `day` open, or that day's place outside the table; nothing if it is closed.
base::Result<void> require_closed(const DayBook& book, base::Micros day);

// Requires: the day is closed, or `provisional`; the day before has its certificate, unless `day` is the table's first.
base::Result<DayResult> close_day(const Settings& settings, const World& world, const LoadedBook& bronze, base::Micros day,
                                  bool provisional);

// "usage does not add up with the log at 12:15: …" or nothing.
std::optional<std::string> difference(const std::array<Amounts, kSlots>& usage, const std::array<Amounts, kSlots>& log);

}  // namespace headpond::billing
