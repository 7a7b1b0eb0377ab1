#include "serve/site.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/time.h"
#include "serve/assets.h"

namespace headpond::serve {
namespace {

constexpr base::Duration kBillPause = base::Duration::seconds(5);
constexpr int kRecentPages = 50;
constexpr int kMinutesMax = 24 * 60;

std::string error_body(const std::string& message) {
  return nlohmann::json{{"error", message}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Answer failure(const base::Error& error) {
  const int status = error.kind == base::ErrorKind::kInvalid ? 400 : error.kind == base::ErrorKind::kNotFound ? 404 : 503;
  return {.status = status, .body = error_body(error.message)};
}

std::string type_of(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".csv")) return "text/csv; charset=utf-8";
  if (name.ends_with(".json")) return "application/json";
  return "application/octet-stream";
}

std::string parameter(const Request& request, const char* name) {
  const auto found = request.parameters.find(name);
  return found == request.parameters.end() ? "" : found->second;
}

base::Result<int> minutes_of(const Request& request, int fallback) {
  const auto text = parameter(request, "minutes");
  if (text.empty()) return fallback;
  int minutes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), minutes);
  if (error != std::errc() || end != text.data() + text.size() || minutes < 1 || minutes > kMinutesMax)
    return base::fail(base::ErrorKind::kInvalid, "minutes is '" + text + "', expected 1 to " + std::to_string(kMinutesMax));
  return minutes;
}

const Asset* find_asset(std::string_view name) {
  const auto all = assets();
  const auto found = std::ranges::find(all, name, &Asset::name);
  return found == all.end() ? nullptr : &*found;
}

class CursorSource final : public StatusSource {
 public:
  CursorSource(env::ObjectStore& lake, std::string root) : lake_(lake), root_(std::move(root)) {}
  base::Result<std::vector<bronze::BranchStatus>> statuses() override { return bronze::read_statuses(lake_, root_); }

 private:
  env::ObjectStore& lake_;
  std::string root_;
};

}  // namespace

std::unique_ptr<StatusSource> cursor_source(env::ObjectStore& lake, std::string bronze_root) {
  return std::make_unique<CursorSource>(lake, std::move(bronze_root));
}

Site::Site(const Sources& sources, std::unique_ptr<sql::Engine> sql)
    : sources_(sources), sql_(std::move(sql)), topology_(topology_json(sources.topology)) {}

base::Result<std::unique_ptr<Site>> Site::open(const Sources& sources, std::int64_t memory_bytes) {
  TRY(auto sql, sql::Engine::open({.threads = 1, .memory_bytes = memory_bytes, .spill_directory = sources.local_directory + "/spill"},
                                  &sources.lake));
  std::unique_ptr<Site> site(new Site(sources, std::move(sql)));
  for (const auto& branch : sources.topology.branches) {
    switch (branch.kind) {
      case spec::BranchKind::kDashboard:
        site->boards_.push_back({branch.name, std::make_unique<Minutes>(sources.lake, sources.paths.gold(branch.name), *site->sql_,
                                                                        "gold" + std::to_string(site->boards_.size()) + "_")});
        break;
      case spec::BranchKind::kPager:
        site->pages_.push_back(
            {branch.name, delta::Table(sources.lake, sources.paths.pages(branch.name)), {}, R"({"version":-1,"firing":[],"recent":[]})"});
        break;
      case spec::BranchKind::kBilling: site->billing_branch_ = branch.name; break;
    }
  }
  return site;
}

void Site::note(const std::string& source, const base::Result<void>& result) {
  if (result)
    troubles_.erase(source);
  else
    troubles_[source] = result.error().message;
}

void Site::refresh() {
  // Statuses first: what they call complete is then in the gold that is read after them.
  auto statuses = sources_.statuses.statuses();
  const auto now = sources_.clock.now();
  std::string document;
  {
    const std::lock_guard lock(mutex_);
    if (statuses)
      standings_ = standings(*statuses, now);
    else if (statuses.error().kind != base::ErrorKind::kNotFound)
      note("status", std::unexpected(statuses.error()));
    if (statuses) note("status", {});
    refresh_boards(now);
    refresh_pages();
    refresh_bill(now);
    std::vector<std::pair<std::string, std::int64_t>> versions;
    for (const auto& board : boards_) versions.emplace_back("gold", board.minutes->version().value());
    for (const auto& pages : pages_) versions.emplace_back("pages", pages.snapshot.version.value());
    versions.emplace_back("bill", static_cast<std::int64_t>(std::hash<std::string>()(bill_) % 1'000'000'007));
    document = status_json(sources_.topology, standings_, now, versions);
    refreshed_ = true;
  }
  const std::lock_guard lock(tick_mutex_);
  ++current_.number;
  current_.status = std::move(document);
  tick_.notify_all();
}

void Site::refresh_boards(base::Micros now) {
  for (auto& board : boards_) {
    auto refreshed = board.minutes->refresh(now);
    note("gold of " + board.branch, refreshed ? base::Result<void>() : std::unexpected(refreshed.error()));
  }
}

void Site::refresh_pages() {
  for (auto& pages : pages_) {
    const auto read = [&]() -> base::Result<void> {
      TRY(const bool changed, pages.table.refresh(pages.snapshot));
      if (!changed) return {};
      TRY(pages.document, pages_json(pages.table, pages.snapshot, *sql_, kRecentPages));
      return {};
    };
    note("pages of " + pages.branch, read());
  }
}

void Site::refresh_bill(base::Micros now) {
  if (billing_branch_.empty() || (bill_read_at_ + kBillPause > now && bill_read_at_ <= now)) return;
  bill_read_at_ = now;
  auto bill = bill_json(sources_.lake, sources_.paths.billing(billing_branch_));
  if (bill) bill_ = std::move(*bill);
  note("bills", bill ? base::Result<void>() : std::unexpected(bill.error()));
}

std::optional<Standing> Site::standing_of(const std::string& branch) const {
  for (const auto& standing : standings_)
    if (standing.status.branch == branch) return standing;
  return std::nullopt;
}

Site::Board* Site::board_of(const std::string& branch) {
  for (auto& board : boards_)
    if (branch.empty() || board.branch == branch) return &board;
  return nullptr;
}

Answer Site::handle(const Request& request) {
  const auto& path = request.path;
  if (path == "/livez" || path.starts_with("/livez/")) return {.type = "text/plain", .body = "ok\n"};
  if (const auto* asset = find_asset(path == "/" ? "index.html" : path.substr(path.find('/') + 1)))
    return {.type = type_of(asset->name), .body = std::string(asset->bytes)};
  if (path == "/api/topology") return {.body = topology_};
  if (path == "/api/status") {
    const std::lock_guard lock(tick_mutex_);
    if (current_.number == 0) return {.status = 503, .body = error_body("starting; ask again in a second")};
    return {.body = current_.status};
  }
  const std::lock_guard lock(mutex_);
  if (path == "/readyz" || path.starts_with("/readyz/")) return ready(path.size() > 8 ? path.substr(8) : "");
  if (path == "/metrics" || path.starts_with("/metrics/"))
    return {.type = "text/plain; version=0.0.4",
            .body = metrics_text(standings_, path.size() > 9 ? path.substr(9) : "",
                                 sources_.process ? sources_.process() : std::vector<base::MetricFamily>())};
  if (path == "/api/dashboard") return dashboard(request);
  if (path == "/api/rollups.csv") return csv(request);
  if (path == "/api/bill") return {.body = bill_};
  if (path == "/api/pages") {
    const auto branch = parameter(request, "branch");
    for (const auto& pages : pages_)
      if (branch.empty() || pages.branch == branch) return {.body = pages.document};
    return {.status = 404, .body = error_body("no pager branch '" + branch + "' in the topology")};
  }
  if (path.starts_with("/bill/")) return bill_file(path.substr(6));
  return {.status = 404, .body = error_body("nothing at " + path + "; see docs/formats/api.md")};
}

Answer Site::dashboard(const Request& request) {
  auto* board = board_of(parameter(request, "branch"));
  if (!board) return {.status = 404, .body = error_body("no dashboard branch '" + parameter(request, "branch") + "' in the topology")};
  if (board->minutes->version().value() < 0)
    return {.status = 404, .body = error_body("the dashboard '" + board->branch + "' has not written its gold table yet")};
  const auto minutes = minutes_of(request, 60);
  if (!minutes) return failure(minutes.error());
  auto document = dashboard_json(*board->minutes, board->branch, standing_of(board->branch),
                                 {.rollup = parameter(request, "rollup"),
                                  .by = parameter(request, "by"),
                                  .measure = parameter(request, "measure"),
                                  .minutes = *minutes},
                                 sources_.clock.now());
  if (!document) return failure(document.error());
  return {.body = std::move(*document)};
}

Answer Site::csv(const Request& request) {
  auto* board = board_of(parameter(request, "branch"));
  if (!board || board->minutes->rollups().empty()) return {.status = 404, .body = error_body("no gold table yet")};
  const auto& rollups = board->minutes->rollups();
  auto rollup = parameter(request, "rollup");
  if (rollup.empty()) rollup = rollups[0].name;
  if (std::ranges::find(rollups, rollup, &RollupShape::name) == rollups.end())
    return {.status = 400, .body = error_body("no rollup '" + rollup + "'")};
  const auto minutes = minutes_of(request, kMinutesMax);
  if (!minutes) return failure(minutes.error());
  const auto end = base::floor_to(sources_.clock.now(), base::kMinute) + base::kMinute;
  auto text = board->minutes->csv(rollup, end - base::kMinute * *minutes, end);
  if (!text) return failure(text.error());
  return {.type = type_of(".csv"), .body = std::move(*text)};
}

Answer Site::bill_file(const std::string& name) {
  const auto dot = name.find('.');
  const auto day = name.substr(0, dot), suffix = dot == std::string::npos ? std::string(".html") : name.substr(dot);
  const bool known =
      suffix == ".html" || suffix == ".csv" || suffix == ".json" || suffix == ".provisional.html" || suffix == ".provisional.csv";
  if (billing_branch_.empty() || !base::parse_day(day) || !known) return {.status = 404, .body = error_body("no such bill: " + name)};
  const auto folder = sources_.paths.billing(billing_branch_) + (suffix == ".json" ? "/certificates/" : "/reports/");
  auto text = sources_.lake.get(folder + day + suffix);
  if (!text) return failure(text.error());
  return {.type = type_of(suffix), .body = std::move(*text)};
}

// Ready: this server has read everything once without trouble, and what is asked for runs.
Answer Site::ready(const std::string& only) const {
  std::string why;
  if (!refreshed_) why += "still loading\n";
  for (const auto& [source, trouble] : troubles_) why += source + ": " + trouble + "\n";
  bool found = false;
  for (const auto& standing : standings_) {
    const auto& status = standing.status;
    if (!only.empty() && status.branch != only && status.kind != only) continue;
    found = true;
    if (standing.verdict != "running" && standing.verdict != "late")
      why += status.branch + ": " + standing.verdict + " " + status.message + "\n";
  }
  if (!only.empty() && !found) why += "no role '" + only + "' has been heard of\n";
  return {.status = why.empty() ? 200 : 503, .type = "text/plain", .body = why.empty() ? "ready\n" : why};
}

std::optional<Site::Tick> Site::wait(std::int64_t seen, base::Duration timeout) {
  std::unique_lock lock(tick_mutex_);
  tick_.wait_for(lock, std::chrono::microseconds(timeout.value()), [&] { return ended_ || current_.number > seen; });
  if (ended_ || current_.number <= seen) return std::nullopt;
  return current_;
}

void Site::pause(base::Duration time) {
  std::unique_lock lock(tick_mutex_);
  tick_.wait_for(lock, std::chrono::microseconds(time.value()), [&] { return ended_; });
}

void Site::end() {
  const std::lock_guard lock(tick_mutex_);
  ended_ = true;
  tick_.notify_all();
}

bool Site::ended() const {
  const std::lock_guard lock(tick_mutex_);
  return ended_;
}

}  // namespace headpond::serve
