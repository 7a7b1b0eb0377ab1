#include "billing/external.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/time.h"
#include "billing/calculation.h"
#include "billing/close.h"
#include "billing/staging.h"
#include "bronze/view.h"

namespace headpond::billing {
namespace {

using base::ErrorKind;
namespace fs = std::filesystem;

constexpr int kInputsFormat = 1;
constexpr std::size_t kLinesShown = 6;

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
  std::vector<std::string> files;
  for (const auto& path : bronze.paths) {
    TRY(auto place, place_of(what.world, path));
    files.push_back(std::move(place));
  }
  nlohmann::ordered_json out{{"format", kInputsFormat},
                             {"topology", what.settings.topology},
                             {"branch", what.settings.branch},
                             {"day", base::format_day(what.day)},
                             {"version", bronze.version.value()},
                             {"files", files},
                             {"relation", bronze::scan_expression(files, bronze.schema)},
                             {"rates", nlohmann::ordered_json::array()}};
  for (const auto& rate : what.rates) {
    nlohmann::ordered_json row{{"tenant", nullptr}, {"item", rate.item},   {"tier", rate.tier},        {"lower", rate.lower},
                               {"upper", nullptr},  {"price", rate.price}, {"currency", rate.currency}};
    if (rate.tenant) row["tenant"] = *rate.tenant;
    if (rate.upper) row["upper"] = *rate.upper;
    out["rates"].push_back(std::move(row));
  }
  return out.dump(2) + "\n";
}

// What runs that died have left.
void remove_left_runs(const std::string& directory) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored))
    if (entry.path().filename().string().starts_with("run-")) fs::remove_all(entry.path(), ignored);
}

// What the engine wrote last of all: which it is.
base::Result<MadeBy> read_result(const std::string& path, const std::string& word) {
  std::ifstream in(path);
  if (!in) return base::fail(ErrorKind::kCorrupt, word + " ended well but left no result in " + path);
  const auto json = nlohmann::json::parse(in, nullptr, false);
  if (!json.is_object() || !json.contains("engine") || !json["engine"].is_string() || !json.contains("versions") ||
      !json["versions"].is_string())
    return base::fail(ErrorKind::kCorrupt, word + " does not say in its result which engine it is; run the engines/ of this Headpond");
  return MadeBy{json["engine"], json["versions"]};
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

}  // namespace

base::Result<void> ExternalCalculator::run(const Calculation& what, const std::string& folder, const std::string& staging) {
  const std::string log = what.world.local_directory + "/" + engine_.word + "-" + base::format_day(what.day) + ".log";
  TRY(const auto inputs, inputs_json(what));
  TRY_VOID(write(folder + "/inputs.json", inputs));
  for (const auto& [name, text] : engine_.files) TRY_VOID(write(folder + "/" + name, text));

  env::ProcessRequest request{.argv = {}, .environment = engine_.environment, .timeout = engine_.timeout, .log = log};
  for (auto word : engine_.argv) {
    for (std::size_t at = 0; (at = word.find("{run}", at)) != std::string::npos; at += folder.size()) word.replace(at, 5, folder);
    request.argv.push_back(std::move(word));
  }
  request.argv.insert(request.argv.end(), {"--inputs", folder + "/inputs.json", "--output", staging, "--result", folder + "/result.json"});
  request.environment.emplace_back("HEADPOND_PARENT", std::to_string(getpid()));
  base::Result<void> kept;
  request.give_up = [&] {
    if (kept) kept = what.turn.keep();
    return !kept || interrupted_;
  };
  std::error_code ignored;
  fs::remove(log, ignored);
  const auto done = processes_.run(request);
  if (!kept) return kept;
  if (!done) return std::unexpected(base::Error(done.error()).within(engine_.word + " for " + base::format_day(what.day)));
  if (done->code == 0) return {};
  return base::fail(ErrorKind::kRetry, engine_.word + " failed on " + base::format_day(what.day) + " with exit code " +
                                           std::to_string(done->code) + ": " + last_words(done->output) + "; all of it is in " + log);
}

base::Result<std::optional<MadeBy>> ExternalCalculator::calculate(const Calculation& what) {
  if (interrupted_) return base::fail(ErrorKind::kRetry, engine_.word + " is being stopped");
  const auto& world = what.world;
  const std::string id = hex16(world.random.next());
  remove_left_runs(world.local_directory);
  const Folder folder(fs::absolute(world.local_directory + "/run-" + id).lexically_normal().string());
  std::error_code failed;
  fs::create_directories(folder.path(), failed);
  if (failed) return base::fail(ErrorKind::kRetry, "cannot create " + folder.path() + ": " + failed.message());
  TRY(const auto staging, Staging::make(what, id));
  world.failpoints.reach("billing.before_engine");
  TRY_VOID(run(what, folder.path(), staging.place()));
  world.failpoints.reach("billing.after_engine");
  TRY(auto made_by, read_result(folder.path() + "/result.json", engine_.word));
  TRY_VOID(staging.read(what, engine_.word));
  return made_by;
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
