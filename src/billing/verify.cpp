#include <algorithm>
#include <set>

#include "base/time.h"
#include "billing/billing.h"
#include "billing/calculation.h"
#include "billing/certificate.h"
#include "billing/close.h"
#include "billing/sha256.h"
#include "billing/tables.h"
#include "bronze/audit.h"

namespace headpond::billing {
namespace {

using Ranges = std::map<base::SourcePartition, PartitionDay>;

std::string place(const base::SourcePartition& name) {
  return name.source + " partition " + std::to_string(name.partition.value());
}

std::string range_text(const PartitionDay& part) {
  return part.last < part.first ? "none" : std::to_string(part.first.value()) + "-" + std::to_string(part.last.value());
}

// Gathers what is wrong with one closed day; each check stands alone, so that one finding hides no other.
class Verification {
 public:
  Verification(const Settings& settings, const World& world, base::Micros day, bool deep)
      : settings_(settings), world_(world), day_(day), deep_(deep), text_(base::format_day(day)) {}

  base::Result<VerifyReport> run();

 private:
  void find(std::string what, std::string where) { report_.findings.push_back({std::move(what), std::move(where)}); }
  // A check that could not be made because of damage is a finding; trouble with the store is not.
  base::Result<void> checked(base::Result<void> check, const std::string& what) {
    if (check || check.error().kind == base::ErrorKind::kRetry) return check;
    find(what, check.error().message);
    return {};
  }

  base::Result<bool> read();
  base::Result<void> check_log();
  void compare_ranges(const Ranges& log);
  base::Result<void> check_chain();
  base::Result<void> check_outputs();
  base::Result<void> check_tables();
  base::Result<void> check_usage(const std::string& usage);
  base::Result<void> check_lines(const std::string& usage, const std::string& lines);
  base::Result<void> check_rows();
  base::Result<void> check_fingerprints(const std::string& bronze);
  base::Result<void> check_recomputed(const std::string& bronze);

  const Settings& settings_;
  const World& world_;
  const base::Micros day_;
  const bool deep_;
  const std::string text_;
  Certificate certificate_;
  std::string sha256_;
  std::optional<DayFacts> facts_;
  std::map<std::string, std::string> relations_;  // stored tables that could be read
  std::unique_ptr<sql::Engine> sql_;
  VerifyReport report_;
};

base::Result<bool> Verification::read() {
  auto stored = read_certificate(world_, settings_, day_);
  if (!stored && stored.error().kind == base::ErrorKind::kCorrupt) {
    find("certificate unreadable", stored.error().message);
    return false;
  }
  if (!stored) return std::unexpected(std::move(stored).error());
  if (!*stored) {
    // With later days, or rows of its own in the tables, it was closed and lost its certificate.
    TRY(const auto days, certified_days(world_, settings_));
    const auto usage = stored_day(world_, settings_, "usage_15m", day_);
    if ((days.empty() || days.back() < day_) && !(usage && !usage->files.empty())) {
      return base::fail(base::ErrorKind::kNotFound, text_ + " has no bill yet; run `headpond bill run --day " + text_ + "`");
    }
    find("certificate missing", certificate_path(world_, settings_, day_));
    return false;
  }
  certificate_ = (*stored)->certificate;
  sha256_ = (*stored)->sha256;
  if (to_json(certificate_) != (*stored)->text)
    find("certificate altered", certificate_path(world_, settings_, day_) + " is not as Headpond writes it");
  if (certificate_.day != day_) find("certificate of another day", base::format_day(certificate_.day));
  return true;
}

base::Result<VerifyReport> Verification::run() {
  report_.day = day_;
  report_.deep = deep_;
  TRY(const bool readable, read());
  if (!readable) return report_;
  report_.partitions = static_cast<std::int64_t>(certificate_.partitions.size());
  report_.events = certificate_.totals().amounts.events;
  report_.bytes = certificate_.totals().amounts.bytes;
  report_.currency = certificate_.currency;
  report_.total = certificate_.total;
  TRY(sql_, open_sql(world_));
  TRY_VOID(checked(check_log(), "log unreadable"));
  TRY_VOID(checked(check_chain(), "chain unreadable"));
  TRY_VOID(check_outputs());
  TRY_VOID(checked(check_tables(), "tables unreadable"));
  TRY_VOID(checked(check_rows(), "rows unreadable"));
  return report_;
}

base::Result<void> Verification::check_log() {
  TRY(const auto loaded, load_book(world_, day_));
  if (loaded.table_id != certificate_.table_id)
    find("certificate of another table", "certificate " + certificate_.table_id + ", bronze " + loaded.table_id);
  if (!loaded.book.closed(day_))
    find("day not closed in the log", loaded.book.holdouts(day_).empty() ? "" : to_string(loaded.book.holdouts(day_).front()));
  const auto* facts = loaded.book.find(day_);
  facts_ = facts != nullptr ? *facts : DayFacts{};
  compare_ranges(facts_->partitions);
  const auto peak = facts_->peak_second().second;
  if (peak != certificate_.peak_second_events) {
    find("peak differs from the log",
         "certificate " + std::to_string(certificate_.peak_second_events) + " events a second, log " + std::to_string(peak));
  }
  if (loaded.book.broker_clock(certificate_.partitions) != certificate_.broker_clock)
    find("clock differs from the log", "who stamps arrival");
  return {};
}

void Verification::compare_ranges(const Ranges& log) {
  const auto differs = [&](const base::SourcePartition& name, const std::string& what, const std::string& certificate,
                           const std::string& in_log) {
    if (certificate != in_log) find(what + " from the log", place(name) + ": certificate " + certificate + ", log " + in_log);
  };
  for (const auto& [name, part] : certificate_.partitions) {
    const auto it = log.find(name);
    const auto& other = it == log.end() ? PartitionDay{.first = part.last.next(), .last = part.last} : it->second;
    if (it != log.end() || part.amounts.events > 0 || part.first <= part.last)
      differs(name, "range differs", range_text(part), range_text(other));
    differs(name, "events differ", std::to_string(part.amounts.events), std::to_string(other.amounts.events));
    differs(name, "bytes differ", std::to_string(part.amounts.bytes), std::to_string(other.amounts.bytes));
    differs(name, "undecodable records differ", std::to_string(part.amounts.errors), std::to_string(other.amounts.errors));
    differs(name, "gaps differ", std::to_string(part.gaps), std::to_string(other.gaps));
    differs(name, "fingerprint differs", hex16(part.fingerprint), hex16(other.fingerprint));
    differs(name, "payload fingerprint differs", hex16(part.payload_fingerprint), hex16(other.payload_fingerprint));
  }
  for (const auto& [name, part] : log) {
    if (!certificate_.partitions.contains(name))
      find("partition missing from the certificate", place(name) + ", offsets " + range_text(part));
  }
}

base::Result<void> Verification::check_chain() {
  if (certificate_.previous) {
    const auto day = certificate_.previous->day;
    TRY(const auto before, read_certificate(world_, settings_, day));
    if (!before) {
      find("chain broken", "the certificate of " + base::format_day(day) + " is missing");
    } else if (before->sha256 != certificate_.previous->sha256) {
      find("chain broken", "the certificate of " + base::format_day(day) + " is not the one this day was chained to");
    } else if (const auto ranges = chained_ranges(DayFacts{.partitions = certificate_.partitions, .slots = {}, .seconds = {}, .peaks = {}},
                                                  &before->certificate);
               !ranges) {
      find("chain broken", ranges.error().message);
    }
  }
  TRY(const auto after, read_certificate(world_, settings_, day_ + base::kDay));
  if (after && (!after->certificate.previous || after->certificate.previous->sha256 != sha256_)) {
    find("chain broken", "the certificate of " + base::format_day(day_ + base::kDay) + " is chained to another certificate of " + text_);
  }
  return {};
}

base::Result<void> Verification::check_outputs() {
  for (const auto& [path, hash] : certificate_.outputs) {
    const auto name = branch_root(world_, settings_) + "/" + path;
    const auto bytes = world_.lake.get(name);
    if (!bytes && bytes.error().kind != base::ErrorKind::kNotFound) return std::unexpected(bytes.error());
    if (!bytes) {
      find("output missing", name);
    } else if (sha256_hex(*bytes) != hash) {
      find("output altered", name);
    }
  }
  return {};
}

base::Result<void> Verification::check_tables() {
  for (const auto table : kTables) {
    const std::string name(table);
    auto stored = stored_day(world_, settings_, table, day_);
    if (!stored && stored.error().kind == base::ErrorKind::kRetry) return std::unexpected(std::move(stored).error());
    if (!stored) {
      find("table unreadable", stored.error().message);
      continue;
    }
    if (!stored->committed) find("day missing from a table", name + " has no commit of " + text_);
    const auto content = content_of(*sql_, table, stored->relation);
    if (!content) {
      find("table file unreadable", name + ": " + content.error().message);
      continue;
    }
    relations_[name] = stored->relation;
    const auto expected = certificate_.tables.find(name);
    if (expected == certificate_.tables.end()) {
      find("certificate altered", "it says nothing of " + name);
    } else if (*content != expected->second) {
      find("table altered", name + " has " + std::to_string(content->rows) + " rows, fingerprint " + content->fingerprint +
                                "; certificate " + std::to_string(expected->second.rows) + " rows, fingerprint " +
                                expected->second.fingerprint);
    }
  }
  if (relations_.contains("usage_15m")) {
    TRY_VOID(check_usage(relations_["usage_15m"]));
    if (relations_.contains("invoice_lines")) TRY_VOID(check_lines(relations_["usage_15m"], relations_["invoice_lines"]));
  }
  return {};
}

base::Result<void> Verification::check_usage(const std::string& usage) {
  if (!facts_) return {};
  TRY(const auto slots, slots_of(*sql_, usage));
  if (const auto differs = difference(slots, facts_->slots)) find("usage does not add up with the log", *differs);
  return {};
}

// Rates the stored usage again with the certificate's own prices.
base::Result<void> Verification::check_lines(const std::string& usage, const std::string& lines) {
  TRY_VOID(sql_->query("CREATE OR REPLACE TEMP TABLE usage_15m AS SELECT DATE " + sql::quote_literal(text_) + " AS day, * FROM " + usage));
  TRY_VOID(compute_lines(*sql_, text_, certificate_.rates));
  const std::string columns(columns_of("invoice_lines")), rated = "(SELECT " + columns + " FROM invoice_lines)";
  TRY(const auto differing,
      sql_->query("SELECT CAST(t AS VARCHAR) FROM ((SELECT * FROM " + rated + " EXCEPT ALL SELECT * FROM " + lines +
                  ") UNION ALL (SELECT * FROM " + lines + " EXCEPT ALL SELECT * FROM " + rated + ")) t ORDER BY 1 LIMIT 3"));
  for (const auto& row : differing.rows) find("line differs from usage and prices", row[0].to_text());
  TRY(const auto total, sql_->query("SELECT CAST(coalesce(sum(amount), 0) AS DECIMAL(28,2)) FROM " + lines));
  if (total.rows[0][0].as_text() != certificate_.total) {
    find("total differs", "certificate " + certificate_.total + ", lines " + total.rows[0][0].as_text());
  }
  return {};
}

base::Result<void> Verification::check_rows() {
  TRY(const auto bronze, bronze_relation(world_, day_));
  TRY(const auto result,
      sql_->query("SELECT source, kafka_partition, min(kafka_offset), max(kafka_offset), count(*), sum(bytes)::BIGINT, count(error) FROM " +
                  bronze + " GROUP BY source, kafka_partition"));
  Ranges rows;
  for (const auto& row : result.rows) {
    auto& part = rows[{row[0].as_text(), base::PartitionId(static_cast<std::int32_t>(row[1].as_int()))}];
    part.first = base::Offset(row[2].as_int());
    part.last = base::Offset(row[3].as_int());
    part.amounts = {row[4].as_int(), row[5].as_int(), row[6].as_int()};
  }
  for (const auto& [name, part] : certificate_.partitions) {
    const auto& found = rows[name];
    if (found.amounts != part.amounts) {
      find("rows differ", place(name) + ": certificate " + std::to_string(part.amounts.events) + " events, " +
                              std::to_string(part.amounts.bytes) + " bytes; bronze has " + std::to_string(found.amounts.events) +
                              " events, " + std::to_string(found.amounts.bytes) + " bytes");
    } else if (found.amounts.events > 0 && (found.first < part.first || found.last > part.last)) {
      find("rows beyond the range", place(name) + ": certificate " + range_text(part) + ", bronze has " + range_text(found));
    }
  }
  for (const auto& [name, part] : rows) {
    if (!certificate_.partitions.contains(name)) find("rows of an unknown partition", place(name));
  }
  if (!deep_) return {};
  TRY_VOID(check_fingerprints(bronze));
  return check_recomputed(bronze);
}

base::Result<void> Verification::check_fingerprints(const std::string& bronze) {
  std::map<base::SourcePartition, std::uint64_t> sums;
  TRY_VOID(sql_->for_each(
      "SELECT source, kafka_partition, kafka_offset, record_index, tenant, bytes FROM " + bronze, [&](const std::vector<sql::Value>& row) {
        const auto partition = static_cast<std::int32_t>(row[1].as_int());
        const std::string_view tenant = row[4].is_null() ? std::string_view() : std::string_view(row[4].as_text());
        sums[{row[0].as_text(), base::PartitionId(partition)}] +=
            bronze::row_fingerprint(row[0].as_text(), partition, row[2].as_int(), static_cast<std::int32_t>(row[3].as_int()), tenant,
                                    static_cast<std::int32_t>(row[5].as_int()));
        return true;
      }));
  for (const auto& [name, part] : certificate_.partitions) {
    if (const auto found = sums[name]; found != part.fingerprint) {
      find("fingerprint differs from the rows", place(name) + ": certificate " + hex16(part.fingerprint) + ", rows " + hex16(found));
    }
  }
  return {};
}

base::Result<void> Verification::check_recomputed(const std::string& bronze) {
  TRY_VOID(compute_usage(*sql_, text_, bronze));
  for (const std::string table : {"usage_15m", "usage_peak"}) {
    const auto expected = certificate_.tables.find(table);
    TRY(const auto content, content_of(*sql_, table, table));
    if (expected != certificate_.tables.end() && content != expected->second) {
      find("usage differs from the rows",
           table + " comes out with fingerprint " + content.fingerprint + ", certificate " + expected->second.fingerprint);
    }
  }
  return {};
}

}  // namespace

base::Result<VerifyReport> verify_day(const Settings& settings, World world, base::Micros day, bool deep) {
  return Verification(settings, world, day, deep).run();
}

}  // namespace headpond::billing
