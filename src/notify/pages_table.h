// The `pages` Delta table: one row a receipt, each exactly once.
//
// The table is a fold of the receipt objects: a commit holds the rows of the objects after the place the table has reached, and that place
// as the version of its Delta transaction "headpond-pages". A crash anywhere leaves nothing to repair. Columns: docs/formats/pages.md.
//
// Threads: one at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "delta/log.h"
#include "env/clock.h"
#include "env/object_store.h"
#include "notify/receipts.h"
#include "sql/engine.h"

namespace headpond::notify {

class PagesTable {
 public:
  // Borrows all. No I/O.
  PagesTable(env::ObjectStore& lake, std::string pages_root, std::string local_directory, env::Clock& clock, env::Random& random);

  // Commits the rows of what was receipted since; bounded. True: there may be more.
  // Errors: kRetry: call again. kInvalid: the table there is another one.
  base::Result<bool> write();

 private:
  base::Result<void> prepare();
  base::Result<delta::AddFile> make_file(const std::vector<ReceiptObject>& objects);

  env::ObjectStore& lake_;
  delta::Table table_;
  std::string local_directory_;
  env::Clock& clock_;
  env::Random& random_;
  std::unique_ptr<sql::Engine> sql_;
  std::optional<delta::Snapshot> snapshot_;
};

}  // namespace headpond::notify
