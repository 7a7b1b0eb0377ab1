#include "app/pager_role.h"

#include "app/notifier_thread.h"
#include "app/wiring.h"
#include "env/http.h"
#include "pager/engine.h"

namespace headpond::app {
namespace {

class PagerRole final : public Steppable {
 public:
  PagerRole(std::unique_ptr<env::ObjectStore> checkpoints, std::unique_ptr<pager::Engine> engine, std::unique_ptr<env::HttpClient> http,
            std::shared_ptr<bool> afresh)
      : checkpoints_(std::move(checkpoints)), engine_(std::move(engine)), http_(std::move(http)), afresh_(std::move(afresh)) {}

  void start(NotifierThread::Opener opener) { notifier_ = std::make_unique<NotifierThread>(std::move(opener)); }
  pager::Engine& engine() { return *engine_; }
  env::HttpClient& http() { return *http_; }

  base::Result<bool> step() override {
    if (const auto error = notifier_->fatal()) return std::unexpected(*error);
    auto worked = engine_->step();
    if (engine_->generation() > 0) *afresh_ = false;  // claimed: opened again, it goes on with that one
    return worked;
  }

  // First the evaluation becomes durable, then what it made is sent once more and receipted.
  base::Result<void> drain() override {
    notifier_->join();
    TRY_VOID(engine_->drain());
    return notifier_->drain();
  }

  bronze::BranchStatus status() const override {
    auto status = engine_->status();
    if (status.message.empty()) status.message = notifier_->message();
    return status;
  }

 private:
  std::unique_ptr<env::ObjectStore> checkpoints_;  // null: in the lake
  std::unique_ptr<pager::Engine> engine_;
  std::unique_ptr<env::HttpClient> http_;
  std::shared_ptr<bool> afresh_;
  std::unique_ptr<NotifierThread> notifier_;
};

}  // namespace

base::Result<std::vector<pager::RuleFile>> read_rule_files(const spec::Topology& topology, const spec::Branch& branch) {
  TRY(const auto paths, expand_globs(topology, branch.rules));
  std::vector<pager::RuleFile> files;
  for (const auto& path : paths) {
    TRY(auto text, read_file(path));
    files.push_back({path, std::move(text)});
  }
  return files;
}

Role::Factory pager_factory(Session& session, const spec::Branch& branch, std::function<void(const std::string& page)> print,
                            bool new_generation) {
  return [&session, &branch, print = std::move(print),
          afresh = std::make_shared<bool>(new_generation)]() -> base::Result<std::unique_ptr<Steppable>> {
    TRY(const auto targets, targets_of(branch));
    TRY(const auto files, read_rule_files(session.topology, branch));
    const std::string directory = session.data_directory + "/" + branch.name;
    std::unique_ptr<env::ObjectStore> checkpoints;
    if (branch.state && !branch.state->checkpoints.empty()) {
      TRY(checkpoints, env::open_store(branch.state->checkpoints));
    }
    TRY(auto engine, pager::Engine::open(
                         session.topology, branch, files,
                         {*session.lake, session.paths, *session.clock, *session.random, *session.failpoints, directory, checkpoints.get()},
                         {.new_generation = *afresh}));
    auto role = std::make_unique<PagerRole>(std::move(checkpoints), std::move(engine), env::real_http_client(), afresh);
    notify::NotifierOptions options;
    options.branch = branch.name;
    options.pages_root = session.paths.pages(branch.name);
    options.local_directory = directory + "/notify";
    role->start([&session, targets, options, print, role = role.get()] {
      return notify::Notifier::open(options, targets, role->engine().outbox(),
                                    {*session.lake, *session.clock, *session.random, role->http(), *session.failpoints, print});
    });
    return role;
  };
}

}  // namespace headpond::app
