#include "app/upkeep_role.h"

#include <fmt/format.h>

#include <atomic>
#include <set>

#include "base/time.h"

namespace headpond::app {
namespace {

// A short retention wants a quicker look.
constexpr base::Duration kEvery = base::Duration::minutes(1), kEveryMin = base::Duration::seconds(1);

class UpkeepRole final : public Steppable {
 public:
  UpkeepRole(Session& session, Role::Log log)
      : session_(session),
        log_(std::move(log)),
        options_(upkeep_options(session)),
        every_(std::clamp(options_.log_retention, kEveryMin, kEvery)),
        next_(session.clock->monotonic() + jitter()) {}

  base::Result<bool> step() override {
    if (session_.clock->monotonic() < next_) return false;
    next_ = session_.clock->monotonic() + every_ + jitter();
    const auto report = bronze::keep_log(*session_.lake, session_.paths.bronze, options_, {*session_.clock, *session_.failpoints, &stop_});
    if (!report && (stop_ || report.error().kind == base::ErrorKind::kNotFound)) return false;
    if (!report) return std::unexpected(report.error());
    for (const auto& cursor : report->silent)
      if (told_.emplace(cursor.branch, cursor.expired).second) log_("upkeep", describe(cursor));
    return false;
  }
  base::Result<void> drain() override { return {}; }
  bronze::BranchStatus status() const override {
    bronze::BranchStatus status;
    status.branch = status.kind = "upkeep";
    status.engine = "embedded";
    status.state = "running";
    return status;
  }
  void interrupt() override { stop_ = true; }

 private:
  // Several ingesters look at different moments: who comes second finds it done.
  base::Duration jitter() { return base::Duration(static_cast<std::int64_t>(session_.random->next() % 1000) * every_.value() / 4000); }

  Session& session_;
  const Role::Log log_;
  const bronze::UpkeepOptions options_;
  const base::Duration every_;
  base::Duration next_;  // monotonic
  std::set<std::pair<std::string, bool>> told_;
  std::atomic<bool> stop_ = false;
};

}  // namespace

bronze::UpkeepOptions upkeep_options(const Session& session) {
  bronze::UpkeepOptions options;
  options.scratch = session.data_directory + "/upkeep";
  options.log_retention = session.topology.bronze.log_retention;
  options.cursor_expiry = session.topology.bronze.cursor_expiry;
  return options;
}

std::string describe(const bronze::SilentCursor& cursor) {
  return fmt::format("branch {} has not written its cursor for {}: {}", cursor.branch, base::format_duration(cursor.age),
                     cursor.expired
                         ? "it keeps no entries of bronze's log any more; if it is gone, delete its cursor"
                         : "it keeps entries of bronze's log until `bronze.cursor_expiry`; start it, or if it is gone, delete its cursor");
}

Role::Factory upkeep_factory(Session& session, Role::Log log) {
  return
      [&session, log = std::move(log)]() -> base::Result<std::unique_ptr<Steppable>> { return std::make_unique<UpkeepRole>(session, log); };
}

}  // namespace headpond::app
