// `headpond pages`: recent transitions and what became of them.
#include <fmt/format.h>

#include "app/console.h"
#include "app/session.h"
#include "delta/log.h"

namespace headpond::app {

int run_pages(const CommonOptions& options) {
  int code = kOk;
  {
    auto session = Session::open(options, code);
    if (!session) return code;
    const auto* branch = session->branch(spec::BranchKind::kPager, "");
    if (branch == nullptr) return kWrongUse;
    const auto head = delta::Table(*session->lake, session->paths.pages(branch->name)).latest();
    if (!head) return complain(head.error());
    if (head->value() < 0) {
      fmt::print("no pages yet\n");
      return kOk;
    }
  }
  return run_sql(options,
                 "SELECT rule, key, seq, kind, boundary, round(value, 3) AS value, target, status, attempts, event_to_page_ms FROM pages "
                 "ORDER BY boundary DESC, rule, key, seq DESC LIMIT 50");
}

}  // namespace headpond::app
