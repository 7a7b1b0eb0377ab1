// What a page carries to be believed: window, bronze versions, up to three sample rows, and the `headpond sql` line that shows the rest.
// Threads: one at a time.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "bronze/tail.h"
#include "delta/log.h"
#include "env/object_store.h"
#include "rules/program.h"
#include "rules/transition.h"
#include "sql/engine.h"

namespace headpond::pager {

class Evidence {
 public:
  // Versions further back than `reach` in event time are of no use.
  Evidence(const env::ObjectStore& store, std::string table_root, base::Duration reach);

  // Remembers the files of a version; a bounded number of them.
  void add(const bronze::Step& step);
  // Fills a firing transition's evidence; `samples` also reads rows. What cannot be read is left out: a page never waits for it.
  void fill(rules::Transition& transition, const rules::FoldGroup& fold, const rules::Rule& rule, sql::Engine& sql,
            const std::vector<delta::Field>& schema, bool samples);

 private:
  struct Seen {
    base::Version version;
    base::Micros ts_min, ts_max;
    std::string path;
    std::int64_t rows = 0;
  };
  struct Source {
    std::string path;
    std::int64_t rows = 0;
  };
  std::vector<std::string> read_samples(const std::string& where, const std::vector<Source>& newest_first, sql::Engine& sql,
                                        const std::vector<delta::Field>& schema);

  const env::ObjectStore& store_;
  std::string table_root_;
  base::Duration reach_;
  base::Micros newest_{0};
  std::deque<Seen> files_;
  std::int64_t rows_left_ = 0;  // that samples may still read for this version
};

}  // namespace headpond::pager
