#include "bronze/ranges.h"

#include "bronze/ledger.h"
#include "bronze/table_rules.h"

namespace headpond::bronze {

base::Result<TableClock> visit_ranges(env::ObjectStore& store, const std::string& table_root,
                                      const std::function<void(const StatedRange&)>& visit) {
  const delta::Table table(store, table_root);
  TRY(const auto newest, table.latest());
  if (newest < base::Version(0))
    return base::fail(base::ErrorKind::kNotFound, "no bronze table at " + place_of(table) + "; nothing to audit");
  TableClock clock;
  auto next = base::Version(0);
  TRY(const auto blocks, list_ledger(table));
  for (const auto& entry : blocks) {
    TRY(auto block, read_ledger_block(table, entry));
    if (block.first != next) return missing_version(table, next, newest);
    for (const auto& stated : block.ranges) visit({stated.source, stated.range, stated.gap_kinds});
    next = block.last.next();
    clock = std::move(block.clock);
  }
  for (auto version = next; version <= newest; version = version.next()) {
    const auto commit = table.read(version);
    if (!commit && commit.error().kind == base::ErrorKind::kNotFound) return missing_version(table, version, newest);
    if (!commit) return std::unexpected(commit.error());
    TRY(const auto facts, facts_of(*commit, table.path(delta::log_path(version))));
    TRY_VOID(clock.apply(facts));
    for (const auto& batch : facts.batches)
      for (const auto& range : batch.ranges) visit({batch.source, range, batch.gap_kinds});
  }
  return clock;
}

}  // namespace headpond::bronze
