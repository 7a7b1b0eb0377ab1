#include "bronze/tail.h"

#include <algorithm>
#include <charconv>
#include <ranges>
#include <tuple>

#include "bronze/table_rules.h"
#include "delta/checkpoint.h"

namespace headpond::bronze {
namespace {

// So many polls that find nothing, between two looks (a LIST) at whether the next version was lost or cleaned while later ones exist.
constexpr int kPollsBetweenGapChecks = 512;

bool is_missing(const base::Error& error) {
  return error.kind == base::ErrorKind::kNotFound;
}

// A file of a checkpoint, with the versions whose rows it holds. Errors: kCorrupt.
base::Result<GapFile> gap_file(const delta::AddFile& add) {
  std::int64_t first = -1, last = -1;
  if (const auto tag = add.tags.find("headpond.versions"); tag != add.tags.end()) {
    const auto& text = tag->second;
    const auto* end = text.data() + text.size();
    const auto [dash, bad] = std::from_chars(text.data(), end, first);
    if (bad == std::errc() && dash != end && *dash == '-') std::from_chars(dash + 1, end, last);
  }
  if (first < 0 || last < first)
    return base::fail(base::ErrorKind::kCorrupt,
                      "file " + add.path + " in a checkpoint: no tag headpond.versions; restore the checkpoint from a copy");
  TRY(auto file, data_file(add));
  return GapFile{std::move(file), base::Version(first), base::Version(last), {}};
}

}  // namespace

base::Result<Tail> Tail::open(env::ObjectStore& store, const std::string& table_root, base::Version after, GapPiece piece) {
  Tail tail(delta::Table(store, table_root));
  tail.piece_ = piece;
  TRY_VOID(tail.begin(after));
  TRY_VOID(tail.replay(after));
  return tail;
}

base::Result<Tail> Tail::open_newest(env::ObjectStore& store, const std::string& table_root) {
  Tail tail(delta::Table(store, table_root));
  TRY(auto newest, newest_log_checkpoint(tail.table_, std::nullopt));
  if (newest)
    tail.stand_at(std::move(*newest));
  else
    TRY_VOID(tail.begin_at_zero());
  return tail;
}

void Tail::stand_at(LogCheckpoint checkpoint) {
  version_ = checkpoint.version;
  clock_ = std::move(checkpoint.clock);
  metadata_ = std::move(checkpoint.metadata);
}

// Somewhere not beyond `after`.
base::Result<void> Tail::begin(base::Version after) {
  if (after >= base::Version(0)) {
    TRY(auto checkpoint, newest_log_checkpoint(table_, after));
    if (checkpoint) return stand_at(std::move(*checkpoint)), base::Result<void>();
  }
  TRY_VOID(begin_at_zero());
  if (!behind_gap_ || after < base::Version(0)) return {};
  TRY(behind_gap_, behind_cleaned_log(table_, base::Version(0), after));
  if (behind_gap_) return {};
  return base::fail(base::ErrorKind::kCorrupt, "the log of the bronze table at " + place_of(table_) +
                                                   " was cleaned, and no checkpoint leads over it from version " +
                                                   std::to_string(after.value()) + " on; run `headpond audit`");
}

base::Result<void> Tail::begin_at_zero() {
  auto first = table_.read(base::Version(0));
  if (!first && is_missing(first.error())) {
    TRY(const auto newest, table_.latest());
    if (newest < base::Version(0))
      return base::fail(base::ErrorKind::kNotFound, "no bronze table at " + place_of(table_) + " yet; `headpond ingest` creates it");
    first = table_.read(base::Version(0));  // it may have been created between the look and the list
    if (!first && is_missing(first.error())) {
      TRY(behind_gap_, behind_cleaned_log(table_, base::Version(0), base::Version(-1)));
      return behind_gap_ ? base::Result<void>() : missing_version(table_, base::Version(0), newest);
    }
  }
  if (!first) return std::unexpected(std::move(first).error());
  return check_first_commit(table_, *first);
}

base::Result<void> Tail::replay(base::Version after) {
  while (version_ < after && !behind_gap_) {
    TRY(const auto step, follow());
    if (step) continue;
    TRY(behind_gap_, behind_cleaned_log(table_, version_.next(), after));
    if (behind_gap_) break;
    TRY(const auto newest, table_.latest(version_));
    if (newest > version_.next()) return missing_version(table_, version_.next(), newest);
    return base::fail(base::ErrorKind::kCorrupt, "the bronze table at " + place_of(table_) + " ends at version " +
                                                     std::to_string(version_.value()) + ", but version " + std::to_string(after.value()) +
                                                     " was consumed before: it is another table, or was restored from an old copy; give "
                                                     "the branch a state that belongs to it");
  }
  if (!behind_gap_) return {};
  version_ = after;  // what the table was there is no longer known
  clock_ = {};
  return {};
}

base::Result<void> Tail::list_gap() {
  gap_files_.clear();
  gap_at_ = 0;
  auto read = delta::read_checkpoint(table_, behind_gap_->version, [&](const delta::AddFile& add) -> base::Result<void> {
    TRY(auto file, gap_file(add));
    if (file.last > version_) gap_files_.push_back(std::move(file));
    return {};
  });
  if (!read && is_missing(read.error())) read.error().kind = base::ErrorKind::kRetry;  // cleaned this very moment
  if (!read) return std::unexpected(std::move(read).error());
  // By version, so that rows of a partition come in order of offset.
  std::ranges::sort(gap_files_, {}, [](const GapFile& f) { return std::tuple(f.first, f.file.arrival_min, f.file.path); });
  std::optional<base::Micros> from;
  for (auto& f : gap_files_ | std::views::reverse) {
    from = from ? std::min(*from, f.file.arrival_min) : f.file.arrival_min;
    f.arrival_from = *from;
  }
  metadata_ = behind_gap_->metadata;
  return {};
}

// Requires list_gap(). Files whose versions overlap stay together: only then are positions between two pieces true.
Step Tail::next_piece() {
  Step step;
  step.committed_at = behind_gap_->committed_at;
  step.gap = true;
  step.clock = behind_gap_->clock;
  std::int64_t rows = 0;
  for (; gap_at_ < gap_files_.size(); ++gap_at_) {
    auto& next = gap_files_[gap_at_];
    const bool full = step.files.size() >= piece_.files_max || rows + next.file.rows > piece_.rows_max;
    if (full && !step.files.empty() && next.first > step.version) {
      step.rest_from = next.arrival_from;
      return step;
    }
    step.version = std::max(step.version, next.last);
    rows += next.file.rows;
    step.files.push_back(std::move(next.file));
  }
  stand_at(std::move(*behind_gap_));
  behind_gap_.reset();
  gap_files_ = {};
  gap_at_ = 0;
  step.version = version_;
  return step;
}

// The next version is not there, for long: it may be lost, or cleaned.
base::Result<std::optional<Step>> Tail::overdue() {
  const auto version = version_.next();
  TRY(const auto newest, table_.latest(version_));
  if (newest <= version) return std::nullopt;
  const auto commit = table_.read(version);  // it may have been committed between the look and the list
  if (commit || !is_missing(commit.error())) return std::nullopt;
  TRY(behind_gap_, behind_cleaned_log(table_, version, version_));
  if (!behind_gap_) return missing_version(table_, version, newest);
  return next();
}

base::Result<std::optional<Step>> Tail::next() {
  if (behind_gap_) {
    if (gap_at_ == 0) TRY_VOID(list_gap());
    return next_piece();
  }
  TRY(auto step, follow());
  if (!step && ++polls_in_vain_ % kPollsBetweenGapChecks == 0) return overdue();
  if (step) polls_in_vain_ = 0;
  return step;
}

// The next version, if its entry is there.
base::Result<std::optional<Step>> Tail::follow() {
  const auto version = version_.next();
  const auto commit = table_.read(version);
  if (!commit && is_missing(commit.error())) return std::nullopt;
  if (!commit) return std::unexpected(commit.error());

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
