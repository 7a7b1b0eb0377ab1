#include "deploy/start.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/time.h"
#include "bronze/tail.h"
#include "delta/log.h"

namespace headpond::deploy {
namespace {

std::string text(base::Micros at) {
  return base::format_rfc3339(base::floor_to(at, base::kSecond));
}

base::Result<base::Micros> committed_at(const delta::Table& table, std::int64_t version) {
  TRY(const auto commit, table.read(base::Version(version)));
  return base::Micros(commit.timestamp_ms * 1000);
}

// The newest version committed before `at`, or oldest − 1.
base::Result<std::int64_t> last_before(const delta::Table& table, std::int64_t oldest, std::int64_t newest, base::Micros at) {
  std::int64_t low = oldest - 1, high = newest;  // low: before `at`, or none; what is above high is not
  while (low < high) {
    const std::int64_t middle = low + (high - low + 1) / 2;
    TRY(const auto when, committed_at(table, middle));
    if (when < at)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

// What a checkpoint's files still hold of the versions whose entries are gone.
struct Kept {
  base::Version behind{-1};  // no row that arrived at `from` or later is of this version or an older one
  base::Micros begins;       // first arrival of all
};

// None: the log was not cleaned, no checkpoint leads over what is missing, or its files have no rows from `from` on.
base::Result<std::optional<Kept>> kept_in_files(env::ObjectStore& lake, const std::string& bronze_root, base::Micros from) {
  auto tail = bronze::Tail::open(lake, bronze_root, base::Version(-1), {.files_max = 1});
  if (!tail && tail.error().kind == base::ErrorKind::kCorrupt) return std::nullopt;  // the job, if it needs them, says what is missing
  if (!tail) return std::unexpected(std::move(tail).error());
  std::optional<Kept> kept;
  std::optional<base::Micros> begins;
  for (base::Version before(-1); tail->gap_to() != nullptr;) {
    TRY(const auto step, tail->next());
    if (!step) break;
    for (const auto& file : step->files) {
      begins = begins ? std::min(*begins, file.arrival_min) : file.arrival_min;
      if (!kept && file.arrival_max >= from) kept = Kept{before, {}};
    }
    before = step->version;
  }
  if (kept) kept->begins = *begins;
  return kept;
}

}  // namespace

base::Result<std::optional<Checkpoint>> newest_checkpoint(env::ObjectStore& store, const std::string& prefix) {
  constexpr std::string_view kMark = "/_metadata";
  TRY(const auto listed, store.list(prefix));
  std::optional<Checkpoint> newest;
  for (const auto& object : listed) {
    if (!object.path.ends_with(kMark)) continue;
    if (!newest || object.modified >= newest->modified)
      newest = Checkpoint{object.path.substr(0, object.path.size() - kMark.size()), object.modified};
  }
  return newest;
}

base::Duration reach_of(const rules::FoldGroup& fold, const rules::Rule& rule) {
  base::Duration longest = rule.window;
  for (const int index : rule.counters) {
    const auto& counter = fold.counters[static_cast<std::size_t>(index)];
    longest = std::max({longest, counter.window + counter.coarse, counter.seen_within});
  }
  return longest + fold.lateness + rule.hold + rule.keep_firing;
}

base::Result<ColdStart> cold_start(env::ObjectStore& lake, const std::string& bronze_root, const rules::Program& program,
                                   const spec::BronzeSpec& bronze, base::Micros claim) {
  const delta::Table table(lake, bronze_root);
  TRY(const auto newest, table.latest());
  if (newest.value() < 0) return base::fail(base::ErrorKind::kNotFound, "no bronze table at " + lake.describe() + bronze_root);
  TRY(const auto first_entry, table.oldest());
  const auto oldest = std::max<std::int64_t>(0, first_entry.value());
  TRY(auto begins, committed_at(table, oldest));

  base::Duration reach(0);
  for (const auto& fold : program.folds)
    for (const auto& rule : fold.rules) reach = std::max(reach, reach_of(fold, rule));
  // A row of a version committed at C has a ts of at most C + max_future: what a producer's clock may run ahead.
  const base::Duration ahead = bronze.max_future + bronze.max_clock_error;
  TRY(const auto before, last_before(table, oldest, newest.value(), claim - reach - ahead));

  ColdStart start;
  start.behind = base::Version(before);
  if (before >= oldest) {
    start.sees_rows_from = claim - reach;
    return start;
  }
  // Entries that are gone: their rows are in the files of the checkpoint the log begins with, and the job goes over such a gap.
  const char* why = oldest > 0 ? "the log reaches back to" : "bronze begins at";
  if (oldest > 0) {
    TRY(const auto kept, kept_in_files(lake, bronze_root, claim - reach - ahead));
    if (kept && kept->begins < begins) {
      start.behind = kept->behind;
      begins = kept->begins;
      why = "bronze's rows reach back to";
    }
    start.sees_rows_from = std::max(begins + ahead, claim - reach);
    if (begins < claim - reach - ahead) return start;
  }
  for (const auto& fold : program.folds)
    for (const auto& rule : fold.rules) {
      const auto until = begins + reach_of(fold, rule);
      if (until > claim)
        start.blind.push_back(fmt::format("rule {} is blind until {}: {} {}, and it looks back {}", rule.name, text(until), why,
                                          text(begins), base::format_duration(reach_of(fold, rule))));
    }
  return start;
}

}  // namespace headpond::deploy
