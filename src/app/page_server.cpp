#include "app/page_server.h"

#include <thread>

#include "serve/server.h"

namespace headpond::app {
namespace {

// The roles of this process.
class SystemSource final : public serve::StatusSource {
 public:
  explicit SystemSource(const System& system) : system_(system) {}
  base::Result<std::vector<bronze::BranchStatus>> statuses() override { return system_.statuses(); }

 private:
  const System& system_;
};

class ThreadedServer final : public PageServer {
 public:
  ThreadedServer(std::unique_ptr<serve::StatusSource> source) : source_(std::move(source)) {}
  ~ThreadedServer() override { stop(); }

  base::Result<void> start(Session& session, const std::string& listen) {
    TRY(server_, serve::Server::open({.listen = listen}, {session.topology, *session.lake, session.paths, *session.clock, *source_,
                                                          session.data_directory + "/serve"}));
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
                                                    ? std::unique_ptr<serve::StatusSource>(std::make_unique<SystemSource>(*system))
                                                    : serve::cursor_source(*session.lake, session.paths.bronze);
  auto server = std::make_unique<ThreadedServer>(std::move(source));
  TRY_VOID(server->start(session, listen));
  return server;
}

}  // namespace headpond::app
