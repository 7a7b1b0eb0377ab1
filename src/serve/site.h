// What the server answers, without the socket: follows statuses, gold, pages and bills, and turns a request into an answer.
//
// Threads: refresh() from one; handle() and wait() from any.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "serve/documents.h"
#include "serve/minutes.h"
#include "serve/server.h"
#include "sql/engine.h"

namespace headpond::serve {

struct Request {
  std::string path;  // "/api/status"
  std::map<std::string, std::string> parameters;
};

struct Answer {
  int status = 200;
  std::string type = "application/json";
  std::string body;
};

class Site {
 public:
  static base::Result<std::unique_ptr<Site>> open(const Sources& sources, std::int64_t memory_bytes);

  // Reads what is new everywhere. Trouble with one source leaves the others; it is kept and shown.
  void refresh();
  Answer handle(const Request& request);

  // The status document newer than the `seen`-th, for event streams; none after `timeout` or end().
  struct Tick {
    std::int64_t number = 0;
    std::string status;
  };
  std::optional<Tick> wait(std::int64_t seen, base::Duration timeout);
  // Returns after `time`, or at end().
  void pause(base::Duration time);
  // Wakes all waiters for good.
  void end();
  bool ended() const;

 private:
  struct Board {
    std::string branch;
    std::unique_ptr<Minutes> minutes;
  };
  struct Pages {
    std::string branch;
    delta::Table table;
    delta::Snapshot snapshot;
    std::string document;
  };

  Site(const Sources& sources, std::unique_ptr<sql::Engine> sql);
  void refresh_boards(base::Micros now);
  void refresh_pages();
  void refresh_bill(base::Micros now);
  void note(const std::string& source, const base::Result<void>& result);
  std::optional<Standing> standing_of(const std::string& branch) const;
  Board* board_of(const std::string& branch);

  Answer dashboard(const Request& request);
  Answer csv(const Request& request);
  Answer bill_file(const std::string& name);
  Answer ready(const std::string& only) const;

  const Sources sources_;
  std::unique_ptr<sql::Engine> sql_;
  const std::string topology_;
  mutable std::mutex mutex_;  // all below, and sql_
  std::vector<Board> boards_;
  std::vector<Pages> pages_;
  std::string billing_branch_, bill_ = "null";
  base::Micros bill_read_at_;
  std::vector<Standing> standings_;
  std::map<std::string, std::string> troubles_;  // by source
  bool refreshed_ = false;

  mutable std::mutex tick_mutex_;
  std::condition_variable tick_;
  Tick current_;
  bool ended_ = false;
};

}  // namespace headpond::serve
