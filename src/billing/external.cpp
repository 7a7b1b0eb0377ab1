#include "billing/external.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/time.h"
#include "billing/calculation.h"
#include "billing/close.h"
#include "billing/tables.h"
#include "lease/lease.h"
#include "lease/look.h"

namespace headpond::billing {
namespace {

using base::ErrorKind;
namespace fs = std::filesystem;

constexpr int kInputsFormat = 1;
constexpr auto kLease = base::Duration::seconds(15), kGrace = base::Duration::seconds(5);
constexpr std::size_t kLinesShown = 6;

// The right to run engines from this directory, as long as this object lives: its holder's name stands for one process at a time.
class DirectoryLock {
 public:
  explicit DirectoryLock(const std::string& directory)
      : file_(open((directory + "/engine.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    held_ = file_ >= 0 && flock(file_, LOCK_EX | LOCK_NB) == 0;
  }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;
  ~DirectoryLock() {
    if (file_ >= 0) close(file_);
  }
  bool held() const { return held_; }

 private:
  int file_;
  bool held_ = false;
};

// A folder of one run, gone with this object.
class Folder {
 public:
  explicit Folder(std::string path) : path_(std::move(path)) {}
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

base::Result<void> write(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.flush();
  if (!out) return base::fail(ErrorKind::kRetry, "cannot write " + path);
  return {};
}

base::Result<std::string> inputs_json(const Calculation& what) {
  TRY(const auto bronze, bronze_day(what.world, what.day));
  nlohmann::ordered_json out{{"format", kInputsFormat},           {"topology", what.settings.topology},
                             {"branch", what.settings.branch},    {"day", base::format_day(what.day)},
                             {"version", bronze.version.value()}, {"files", bronze.paths},
                             {"relation", bronze.relation},       {"rates", nlohmann::ordered_json::array()}};
  for (const auto& rate : what.rates) {
    nlohmann::ordered_json row{{"tenant", nullptr}, {"item", rate.item},   {"tier", rate.tier},        {"lower", rate.lower},
                               {"upper", nullptr},  {"price", rate.price}, {"currency", rate.currency}};
    if (rate.tenant) row["tenant"] = *rate.tenant;
    if (rate.upper) row["upper"] = *rate.upper;
    out["rates"].push_back(std::move(row));
  }
  return out.dump(2) + "\n";
}

// The end of what a program said, on one line.
std::string last_words(const std::string& output) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < output.size();) {
    const auto end = std::min(output.find('\n', at), output.size());
    if (end > at) lines.push_back(output.substr(at, end - at));
    at = end + 1;
  }
  std::string text;
  for (std::size_t i = lines.size() > kLinesShown ? lines.size() - kLinesShown : 0; i < lines.size(); ++i)
    text += (text.empty() ? "" : " | ") + lines[i];
  return text;
}

// The columns of a table with their types: what an engine wrote is taken as nothing else.
std::string typed_columns(std::string_view table) {
  if (table == "usage_15m")
    return "CAST(day AS DATE) AS day, CAST(tenant AS VARCHAR) AS tenant, CAST(service AS VARCHAR) AS service, CAST(slot AS INTEGER) AS "
           "slot, "
           "CAST(events AS BIGINT) AS events, CAST(bytes AS BIGINT) AS bytes, CAST(errors AS BIGINT) AS errors";
  if (table == "usage_peak")
    return "CAST(day AS DATE) AS day, CAST(tenant AS VARCHAR) AS tenant, CAST(slot AS INTEGER) AS slot, CAST(peak_epm AS BIGINT) AS "
           "peak_epm";
  return "CAST(day AS DATE) AS day, CAST(tenant AS VARCHAR) AS tenant, CAST(item AS VARCHAR) AS item, CAST(tier AS INTEGER) AS tier, "
         "CAST(quantity AS DECIMAL(19,9)) AS quantity, CAST(unit_price AS DECIMAL(18,9)) AS unit_price, "
         "CAST(amount AS DECIMAL(28,2)) AS amount, CAST(currency AS VARCHAR) AS currency";
}

base::Error within(base::Error error, const std::string& word) {
  return {ErrorKind::kCorrupt, "the result of " + word + " cannot be read: " + error.message};
}

base::Result<void> read_result(const Calculation& what, const std::string& word, const std::string& output) {
  if (!fs::exists(output + "/result.json")) return base::fail(ErrorKind::kCorrupt, word + " ended well but left no result in " + output);
  for (const std::string table : {"usage_15m", "usage_peak", "invoice_lines"}) {
    const std::string order = table == "usage_15m"    ? "tenant, service, slot"
                              : table == "usage_peak" ? "tenant, slot"
                                                      : "tenant, item, tier";
    const auto read =
        what.sql.query("CREATE OR REPLACE TEMP TABLE " + table + " AS SELECT " + typed_columns(table) + " FROM read_parquet(" +
                       sql::quote_literal(output + "/" + table + "/*.parquet") + ", hive_partitioning = false) ORDER BY " + order);
    if (!read) return std::unexpected(within(read.error(), word));
    TRY(const auto strange, what.sql.query("SELECT count(*) FROM " + table + " WHERE day IS DISTINCT FROM DATE " +
                                           sql::quote_literal(base::format_day(what.day))));
    if (strange.rows[0][0].as_int() > 0)
      return base::fail(ErrorKind::kCorrupt, word + " gave " + table + " rows of another day than " + base::format_day(what.day));
  }
  return {};
}

}  // namespace

base::Result<void> ExternalCalculator::run(const Calculation& what, const std::string& folder, const std::string& output) {
  const std::string log = what.world.local_directory + "/" + engine_.word + "-" + base::format_day(what.day) + ".log";
  const std::string lease_root = branch_root(what.world, what.settings) + "/_leases/engine";
  TRY(const auto token, lease::holder_token(what.world.local_directory, what.world.random));
  lease::Lease lease(what.world.lake, what.world.clock, what.world.random,
                     {.root = lease_root, .holder = engine_.word + ":" + token, .lease = kLease, .grace = kGrace});
  TRY(const bool held, lease.acquire());
  if (!held) {
    const auto look = lease::look(what.world.lake, lease_root);
    return base::fail(ErrorKind::kRetry, "branch " + what.settings.branch + " is run by " +
                                             (look && *look ? (*look)->holder : std::string("another engine")) +
                                             " elsewhere; wait until its run has ended");
  }
  std::error_code ignored;  // below: what runs that died have left
  for (const auto& entry : fs::directory_iterator(what.world.local_directory, ignored))
    if (entry.path().filename().string().starts_with("run-") && fs::absolute(entry.path()).lexically_normal() != folder)
      fs::remove_all(entry.path(), ignored);
  fs::remove_all(*what.world.lake.local_path(branch_root(what.world, what.settings) + "/_staging"), ignored);
  std::error_code failed;
  fs::create_directories(fs::path(output).parent_path(), failed);
  if (failed) return base::fail(ErrorKind::kRetry, "cannot create " + output + ": " + failed.message());
  TRY(const auto inputs, inputs_json(what));
  TRY_VOID(write(folder + "/inputs.json", inputs));
  for (const auto& [name, text] : engine_.files) TRY_VOID(write(folder + "/" + name, text));

  env::ProcessRequest request{.argv = {}, .environment = engine_.environment, .timeout = engine_.timeout, .log = log};
  for (auto word : engine_.argv) {
    for (std::size_t at = 0; (at = word.find("{run}", at)) != std::string::npos; at += folder.size()) word.replace(at, 5, folder);
    request.argv.push_back(std::move(word));
  }
  request.argv.insert(request.argv.end(), {"--inputs", folder + "/inputs.json", "--output", output});
  request.environment.emplace_back("HEADPOND_PARENT", std::to_string(getpid()));
  bool fenced = false;
  request.give_up = [&] {
    if (const auto kept = lease.keep(); !kept && kept.error().kind == ErrorKind::kFenced) fenced = true;
    return fenced || interrupted_;
  };
  fs::remove(log, ignored);
  auto done = processes_.run(request);
  if (fenced) return base::fail(ErrorKind::kRetry, "another engine took over branch " + what.settings.branch + "; this one was stopped");
  (void)lease.release();  // it runs out by itself
  if (!done) return std::unexpected(std::move(done).error().within(engine_.word + " for " + base::format_day(what.day)));
  if (done->code == 0) return {};
  return base::fail(ErrorKind::kRetry, engine_.word + " failed on " + base::format_day(what.day) + " with exit code " +
                                           std::to_string(done->code) + ": " + last_words(done->output) + "; all of it is in " + log);
}

base::Result<void> ExternalCalculator::calculate(const Calculation& what) {
  if (interrupted_) return base::fail(ErrorKind::kRetry, engine_.word + " is being stopped");
  const auto& world = what.world;
  const std::string id = hex16(world.random.next());
  const auto staging = world.lake.local_path(branch_root(world, what.settings) + "/_staging");
  if (!staging)
    return base::fail(ErrorKind::kInvalid,
                      world.lake.describe() + ": bills of " + engine_.word + " need a lake in a directory; use one, or `engine: embedded`");
  const Folder folder(fs::absolute(world.local_directory + "/run-" + id).lexically_normal().string());
  std::error_code failed;
  fs::create_directories(folder.path(), failed);
  if (failed) return base::fail(ErrorKind::kRetry, "cannot create " + folder.path() + ": " + failed.message());
  const DirectoryLock lock(world.local_directory);
  if (!lock.held())
    return base::fail(ErrorKind::kRetry, "another run is under way in " + world.local_directory + "; wait until it has ended");
  const Folder output(fs::absolute(*staging + "/" + base::format_day(what.day) + "/" + id).lexically_normal().string());
  TRY_VOID(run(what, folder.path(), output.path()));
  return read_result(what, engine_.word, output.path());
}

// That peaks fit the usage, and that the lines are the usage's at the day's prices, to the last digit.
base::Result<void> ExternalCalculator::check(const Calculation& what) {
  TRY(const auto peaks,
      what.sql.query("SELECT CAST((u.tenant, u.slot, u.events, p.peak_epm) AS VARCHAR) FROM (SELECT tenant, slot, sum(events)::BIGINT "
                     "AS events FROM usage_15m GROUP BY tenant, slot) u FULL JOIN usage_peak p USING (tenant, slot) WHERE p.peak_epm IS "
                     "NULL OR u.events IS NULL OR p.peak_epm > u.events OR p.peak_epm * 15 < u.events ORDER BY 1 LIMIT 1"));
  if (!peaks.rows.empty())
    return base::fail(ErrorKind::kCorrupt, "the usage_peak of " + engine_.word +
                                               " does not fit its usage_15m: (tenant, slot, events, peak_epm) " +
                                               peaks.rows[0][0].to_text() + "; nothing was written");
  TRY(const auto theirs, content_of(what.sql, "invoice_lines", "invoice_lines"));
  TRY_VOID(compute_lines(what.sql, base::format_day(what.day), what.rates));
  TRY(const auto ours, content_of(what.sql, "invoice_lines", "invoice_lines"));
  if (ours == theirs) return {};
  return base::fail(ErrorKind::kCorrupt, "the invoice_lines of " + engine_.word + " are not those of its usage at the day's prices (" +
                                             std::to_string(theirs.rows) + " lines, expected " + std::to_string(ours.rows) +
                                             "; or other amounts); nothing was written");
}

}  // namespace headpond::billing
