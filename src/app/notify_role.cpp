#include "app/notify_role.h"

#include "app/notifier_thread.h"
#include "env/http.h"
#include "notify/intake.h"

namespace headpond::app {
namespace {

// A LIST is the dearest request there is, so on a remote store the bell says when; this often in case a ring was lost. With ten GETs of the
// bell a second that costs what one LIST a second does.
constexpr base::Duration kListRemote = base::Duration::seconds(5);

class NotifyRole final : public Steppable {
 public:
  NotifyRole(Session& session, const spec::Branch& branch, std::unique_ptr<notify::Intake> intake)
      : session_(session), branch_(branch), intake_(std::move(intake)), http_(env::real_http_client()) {}

  void start(const std::vector<notify::TargetConfig>& targets, std::function<void(const std::string& page)> print) {
    notify::NotifierOptions options;
    options.branch = branch_.name;
    options.pages_root = session_.paths.pages(branch_.name);
    options.local_directory = session_.data_directory + "/" + branch_.name + "/notify";
    notifier_ = std::make_unique<NotifierThread>([this, options, targets, print = std::move(print)] {
      return notify::Notifier::open(options, targets, intake_->outbox(),
                                    {*session_.lake, *session_.clock, *session_.random, *http_, *session_.failpoints, print});
    });
  }

  base::Result<bool> step() override {
    if (const auto error = notifier_->fatal()) return std::unexpected(*error);
    return intake_->step();
  }

  base::Result<void> drain() override {
    notifier_->join();
    TRY_VOID(notifier_->drain());
    TRY_VOID(intake_->step());  // what was delivered just now is removed
    return {};
  }

  bronze::BranchStatus status() const override {
    const auto now = intake_->status();
    bronze::BranchStatus status;
    status.branch = branch_.name;
    status.kind = kNotifier;
    status.engine = "embedded";
    status.state = "running";
    status.message = now.unreadable.empty() ? notifier_->message() : notify::describe(now.unreadable);
    status.updated_at = session_.clock->now();
    status.figures = {{"generation", static_cast<double>(now.generation)},
                      {"outbox_objects", static_cast<double>(now.objects)},
                      {"unreadable_objects", static_cast<double>(now.unreadable.size())},
                      {"pending_pages", static_cast<double>(now.pending)}};
    return status;
  }

 private:
  Session& session_;
  const spec::Branch& branch_;
  std::unique_ptr<notify::Intake> intake_;
  std::unique_ptr<env::HttpClient> http_;
  std::unique_ptr<NotifierThread> notifier_;
};

}  // namespace

Role::Factory notify_factory(Session& session, const spec::Branch& branch, Hooks hooks) {
  return [&session, &branch, hooks = std::move(hooks)]() -> base::Result<std::unique_ptr<Steppable>> {
    TRY(const auto targets, targets_of(branch));
    notify::IntakeOptions options{.pages_root = session.paths.pages(branch.name),
                                  .local_directory = session.data_directory + "/" + branch.name + "/outbox",
                                  .targets = {},
                                  .list_interval = session.lake->local_path("") ? base::Duration(0) : kListRemote,
                                  .branch = branch.name,
                                  .say = [log = hooks.log, name = branch.name](const std::string& line) { log(name, line); }};
    for (const auto& target : targets) options.targets.push_back(target.name);
    TRY(auto intake, notify::Intake::open(std::move(options), *session.lake, *session.clock, *session.failpoints));
    auto role = std::make_unique<NotifyRole>(session, branch, std::move(intake));
    role->start(targets, hooks.print);
    return role;
  };
}

}  // namespace headpond::app
