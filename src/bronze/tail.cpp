#include "bronze/tail.h"

#include "bronze/table_rules.h"

namespace headpond::bronze {
namespace {

// So many polls that find nothing, between two looks (a LIST) at whether the next version was lost while later ones exist.
constexpr int kPollsBetweenGapChecks = 512;

}  // namespace

base::Result<Tail> Tail::open(env::ObjectStore& store, const std::string& table_root, base::Version after) {
  Tail tail(delta::Table(store, table_root));
  auto first = tail.table_.read(base::Version(0));
  if (!first && first.error().kind == base::ErrorKind::kNotFound) {
    TRY(const auto newest, tail.table_.latest());
    if (newest < base::Version(0))
      return base::fail(base::ErrorKind::kNotFound, "no bronze table at " + place_of(tail.table_) + " yet; `headpond ingest` creates it");
    first = tail.table_.read(base::Version(0));  // it may have been created between the look and the list
    if (!first && first.error().kind == base::ErrorKind::kNotFound) return missing_version(tail.table_, base::Version(0), newest);
  }
  if (!first) return std::unexpected(std::move(first).error());
  TRY_VOID(check_first_commit(tail.table_, *first));
  while (tail.version_ < after) {
    TRY(const auto step, tail.next());
    if (!step) {
      TRY(const auto newest, tail.table_.latest(tail.version_));
      if (newest > tail.version_.next()) return missing_version(tail.table_, tail.version_.next(), newest);
      return base::fail(base::ErrorKind::kCorrupt, "the bronze table at " + place_of(tail.table_) + " ends at version " +
                                                       std::to_string(tail.version_.value()) + ", but version " +
                                                       std::to_string(after.value()) +
                                                       " was consumed before: it is another table, or was restored from an old copy; give "
                                                       "the branch a state that belongs to it");
    }
  }
  return tail;
}

base::Result<std::optional<Step>> Tail::next() {
  const auto version = version_.next();
  auto commit = table_.read(version);
  if (!commit && commit.error().kind == base::ErrorKind::kNotFound) {
    if (++polls_in_vain_ % kPollsBetweenGapChecks == 0) {
      TRY(const auto newest, table_.latest(version_));
      if (newest > version) commit = table_.read(version);  // it may have been committed between the look and the list
      if (newest > version && !commit && commit.error().kind == base::ErrorKind::kNotFound) return missing_version(table_, version, newest);
    }
    return std::nullopt;
  }
  if (!commit) return std::unexpected(std::move(commit).error());
  polls_in_vain_ = 0;

  const auto name = table_.path(delta::log_path(version));
  Step step;
  step.version = version;
  step.committed_at = base::Micros(commit->timestamp_ms * 1000);
  TRY(step.facts, facts_of(*commit, name));
  for (const auto& add : commit->adds) {
    if (!add.data_change) continue;
    TRY(auto file, data_file(add));
    step.files.push_back(std::move(file));
  }
  auto clock = clock_;
  if (auto applied = clock.apply(step.facts); !applied)
    return base::fail(applied.error().kind, name + ": " + applied.error().message + "; run `headpond audit`");
  clock_ = std::move(clock);
  step.clock = clock_;
  if (commit->metadata) metadata_ = *commit->metadata;
  version_ = version;
  return step;
}

}  // namespace headpond::bronze
