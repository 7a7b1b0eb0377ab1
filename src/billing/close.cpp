#include "billing/close.h"

#include <algorithm>
#include <filesystem>

#include "base/time.h"
#include "billing/bill.h"
#include "billing/calculation.h"
#include "billing/calculator.h"
#include "billing/report.h"
#include "billing/sha256.h"
#include "billing/tables.h"
#include "billing/turn.h"
#include "bronze/view.h"
#include "delta/log.h"
#include "env/scan_path.h"

namespace headpond::billing {
namespace {

using base::ErrorKind;

constexpr std::size_t kTopShown = 10;

// One run over one day; members in the order in which they come about.
class Closing {
 public:
  Closing(const Settings& settings, const World& world, const LoadedBook& bronze, base::Micros day, bool provisional)
      : settings_(settings), world_(world), bronze_(bronze), day_(day), provisional_(provisional), text_(base::format_day(day)) {
    if (const auto* facts = bronze.book.find(day)) facts_ = *facts;
  }

  base::Result<DayResult> run() {
    TRY(turn_, Turn::take(world_, settings_, calculator().word()));
    TRY_VOID(read_chain());
    TRY_VOID(compute());
    TRY_VOID(turn_->keep());
    if (!provisional_) TRY_VOID(store_tables());
    TRY_VOID(write_outputs());
    return result();
  }

 private:
  base::Result<void> read_chain();
  base::Result<void> compute();
  base::Result<void> choose_prices();
  base::Result<void> store_tables();
  base::Result<void> write_outputs();
  base::Result<void> write(const std::string& relative, const std::string& bytes);
  base::Result<void> keep(const std::string& relative);
  Calculator& calculator() const { return world_.calculator != nullptr ? *world_.calculator : embedded_calculator(); }
  int report_layout() const { return stored_ && !provisional_ ? stored_->certificate.report_layout : kReportLayout; }
  base::Result<void> write_certificate();
  base::Result<Certificate> certificate();
  DayResult result() const;
  std::string path(const std::string& relative) const { return branch_root(world_, settings_) + "/" + relative; }
  std::string output(const char* suffix) const { return "reports/" + text_ + (provisional_ ? ".provisional" : "") + suffix; }

  const Settings& settings_;
  const World& world_;
  const LoadedBook& bronze_;
  const base::Micros day_;
  const bool provisional_;
  const std::string text_;
  DayFacts facts_;
  std::optional<StoredCertificate> before_, stored_;
  std::map<base::SourcePartition, PartitionDay> ranges_;
  std::unique_ptr<Turn> turn_;
  std::unique_ptr<sql::Engine> sql_;
  std::optional<MadeBy> made_by_;
  Bill bill_;
  std::map<std::string, std::string> hashes_;
};

base::Result<void> Closing::read_chain() {
  const auto first = bronze_.book.first_day();
  if (first && day_ > *first) {
    TRY(before_, read_certificate(world_, settings_, day_ - base::kDay));
    if (!before_ && !provisional_) {
      return base::fail(ErrorKind::kInvalid, text_ + " cannot be closed before " + base::format_day(day_ - base::kDay) +
                                                 ", which has no certificate; run `headpond bill run --day " +
                                                 base::format_day(day_ - base::kDay) + "`");
    }
  }
  TRY(stored_, read_certificate(world_, settings_, day_));
  TRY(ranges_, chained_ranges(facts_, before_ ? &before_->certificate : nullptr));
  return {};
}

base::Result<void> Closing::choose_prices() {
  const auto* period = settings_.prices.in_force(day_);
  if (period == nullptr) {
    return base::fail(ErrorKind::kInvalid, settings_.prices.path + " has no prices for " + text_ +
                                               ": its first entry begins later; give that entry an earlier `from`, or none");
  }
  bill_.rates = rates_of(*period, settings_.prices.currency);
  if (stored_ && !provisional_ && stored_->certificate.rates != bill_.rates) {
    return base::fail(ErrorKind::kInvalid,
                      settings_.prices.path + " now has other prices for " + text_ +
                          ", which is closed and never changes; restore them, and give new prices an entry with a later `from`");
  }
  return {};
}

base::Result<void> Closing::compute() {
  TRY(sql_, open_sql(world_));
  TRY_VOID(choose_prices());
  const Calculation calculation{.sql = *sql_, .world = world_, .settings = settings_, .day = day_, .rates = bill_.rates, .turn = *turn_};
  TRY(made_by_, calculator().calculate(calculation));
  TRY(const auto usage, slots_of(*sql_, "usage_15m"));
  if (const auto differs = difference(usage, facts_.slots)) {
    return base::fail(ErrorKind::kCorrupt,
                      "the usage of " + text_ + (world_.calculator != nullptr ? " (" + calculator().word() + ")" : "") +
                          " does not add up with bronze's log: " + *differs + "; nothing was written, run `headpond audit --deep`");
  }
  TRY_VOID(calculator().check(calculation));
  auto rates = std::move(bill_.rates);
  TRY(bill_, read_bill(*sql_, facts_));
  bill_.rates = std::move(rates);
  bill_.day = day_;
  bill_.topology = settings_.topology;
  bill_.branch = settings_.branch;
  bill_.provisional = provisional_;
  bill_.currency = settings_.prices.currency;
  return {};
}

base::Result<void> Closing::store_tables() {
  TRY_VOID(store_day(*sql_, world_, settings_, "usage_15m", day_));
  TRY_VOID(store_day(*sql_, world_, settings_, "usage_peak", day_));
  world_.failpoints.reach("billing.mid");
  TRY_VOID(turn_->keep());
  if (auto lines = store_day(*sql_, world_, settings_, "invoice_lines", day_); !lines) {
    auto error = std::move(lines).error();
    if (error.kind == ErrorKind::kCorrupt && !stored_) error.message += "; if prices of that day were changed since, restore them";
    return std::unexpected(std::move(error));
  }
  return {};
}

// An output of a closed day is compared, any other one replaced.
base::Result<void> Closing::write(const std::string& relative, const std::string& bytes) {
  hashes_[relative] = sha256_hex(bytes);
  const auto there = world_.lake.get(path(relative));
  if (there && *there == bytes) return {};
  if (!there && there.error().kind != ErrorKind::kNotFound) return std::unexpected(there.error());
  if (stored_ && !provisional_) {
    return base::fail(ErrorKind::kCorrupt, path(relative) + (there ? " differs from what comes out now" : " is missing") + ", though " +
                                               text_ + " is closed; run `headpond bill verify --day " + text_ + "`");
  }
  return world_.lake.put(path(relative), bytes);
}

// An output that another Headpond drew: what its certificate says of it must still hold.
base::Result<void> Closing::keep(const std::string& relative) {
  const auto& hash = hashes_[relative] = stored_->certificate.outputs[relative];
  const auto there = world_.lake.get(path(relative));
  if (there && sha256_hex(*there) == hash) return {};
  if (!there && there.error().kind != ErrorKind::kNotFound) return std::unexpected(there.error());
  return base::fail(ErrorKind::kCorrupt, path(relative) + (there ? " was altered" : " is missing") + ", though " + text_ +
                                             " is closed; run `headpond bill verify --day " + text_ + "`");
}

base::Result<void> Closing::write_outputs() {
  TRY_VOID(write(output(".csv"), to_csv(bill_)));
  const ReportInputs inputs{.bill = bill_,
                            .partitions = ranges_,
                            .broker_clock = bronze_.book.broker_clock(ranges_),
                            .previous = before_ ? &before_->certificate : nullptr,
                            .previous_sha256 = before_ ? before_->sha256 : "",
                            .holdouts = provisional_ ? bronze_.book.holdouts(day_) : std::vector<Holdout>{}};
  TRY_VOID(report_layout() == kReportLayout ? write(output(".html"), to_html(inputs)) : keep(output(".html")));
  return provisional_ ? base::Result<void>() : write_certificate();
}

base::Result<Certificate> Closing::certificate() {
  Certificate c;
  c.topology = settings_.topology;
  c.branch = settings_.branch;
  c.table_id = bronze_.table_id;
  c.day = day_;
  c.broker_clock = bronze_.book.broker_clock(ranges_);
  c.partitions = ranges_;
  c.peak_second = bill_.peak_second;
  c.peak_second_events = bill_.peak_second_events;
  c.rates = bill_.rates;
  for (const auto table : kTables) {
    TRY(c.tables[std::string(table)], content_of(*sql_, table, std::string(table)));
  }
  c.engine = stored_ ? stored_->certificate.engine : made_by_;  // of a closed day: who computed it first
  c.report_layout = report_layout();
  c.outputs = hashes_;
  c.currency = bill_.currency;
  c.total = bill_.total;
  c.lines = static_cast<std::int64_t>(bill_.lines.size());
  c.tenants = static_cast<std::int64_t>(bill_.tenants.size());
  for (std::size_t i = 0; i < std::min(kTopShown, bill_.tenants.size()); ++i)
    c.top.emplace_back(bill_.tenants[i].tenant, bill_.tenants[i].amount);
  if (before_) c.previous = CertificateLink{before_->certificate.day, before_->sha256};
  return c;
}

base::Result<void> Closing::write_certificate() {
  TRY(const auto c, certificate());
  const auto text = to_json(c);
  const auto name = certificate_path(world_, settings_, day_);
  auto there = stored_ ? stored_->text : std::string();
  if (!stored_) {
    const auto put = world_.lake.put_if_absent(name, text);
    if (put) return {};
    if (put.error().kind != ErrorKind::kConflict && put.error().kind != ErrorKind::kUnknown) return std::unexpected(put.error());
    TRY(there, world_.lake.get(name));
  }
  if (there == text) return {};
  return base::fail(ErrorKind::kCorrupt, name + " differs from what comes out now, though " + text_ +
                                             " is closed; run `headpond bill verify --day " + text_ + "`");
}

DayResult Closing::result() const {
  DayResult out;
  out.day = day_;
  out.provisional = provisional_;
  out.stored_before = stored_.has_value() && !provisional_;
  out.events = bill_.used.events;
  out.bytes = bill_.used.bytes;
  out.errors = bill_.used.errors;
  out.lines = static_cast<std::int64_t>(bill_.lines.size());
  out.tenants = static_cast<std::int64_t>(bill_.tenants.size());
  out.currency = bill_.currency;
  out.total = bill_.total;
  for (std::size_t i = 0; i < std::min(kTopShown, bill_.tenants.size()); ++i)
    out.top.push_back({bill_.tenants[i].tenant, bill_.tenants[i].amount});
  out.report = path(output(".html"));
  out.csv = path(output(".csv"));
  if (!provisional_) out.certificate = certificate_path(world_, settings_, day_);
  return out;
}

std::string amounts_text(const Amounts& a) {
  return std::to_string(a.events) + " events, " + std::to_string(a.bytes) + " bytes, " + std::to_string(a.errors) + " undecodable";
}

}  // namespace

base::Result<bronze::Tail> open_book(const World& world, DayBook& book) {
  DayBook fresh;
  fresh.forget_before(book.kept_from());
  const delta::Table log(world.lake, world.paths.bronze);
  TRY(const auto to, bronze::read_ledger(log, [&](const bronze::LedgerBlock& block) { return fresh.apply(block); }));
  TRY(auto tail, bronze::Tail::open(world.lake, world.paths.bronze, to));
  book = std::move(fresh);
  return tail;
}

base::Result<LoadedBook> load_book(const World& world, std::optional<base::Micros> from) {
  LoadedBook loaded;
  if (from) loaded.book.forget_before(*from);
  TRY(auto tail, open_book(world, loaded.book));
  const delta::Table log(world.lake, world.paths.bronze);
  for (bool at_end = false; !at_end;) {
    TRY(auto step, tail.next());
    if (!step) {
      TRY(const auto newest, log.latest(tail.version()));
      at_end = newest <= tail.version();
      if (!at_end) {
        TRY(step, tail.next());
      }
      if (!at_end && !step) {
        return base::fail(ErrorKind::kCorrupt, world.paths.bronze + " lacks version " + std::to_string(tail.version().next().value()) +
                                                   " though version " + std::to_string(newest.value()) + " exists; run `headpond audit`");
      }
    }
    if (step) TRY_VOID(loaded.book.apply(*step));
  }
  loaded.table_id = tail.metadata().id;
  return loaded;
}

std::string certificate_path(const World& world, const Settings& settings, base::Micros day) {
  return branch_root(world, settings) + "/certificates/" + base::format_day(day) + ".json";
}

base::Result<std::optional<StoredCertificate>> read_certificate(const World& world, const Settings& settings, base::Micros day) {
  const auto name = certificate_path(world, settings, day);
  auto text = world.lake.get(name);
  if (!text && text.error().kind == ErrorKind::kNotFound) return std::nullopt;
  if (!text) return std::unexpected(std::move(text).error());
  TRY(auto certificate, parse_certificate(*text, name));
  return StoredCertificate{std::move(certificate), sha256_hex(*text), std::move(*text)};
}

base::Result<std::vector<base::Micros>> certified_days(const World& world, const Settings& settings) {
  const auto prefix = branch_root(world, settings) + "/certificates/";
  TRY(const auto objects, world.lake.list(prefix));
  std::vector<base::Micros> days;
  for (const auto& object : objects) {
    const auto name = std::string_view(object.path).substr(prefix.size());
    if (!name.ends_with(".json")) continue;
    if (const auto day = base::parse_day(name.substr(0, name.size() - 5))) days.push_back(*day);
  }
  return days;
}

base::Result<BronzeDay> bronze_day(const World& world, base::Micros day) {
  TRY(const auto view, bronze::open_view(world.lake, world.paths.bronze));
  const delta::Table table(world.lake, world.paths.bronze);
  BronzeDay out{view.version, {}, view.schema};
  for (const auto& file : view.files)
    if (file.ingest_date == base::format_day(day)) out.paths.push_back(table.path(file.path));
  return out;
}

base::Result<std::string> bronze_relation(const World& world, base::Micros day) {
  TRY(auto bronze, bronze_day(world, day));
  for (auto& path : bronze.paths) path = env::scan_path(world.lake, path);
  return bronze::scan_expression(bronze.paths, bronze.schema);
}

base::Result<std::unique_ptr<sql::Engine>> open_sql(const World& world) {
  std::error_code failed;
  std::filesystem::create_directories(world.local_directory, failed);
  if (failed) return base::fail(ErrorKind::kRetry, "cannot create " + world.local_directory + ": " + failed.message());
  // A spill directory of its own: another run may spill at the same time.
  return sql::Engine::open({.threads = world.threads,
                            .memory_bytes = world.memory_bytes,
                            .spill_directory = world.local_directory + "/spill-" + hex16(world.random.next())},
                           &world.lake);
}

base::Result<void> require_closed(const DayBook& book, base::Micros day) {
  const auto text = base::format_day(day);
  const auto first = book.first_day();
  if (!first) return base::fail(ErrorKind::kInvalid, "bronze has no row yet, so there is no day to bill; is `headpond ingest` running?");
  if (day < *first)
    return base::fail(ErrorKind::kInvalid, text + " lies before " + base::format_day(*first) + ", the first day with a row in bronze");
  if (book.closed(day)) return {};
  const auto holdouts = book.holdouts(day);
  std::string message = text + " is not closed yet: ";
  message += holdouts.empty() ? "no partition is in force" : to_string(holdouts.front());
  if (holdouts.size() > 1) message += " and " + std::to_string(holdouts.size() - 1) + " more partitions";
  return base::fail(ErrorKind::kInvalid, message + (holdouts.size() > 1 ? " have" : " has") + " not passed " +
                                             base::format_rfc3339(day + base::kDay) + "; wait for ingest, or use --provisional");
}

base::Result<DayResult> close_day(const Settings& settings, const World& world, const LoadedBook& bronze, base::Micros day,
                                  bool provisional) {
  return Closing(settings, world, bronze, day, provisional).run();
}

std::optional<std::string> difference(const std::array<Amounts, kSlots>& usage, const std::array<Amounts, kSlots>& log) {
  for (std::size_t i = 0; i < kSlots; ++i) {
    if (usage[i] == log[i]) continue;
    const auto two = [](std::size_t n) { return (n < 10 ? "0" : "") + std::to_string(n); };
    return "at " + two(i / 4) + ":" + two(i % 4 * 15) + " usage has " + amounts_text(usage[i]) + ", the log " + amounts_text(log[i]);
  }
  return std::nullopt;
}

}  // namespace headpond::billing
