// The page for people and the API for programs: HTTP on a loopback address, read-only, over what the branches have published.
// API: docs/formats/api.md.
//
//   TRY(auto server, serve::Server::open({.listen = "127.0.0.1:8080"}, sources));
//   std::thread([&] { server->run(); });   // until stop()
//   server->stop();
//
// It sees statuses, gold, pages and bills, and never the engines that made them; so it runs beside them or alone.
// Threads: open and run from one; stop and address from any. run() has a pool for connections and one thread that follows the tables.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "bronze/cursor.h"
#include "env/clock.h"
#include "env/object_store.h"
#include "spec/topology.h"

namespace headpond::serve {

// Where the branches' statuses come from: the roles of this process, or the cursors in the lake. Threads: called from one of serve's own.
class StatusSource {
 public:
  virtual ~StatusSource() = default;
  virtual base::Result<std::vector<bronze::BranchStatus>> statuses() = 0;
};

// Reads the cursors that branches publish into the bronze table. Borrows `lake`.
std::unique_ptr<StatusSource> cursor_source(env::ObjectStore& lake, std::string bronze_root);

// Borrowed; they outlive the server.
struct Sources {
  const spec::Topology& topology;
  env::ObjectStore& lake;
  spec::LakePaths paths;
  env::Clock& clock;
  StatusSource& statuses;
  std::string local_directory;                                    // for DuckDB's spilling
  std::function<std::vector<base::MetricFamily>()> process = {};  // what /metrics says of this process. Threads: any
};

struct Options {
  std::string listen = "127.0.0.1:8080";  // "host:port"; port 0 = a free one
  int connections_max = 64;               // at a time; half of them event streams at most
  std::int64_t memory_bytes = 512ll << 20;
};

class Server {
 public:
  // Binds the address. Errors: kInvalid: not a loopback address, or it is taken, with the mend.
  static base::Result<std::unique_ptr<Server>> open(const Options& options, const Sources& sources);
  virtual ~Server() = default;

  // Serves until stop(). Errors: kRetry: the socket failed.
  virtual base::Result<void> run() = 0;
  // Returns at once, and run() soon after, also one that is called later.
  virtual void stop() = 0;
  virtual std::string address() const = 0;  // "http://127.0.0.1:8080"
};

// Host and port of "127.0.0.1:8080", "localhost:8080", "[::1]:8080". Errors: kInvalid: not that, or not loopback.
struct ListenAddress {
  std::string host;
  int port = 0;
};
base::Result<ListenAddress> parse_listen(const std::string& listen);

}  // namespace headpond::serve
