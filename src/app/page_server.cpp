#include "app/page_server.h"

#include <algorithm>
#include <thread>

#include "app/notify_role.h"
#include "serve/server.h"

namespace headpond::app {
namespace {

// The roles of this process, and beside them the branches that run elsewhere, from their cursors.
class SystemSource final : public serve::StatusSource {
 public:
  SystemSource(const System& system, Session& session)
      : system_(system), cursors_(serve::cursor_source(*session.lake, session.paths.bronze)), topology_(session.topology) {}

  base::Result<std::vector<bronze::BranchStatus>> statuses() override {
    auto all = system_.statuses();
    std::erase_if(all, [](const auto& status) { return status.kind == kNotifier; });  // its branch's cursor is the engine's
    if (std::ranges::none_of(topology_.branches, &spec::Branch::external)) return all;
    const auto cursors = cursors_->statuses();
    if (!cursors) return all;  // what runs here is shown all the same
    for (const auto& cursor : *cursors)
      if (std::ranges::any_of(topology_.branches, [&](const auto& b) { return b.name == cursor.branch && b.external(); }) &&
          std::ranges::none_of(all, [&](const auto& s) { return s.branch == cursor.branch; }))
        all.push_back(cursor);
    return all;
  }

 private:
  const System& system_;
  std::unique_ptr<serve::StatusSource> cursors_;
  const spec::Topology& topology_;
};

class ThreadedServer final : public PageServer {
 public:
  ThreadedServer(std::unique_ptr<serve::StatusSource> source) : source_(std::move(source)) {}
  ~ThreadedServer() override { stop(); }

  base::Result<void> start(Session& session, const std::string& listen) {
    TRY(server_, serve::Server::open({.listen = listen}, {session.topology, *session.lake, session.paths, *session.clock, *source_,
                                                          session.data_directory + "/serve", env::process_metrics}));
    thread_ = std::thread([this] { (void)server_->run(); });
    return {};
  }
  std::string address() const override { return server_->address(); }
  void stop() override {
    if (server_) server_->stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::unique_ptr<serve::StatusSource> source_;
  std::unique_ptr<serve::Server> server_;
  std::thread thread_;
};

}  // namespace

base::Result<std::unique_ptr<PageServer>> PageServer::open(Session& session, const System* system, const std::string& listen) {
  std::unique_ptr<serve::StatusSource> source = system != nullptr
                                                    ? std::unique_ptr<serve::StatusSource>(std::make_unique<SystemSource>(*system, session))
                                                    : serve::cursor_source(*session.lake, session.paths.bronze);
  auto server = std::make_unique<ThreadedServer>(std::move(source));
  TRY_VOID(server->start(session, listen));
  return server;
}

}  // namespace headpond::app
