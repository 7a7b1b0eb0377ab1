// `headpond demo`: all of it on one machine in about two minutes, printed as it happens.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <ranges>
#include <thread>

#include "app/console.h"
#include "app/demo_broker.h"
#include "app/demo_files.h"
#include "app/page_server.h"
#include "app/signals.h"
#include "app/system.h"
#include "app/wiring.h"
#include "base/time.h"
#include "billing/billing.h"
#include "bronze/tail.h"
#include "generate/generate.h"
#include "kafka/client.h"

namespace headpond::app {
namespace {

constexpr const char* kTopic = "logs";
constexpr int kPartitions = 4;
constexpr base::Duration kWatch = base::Duration::millis(50);
// Small enough for the mock broker's 5 MB a partition.
constexpr std::int64_t kYesterdayEvents = 8'000, kRecentEvents = 24'000;
constexpr double kLiveRate = 500;
constexpr base::Duration kRecent = base::Duration::minutes(10);
constexpr base::Duration kIncidentAfter = base::Duration::seconds(8), kIncidentLasts = base::Duration::seconds(20);

// How the reader's shell, in this folder, begins this binary: the commands shown are there to be copied.
std::string own_name() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return "headpond";
  const char* path = std::getenv("PATH");
  for (const auto folder : std::views::split(std::string_view(path == nullptr ? "" : path), ':'))
    if (std::filesystem::equivalent(std::filesystem::path(std::string_view(folder)) / "headpond", self, error)) return "headpond";
  const auto near = std::filesystem::proximate(self, error).string();
  return near.starts_with("..") ? self.string() : near.find('/') == std::string::npos ? "./" + near : near;
}

class Demo {
 public:
  Demo(const DemoCommand& command, const Signals& signals)
      : command_(command), signals_(signals), clock_(env::real_clock()), started_(clock_->monotonic()) {}

  int run() {
    const auto done = run_steps();
    stop();
    if (!done) return complain(done.error());
    summarize();
    return problems_ == 0 ? kOk : kProblem;
  }

 private:
  void say(const std::string& text) {
    const std::lock_guard lock(print_mutex_);
    fmt::print("[{:6.1f} s] {}\n", (clock_->monotonic() - started_).to_seconds(), text);
    std::fflush(stdout);
  }
  void problem(const std::string& text) {
    ++problems_;
    say("PROBLEM: " + text);
  }

  // Waits until `done`; false after the demo's time or on a signal.
  template <class F>
  bool until(F&& done) {
    while (!done()) {
      if (signals_.wait(kWatch)) return false;
      if ((clock_->monotonic() - started_).to_seconds() > command_.seconds_max) return false;
      if (system_)
        if (const auto failed = system_->failed(); !failed.empty())
          return problem(failed[0].first + ": " + failed[0].second.message), false;
    }
    return true;
  }

  base::Result<void> run_steps() {
    TRY_VOID(prepare());
    TRY_VOID(produce_history());
    TRY_VOID(start_system());
    start_live();
    watch_first_rows();
    watch_page();
    TRY_VOID(bill_yesterday());
    watch_minutes();
    audit();
    if (isatty(STDOUT_FILENO) != 0 || command_.keep) {
      say("still running; press Ctrl-C to stop");
      while (!signals_.wait(base::Duration::seconds(1))) continue;
    }
    return {};
  }

  base::Result<void> prepare() {
    directory_ = command_.directory;
    if (directory_.empty()) {
      auto pattern = (std::filesystem::temp_directory_path() / "headpond-demo-XXXXXX").string();
      if (mkdtemp(pattern.data()) == nullptr)
        return base::fail(base::ErrorKind::kInvalid, "cannot make a temporary directory; name one with --dir");
      directory_ = pattern;
    }
    std::error_code error;
    std::filesystem::create_directories(directory_, error);
    if (error) return base::fail(base::ErrorKind::kInvalid, fmt::format("cannot create {}: {}", directory_, error.message()));
    if (std::filesystem::exists(directory_ + "/lake"))
      return base::fail(base::ErrorKind::kInvalid, directory_ + " holds a demo already; name an empty directory with --dir");
    directory_ = std::filesystem::absolute(directory_).string();
    say("everything lies in " + directory_);
    TRY(broker_, DemoBroker::start(directory_ + "/kafka", kTopic, kPartitions, command_.mock));
    say(fmt::format("{} at {}, topic {} with {} partitions", broker_->what(), broker_->brokers(), kTopic, kPartitions));
    TRY(topology_path_, write_demo_files(directory_, broker_->brokers(), kTopic, kPartitions, command_.listen));
    return {};
  }

  generate::Options base_options() const {
    generate::Options options;
    options.seed = 7;
    options.partitions = kPartitions;
    options.tenants = 12;
    options.services = 8;
    options.hosts = 24;
    options.malformed_share = 0.0005;
    return options;
  }

  base::Result<void> produce_history() {
    auto options = base_options();
    const auto now = clock_->now();
    today_ = base::floor_to(now, base::kDay);
    const auto recent_from = std::max(today_, now - kRecent);
    options.history = {{today_ - base::kDay, today_, kYesterdayEvents}, {recent_from, now, kRecentEvents}};
    TRY(auto producer, kafka::open_producer({.brokers = broker_->brokers(), .librdkafka_options = {}}, kTopic, "lz4"));
    TRY(const auto done, generate::run(options, *producer, *clock_, [](const generate::Progress&) { return true; }));
    history_events_ = done.events;
    say(fmt::format("history: {} events, yesterday sparse and the last ten minutes dense", human_count(static_cast<double>(done.events))));
    return {};
  }

  base::Result<void> start_system() {
    int code = kOk;
    CommonOptions options;
    options.topology = topology_path_;
    auto session = Session::open(options, code);
    if (!session) return base::fail(base::ErrorKind::kInvalid, "the demo's own topology does not load");
    session_ = std::make_unique<Session>(std::move(*session));
    const Hooks hooks{.log = [this](const std::string& role, const std::string& line) { say(role + ": " + line); },
                      .print = [this](const std::string& page) { on_page(page); }};
    TRY(system_, System::create(*session_, {}, hooks));
    TRY(server_, PageServer::open(*session_, system_.get(), session_->topology.serve_listen));
    system_started_ = clock_->monotonic();
    system_->start();
    say("ingest, pager, dashboard and billing are running in this process; the page is at " + server_->address());
    return {};
  }

  void start_live() {
    auto options = base_options();
    options.seed = 8;
    options.live_events = -1;
    options.rate = kLiveRate;
    generate::Incident incident;
    incident.at = clock_->now() + kIncidentAfter;
    incident.lasts = kIncidentLasts;
    incident.service = generate::service_name(0);
    incident.error_share = 0.9;
    incident.traffic_share = 0.5;
    options.incidents = {incident};
    incident_at_ = incident.at;
    say(fmt::format("live traffic, {:.0f} events/s; {} will start to fail in {:.0f} s", kLiveRate, incident.service,
                    kIncidentAfter.to_seconds()));
    live_ = std::thread([this, options] {
      auto producer = kafka::open_producer({.brokers = broker_->brokers(), .librdkafka_options = {}}, kTopic, "lz4");
      const auto done = producer ? generate::run(options, **producer, *clock_, [this](const generate::Progress&) { return !stop_live_; })
                                 : base::Result<generate::Progress>(std::unexpected(producer.error()));
      if (!done) problem("live traffic ended: " + done.error().message);
    });
  }

  // The first version with rows, and the moment it could be read.
  void watch_first_rows() {
    std::optional<bronze::Tail> tail;
    const bool found = until([&] {
      if (!tail) {
        auto opened = bronze::Tail::open(*session_->lake, session_->paths.bronze, base::Version(-1));
        if (!opened) return false;
        tail.emplace(std::move(*opened));
      }
      for (;;) {
        const auto step = tail->next();
        if (!step || !*step) return false;
        if (!(*step)->files.empty()) return true;
      }
    });
    first_rows_s_ = (clock_->monotonic() - system_started_).to_seconds();
    if (!found) return problem("no rows in bronze");
    say(fmt::format("first rows in bronze {:.1f} s after ingest started", first_rows_s_));
  }

  void on_page(const std::string& page) {
    say("PAGE\n" + page);
    const std::lock_guard lock(page_mutex_);
    const auto now = clock_->now();
    if (page_after_s_ < 0 && now >= incident_at_) page_after_s_ = (now - incident_at_).to_seconds();
    ++pages_;
  }

  void watch_page() {
    const bool paged = until([&] {
      const std::lock_guard lock(page_mutex_);
      return page_after_s_ >= 0;
    });
    if (!paged) return problem("the incident was not paged");
    say(fmt::format("the incident was paged {:.2f} s after its first event", page_after_s_));
  }

  bronze::BranchStatus status_of(const std::string& kind) const {
    for (auto& status : system_->statuses())
      if (status.kind == kind) return status;
    return {};
  }

  base::Result<void> bill_yesterday() {
    const auto closed = [&] {
      const auto ingest = status_of("ingest");
      return ingest.complete_until && *ingest.complete_until >= today_;
    };
    if (!until(closed)) return problem("the clocks did not pass midnight"), base::Result<void>{};
    const auto* branch = session_->branch(spec::BranchKind::kBilling, "");
    TRY(const auto settings, load_billing(session_->topology, *branch));
    const auto random = env::real_random();
    const billing::World world{*session_->lake, session_->paths,       *session_->clock,
                               *random,         *session_->failpoints, session_->data_directory + "/" + branch->name};
    const auto bill = [&] { return billing::run_day(settings, world, today_ - base::kDay, false); };
    auto day = bill();
    const auto turned_away = [&] { return !day && day.error().kind == base::ErrorKind::kRetry; };
    (void)until([&] {  // the system may be billing that very day
      if (turned_away()) day = bill();
      return !turned_away();
    });
    if (!day) return problem("the bill: " + day.error().message), base::Result<void>{};
    bill_ = fmt::format("{} {} for {} events", day->currency, day->total, human_count(static_cast<double>(day->events)));
    say(fmt::format("yesterday's bill: {}\n             report       {}\n             certificate  {}", bill_,
                    session_->lake->local_path(day->report).value_or(day->report),
                    session_->lake->local_path(day->certificate).value_or(day->certificate)));
    return {};
  }

  // Rolling five complete minutes: the window that ended with the last complete minute is in gold.
  void watch_minutes() {
    say("waiting for the dashboard's next minute");
    std::string line;
    const bool complete = until([&] {
      const auto dashboard = status_of("dashboard");
      if (!dashboard.complete_until || *dashboard.complete_until < incident_at_ - base::kMinute) return false;
      line = rolling_line(*dashboard.complete_until);
      return !line.empty();
    });
    if (!complete) return problem("the dashboard has no five complete minutes");
    say(line);
  }

  std::string rolling_line(base::Micros end) {
    auto engine = open_lake_views(*session_);
    if (!engine) return "";  // the lake moves on under it: the next look sees more
    const auto result =
        (*engine)->query(fmt::format("SELECT coalesce(sum(n), 0)::BIGINT, coalesce(sum(errors), 0)::BIGINT FROM (SELECT * FROM rolling_5m "
                                     "WHERE epoch_us(window_end) = {} "
                                     "QUALIFY row_number() OVER (PARTITION BY rollup, key ORDER BY batch_id DESC) = 1)",
                                     end.value()));
    if (!result || result->rows.empty() || result->rows[0][0].as_int() == 0) return "";
    return fmt::format("dashboard: the five complete minutes to {}: {} events, {} errors; see {}", base::format_rfc3339(end),
                       human_count(static_cast<double>(result->rows[0][0].as_int())), result->rows[0][1].as_int(), server_->address());
  }

  void audit() {
    const int code = run_audit({.common = {.topology = topology_path_, .data_directory = "", .json = false}, .deep = true});
    audit_ = code == kOk ? "clean" : "FAILED";
    if (code != kOk) problem("the audit found damage");
  }

  void stop() {
    stop_live_ = true;
    if (live_.joinable()) live_.join();
    if (server_) server_->stop();
    if (system_) system_->stop();
  }

  void summarize() {
    fmt::print(
        "\nfirst rows   {:.1f} s after ingest started\npage         {:.2f} s after the incident's first event\nbill         {}\naudit      "
        "  {}\nlake         {}/lake\n",
        first_rows_s_, page_after_s_, bill_, audit_, directory_);
    fmt::print(
        "\nTry next:\n  {2} sql -f {0} \"SELECT service, count(*) AS events FROM bronze GROUP BY 1 ORDER BY 2 DESC LIMIT 5\"\n  "
        "{2} pages -f {0}\n  {2} bill verify -f {0} --day {1} --deep\n",
        topology_path_, base::format_day(today_ - base::kDay), own_name());
  }

  const DemoCommand& command_;
  const Signals& signals_;
  std::unique_ptr<env::Clock> clock_;
  const base::Duration started_;
  std::mutex print_mutex_, page_mutex_;
  std::string directory_, topology_path_;
  std::unique_ptr<DemoBroker> broker_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<System> system_;
  std::unique_ptr<PageServer> server_;
  std::thread live_;
  std::atomic<bool> stop_live_{false};
  std::atomic<int> problems_{0};
  base::Duration system_started_;
  base::Micros today_, incident_at_;
  std::int64_t history_events_ = 0;
  double first_rows_s_ = -1, page_after_s_ = -1;
  int pages_ = 0;
  std::string bill_ = "none", audit_ = "not run";
};

}  // namespace

int run_demo(const DemoCommand& command) {
  const Signals signals;
  return Demo(command, signals).run();
}

}  // namespace headpond::app
