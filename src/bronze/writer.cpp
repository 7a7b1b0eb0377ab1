#include "bronze/writer.h"

#include <algorithm>
#include <atomic>
#include <deque>

#include "bronze/open_table.h"
#include "bronze/rebase.h"
#include "bronze/stage.h"
#include "bronze/table_rules.h"
#include "delta/checkpoint.h"

namespace headpond::bronze {
namespace {

// A commit that loses so often in a row gives up; each loss means that somebody else's commit succeeded.
constexpr int kPutsMax = 256;
constexpr auto kSlowPut = base::Duration::millis(250);

class TableWriter final : public Writer {
 public:
  TableWriter(const TableSpec& spec, const WriterOptions& options, WriterWorld world, delta::Table table, OpenedTable opened)
      : spec_(spec),
        options_(options),
        world_(world),
        table_(std::move(table)),
        version_(opened.version),
        metadata_(std::move(opened.metadata)),
        clock_(std::move(opened.clock)) {
    const auto tenant =
        std::ranges::find_if(spec_.declared, [](const auto& c) { return c.name == "tenant" && c.type == columns::Type::kString; });
    const int tenant_column = tenant == spec_.declared.end() ? -1 : static_cast<int>(tenant - spec_.declared.begin());
    for (std::size_t i = 0; i < options_.lanes; ++i)
      stages_.emplace_back(StageWorld{spec_, options_, world_, table_, tenant_column, dead_});
    saw_head();
  }

  const TableClock& table_clock() const override { return clock_; }
  base::Version version() const override { return version_; }
  Stage& stage(std::size_t lane) override { return stages_.at(lane); }
  base::Result<CommitResult> publish(std::vector<std::unique_ptr<Cut>> cuts, const CommitRequest& request) override;
  base::Result<void> follow() override;

 private:
  enum class Outcome { kWon, kLost, kNotThere };

  // What an error leaves half done is discarded with the Writer, never published.
  template <class Result>
  Result or_dead(Result result) {
    if (!result) dead_ = true;
    return result;
  }
  base::Result<void> alive() const {
    if (!dead_) return {};
    return base::fail(base::ErrorKind::kRetry, "this writer of " + place_of(table_) + " failed before; open the table again");
  }
  void saw_head() {
    head_seen_ = world_.clock.monotonic();
    head_seen_at_ = world_.clock.now();
  }
  base::Result<void> check_log_is_whole();
  base::Result<CommitResult> put(const WholeCut& cut, const CommitRequest& request);
  delta::Commit commit_of(const WholeCut& cut, const CommitFacts& facts, base::Version version) const;
  base::Result<Outcome> look_at(base::Version version, const std::string& txn_id);

  TableSpec spec_;
  WriterOptions options_;
  WriterWorld world_;
  delta::Table table_;
  base::Version version_;
  delta::Metadata metadata_;
  TableClock clock_;
  std::atomic<bool> dead_ = false;
  base::Duration head_seen_;  // monotonic
  base::Micros head_seen_at_;
  std::deque<TableStage> stages_;
};

delta::Commit TableWriter::commit_of(const WholeCut& cut, const CommitFacts& facts, base::Version version) const {
  delta::Commit commit;
  commit.timestamp_ms = world_.clock.now().value() / 1000;
  commit.operation = "STREAMING UPDATE";
  commit.blind_append = true;
  commit.headpond = to_json(facts);
  if (const auto* const staged = cut.staged())
    for (const auto& [id, rows] : staged->partitions())
      commit.txns.push_back({txn_app_id(metadata_.name, {staged->source(), id}), rows.last.value()});
  commit.adds = cut.adds(version);
  return commit;
}

// Reads the version somebody has taken, and follows it if it is not ours.
base::Result<TableWriter::Outcome> TableWriter::look_at(base::Version version, const std::string& txn_id) {
  const auto commit = table_.read(version);
  if (!commit) {
    if (commit.error().kind == base::ErrorKind::kNotFound) return Outcome::kNotThere;
    if (commit.error().kind != base::ErrorKind::kRetry) return std::unexpected(commit.error());
    return base::fail(base::ErrorKind::kUnknown, commit.error().message + " (while looking whether this commit was published)");
  }
  TRY(const auto facts, facts_of(*commit, table_.path(delta::log_path(version))));
  if (!txn_id.empty() && std::ranges::any_of(facts.batches, [&](const auto& b) { return b.txn_id == txn_id; })) return Outcome::kWon;
  if (commit->protocol) TRY_VOID(check_protocol(table_, *commit->protocol));
  if (commit->metadata) {
    const auto wanted = schema_fields(spec_.declared);
    TRY(const auto merged, merged_schema(table_, commit->metadata->schema, wanted));
    if (merged.size() != commit->metadata->schema.size())
      return base::fail(base::ErrorKind::kFenced, "version " + std::to_string(version.value()) + " of " + place_of(table_) +
                                                      " removed columns this ingester writes; open the table again");
    metadata_ = *commit->metadata;
  }
  TRY_VOID(clock_.apply(facts));
  version_ = version;
  return Outcome::kLost;
}

// Where the log was cleaned, a conditional put finds its place free again: it would succeed, and no reader would ever see it.
base::Result<void> TableWriter::check_log_is_whole() {
  if (world_.clock.monotonic() - head_seen_ < kHeldUpMax && world_.clock.now() - head_seen_at_ < kHeldUpMax) return {};
  TRY(const auto newest, delta::last_checkpoint(table_));
  if (newest && newest->version > version_) {
    const auto next = table_.read(version_.next());
    if (!next && next.error().kind == base::ErrorKind::kNotFound)
      return base::fail(base::ErrorKind::kFenced, "the log of " + place_of(table_) + " was cleaned beyond version " +
                                                      std::to_string(version_.value()) +
                                                      ", at which this ingester was held up; this batch is dropped, open the table again");
  }
  saw_head();
  return {};
}

base::Result<CommitResult> TableWriter::put(const WholeCut& cut, const CommitRequest& request) {
  const auto* const staged = cut.staged();
  const auto basis = basis_of(clock_, request.stalled);
  std::string txn_id;
  if (staged != nullptr) {
    const auto a = world_.random.next();
    txn_id = delta::make_uuid(a, world_.random.next());
  }
  TRY_VOID(check_log_is_whole());
  if (options_.shared) TRY_VOID(follow());
  for (int attempt = 0; attempt < kPutsMax; ++attempt) {
    TRY(auto facts, facts_on(clock_, staged, request, basis));
    if (says_nothing(facts)) return CommitResult{.version = version_};
    const auto version = version_.next();
    const auto adds = cut.adds(version);
    for (auto& batch : facts.batches) {
      batch.txn_id = txn_id;
      batch.writer = options_.writer_id;
      for (const auto& add : adds) batch.files.push_back(add.path);
    }
    auto after = clock_;
    if (const auto fold = after.apply(facts); !fold)  // never publish what readers would refuse
      return base::fail(base::ErrorKind::kCorrupt,
                        "this commit would contradict the table: " + fold.error().message + "; please report this");
    const auto asked = world_.clock.monotonic();
    auto put = table_.put(version, commit_of(cut, facts, version));
    world_.failpoints.reach("ingest.after_log_put");
    bool won = put.has_value();
    if (!put) {
      if (put.error().kind != base::ErrorKind::kConflict && put.error().kind != base::ErrorKind::kUnknown)
        return std::unexpected(std::move(put).error());
      TRY(const auto outcome, look_at(version, txn_id));
      won = outcome == Outcome::kWon;
      // Others need as long for the version behind the one that has won, so it is not worth a read whether that is there: only after a slow
      // PUT.
      if (outcome == Outcome::kLost && options_.shared && world_.clock.monotonic() - asked > kSlowPut) TRY_VOID(follow());
    }
    if (!won) continue;
    clock_ = std::move(after);
    version_ = version;
    return CommitResult{.version = version,
                        .rows = staged == nullptr ? 0 : staged->rows(),
                        .bytes = staged == nullptr ? 0 : staged->bytes(),
                        .file_bytes = cut.file_bytes()};
  }
  return base::fail(base::ErrorKind::kRetry,
                    "the table at " + place_of(table_) + " was committed to by others " + std::to_string(kPutsMax) +
                        " times in a row while this ingester tried; run fewer ingesters or a longer commit_interval");
}

base::Result<CommitResult> TableWriter::publish(std::vector<std::unique_ptr<Cut>> cuts, const CommitRequest& request) {
  TRY_VOID(alive());
  WholeCut cut(std::move(cuts));
  const auto begin = world_.clock.monotonic();
  // Most of what others did since the last commit is read before the files go out, so that little is left to read before the log entry.
  if (options_.shared) TRY_VOID(or_dead(follow()));
  TRY_VOID(or_dead(cut.close()));
  const auto visible = world_.clock.monotonic();
  TRY(auto result, or_dead(put(cut, request)));
  result.files_ms = (visible - begin).to_seconds() * 1000;
  result.log_ms = (world_.clock.monotonic() - visible).to_seconds() * 1000;
  return result;
}

base::Result<void> TableWriter::follow() {
  while (true) {
    TRY(const auto outcome, look_at(version_.next(), ""));
    if (outcome == Outcome::kNotThere) return {};
  }
}

}  // namespace

base::Result<std::unique_ptr<Writer>> Writer::open(const TableSpec& spec, const WriterOptions& options, WriterWorld world) {
  delta::Table table(world.store, spec.root);
  TRY(auto opened, open_table(table, spec, world));
  return std::make_unique<TableWriter>(spec, options, world, std::move(table), std::move(opened));
}

}  // namespace headpond::bronze
