#include "bronze/log_upkeep.h"

#include <algorithm>

#include "base/time.h"
#include "bronze/cursor.h"
#include "bronze/ledger.h"
#include "bronze/log_checkpoint.h"
#include "bronze/table_rules.h"
#include "bronze/writer.h"

namespace headpond::bronze {
namespace {

// Delta's own default: how long a checkpoint remembers a removed file.
constexpr base::Duration kRemoveMemory = base::Duration::hours(24 * 7);
constexpr std::string_view kIngest = "ingest";
constexpr auto kIngesterGone = kHeldUpMax * 2;  // its writer looks before it commits again
constexpr base::Duration kYoung = base::Duration::hours(1);

struct Entry {
  base::Version version;
  std::string path;
  std::int64_t bytes;
};

class Upkeep {
 public:
  Upkeep(env::ObjectStore& store, const std::string& root, const UpkeepOptions& options, UpkeepWorld world)
      : table_(store, root), options_(options), world_(world) {}
  base::Result<UpkeepReport> run();

 private:
  base::Result<std::vector<Entry>> entries(base::Version after) const;
  base::Result<void> write_checkpoint();
  base::Result<LogCheckpoint> merge(const LogCheckpoint* base, base::Version to, delta::Checkpoint& written);
  base::Result<void> find_checkpoints();
  base::Result<base::Version> cursor_limit();
  base::Result<std::optional<base::Version>> choose_beginning();
  base::Result<void> fold_into_ledger(base::Version to);
  base::Result<void> delete_entries(base::Version before);
  base::Result<void> delete_checkpoints(base::Version keep);
  base::Result<delta::Commit> read(base::Version version) const;
  base::Result<void> go_on() const {
    if (world_.stop == nullptr || !*world_.stop) return {};
    return base::fail(base::ErrorKind::kRetry, "the upkeep of " + place_of(table_) + " was asked to stop");
  }

  delta::Table table_;
  const UpkeepOptions& options_;
  UpkeepWorld world_;
  UpkeepReport report_;
  std::vector<KnownCheckpoint> checkpoints_;  // rising
};

base::Result<std::vector<Entry>> Upkeep::entries(base::Version after) const {
  TRY(const auto objects,
      table_.store().list(table_.path("_delta_log/"), after < base::Version(0) ? "" : table_.path(delta::log_path(after))));
  std::vector<Entry> out;
  for (const auto& object : objects)
    if (const auto version = delta::log_version(object.path)) out.push_back({*version, object.path, object.size});
  return out;
}

// An entry that must be there.
base::Result<delta::Commit> Upkeep::read(base::Version version) const {
  TRY_VOID(go_on());
  auto commit = table_.read(version);
  if (commit || commit.error().kind != base::ErrorKind::kNotFound) return commit;
  TRY(const auto block, last_ledger_block(table_));
  if (block && block->last >= version)
    return base::fail(base::ErrorKind::kRetry, "another upkeep of " + place_of(table_) + " was faster; nothing is lost");
  return base::fail(base::ErrorKind::kCorrupt, table_.path(delta::log_path(version)) +
                                                   " is missing, so neither a checkpoint nor the ledger can be written beyond it; run "
                                                   "`headpond audit` and restore it from a copy");
}

base::Result<LogCheckpoint> Upkeep::merge(const LogCheckpoint* base, base::Version to, delta::Checkpoint& written) {
  TRY(const auto writer,
      delta::CheckpointWriter::open(table_, base == nullptr ? std::nullopt : std::optional(base->version), options_.scratch));
  LogCheckpoint out;
  if (base != nullptr) out.clock = base->clock;
  for (auto v = base == nullptr ? base::Version(0) : base->version.next(); v <= to; v = v.next()) {
    TRY(const auto commit, read(v));
    if (v == base::Version(0)) TRY_VOID(check_first_commit(table_, commit));
    const auto name = table_.path(delta::log_path(v));
    TRY(const auto facts, facts_of(commit, name));
    if (const auto applied = out.clock.apply(facts); !applied)
      return base::fail(applied.error().kind, name + ": " + applied.error().message + "; run `headpond audit`");
    TRY_VOID(writer->apply(commit));
    out.committed_at = base::Micros(commit.timestamp_ms * 1000);
  }
  TRY(written, writer->write(to, (out.committed_at - kRemoveMemory).value() / 1000));
  out.version = to;
  out.files = written.files;
  out.rows = written.rows;
  out.protocol = writer->protocol();
  out.metadata = writer->metadata();
  return out;
}

base::Result<void> Upkeep::write_checkpoint() {
  TRY(const auto newest, newest_log_checkpoint(table_, std::nullopt));
  TRY(const auto since, entries(newest ? newest->version : base::Version(-1)));
  report_.head = since.empty() ? (newest ? newest->version : base::Version(-1)) : since.back().version;
  if (report_.head < base::Version(0)) return base::fail(base::ErrorKind::kNotFound, "no bronze table at " + place_of(table_) + " yet");
  for (const auto& entry : since) report_.log_bytes_since += entry.bytes;
  report_.commits_since = static_cast<std::int64_t>(since.size());
  std::int64_t bytes = 0;
  if (newest) {
    TRY(const auto object, table_.store().head(table_.path(delta::checkpoint_path(newest->version))));
    bytes = object.size;
  }
  const bool wanted = options_.checkpoint_now && !since.empty();
  if (!wanted && !checkpoint_due(report_.commits_since, report_.log_bytes_since, bytes)) {
    if (!newest) return {};
    TRY(const auto named, delta::last_checkpoint(table_));  // another's may have been cut short before it was named
    if (named && named->version >= newest->version) return {};
    TRY(const auto unnamed, delta::measure_checkpoint(table_, newest->version));
    return delta::publish_checkpoint(table_, unnamed);
  }
  delta::Checkpoint written;
  TRY(const auto facts, merge(newest ? &*newest : nullptr, report_.head, written));
  world_.failpoints.reach("upkeep.after_checkpoint_file");
  TRY_VOID(table_.store().put(table_.path(log_checkpoint_path(written.version)), to_json(facts)));
  world_.failpoints.reach("upkeep.after_facts");
  TRY_VOID(delta::publish_checkpoint(table_, written));
  world_.failpoints.reach("upkeep.after_checkpoint");
  report_.checkpoint = written;
  return {};
}

base::Result<void> Upkeep::find_checkpoints() {
  TRY(const auto objects, table_.store().list(table_.path("_headpond/checkpoints/")));
  for (const auto& object : objects)
    if (const auto version = delta::log_version(object.path)) checkpoints_.push_back({*version, object.modified});
  return {};
}

// No entry behind this version may go.
base::Result<base::Version> Upkeep::cursor_limit() {
  TRY(const auto statuses, read_statuses(table_.store(), table_.root()));
  auto limit = report_.head;
  for (const auto& status : statuses) {
    const auto age = world_.clock.now() - status.updated_at;
    if (status.kind == kIngest) {  // opened again, it begins at the newest checkpoint
      if (status.state != "running" || age >= kIngesterGone || status.durable_version >= limit) continue;
      limit = status.durable_version;
      report_.held_by.reset();  // a moment later it no longer does
      continue;
    }
    const bool expired = age >= options_.cursor_expiry;
    if (age >= options_.cursor_dead_after || expired) report_.silent.push_back({status.branch, status.durable_version, age, expired});
    if (expired || status.durable_version >= limit) continue;
    limit = status.durable_version;
    report_.held_by = status.branch;
  }
  return limit;
}

base::Result<std::optional<base::Version>> Upkeep::choose_beginning() {
  TRY_VOID(find_checkpoints());
  const auto old_enough = world_.clock.now() - options_.log_retention;
  TRY(const auto limit, cursor_limit());
  std::optional<base::Version> by_age, chosen;
  for (const auto& known : checkpoints_) {
    const auto c = read_log_checkpoint(table_, known.version);
    if (!c && c.error().kind == base::ErrorKind::kNotFound) continue;  // another has deleted it
    if (!c) return std::unexpected(c.error());
    if (c->committed_at > old_enough) break;
    by_age = c->version;
    if (c->version <= limit) chosen = c->version;
  }
  if (by_age == chosen) report_.held_by.reset();
  return chosen;
}

base::Result<void> Upkeep::fold_into_ledger(base::Version to) {
  TRY(auto before, last_ledger_block(table_));
  while (!before || before->last < to) {
    LedgerFold fold(before ? &*before : nullptr);
    for (std::int64_t n = 0; n < options_.block_versions_max && fold.next() <= to; ++n) {
      const auto version = fold.next();
      TRY(const auto commit, read(version));
      const auto name = table_.path(delta::log_path(version));
      TRY(const auto facts, facts_of(commit, name));
      const auto added = fold.add(version, base::Micros(commit.timestamp_ms * 1000), facts, static_cast<std::int64_t>(commit.adds.size()));
      if (!added) return base::fail(added.error().kind, name + ": " + added.error().message + "; run `headpond audit`");
    }
    TRY(before, put_ledger_block(table_, std::move(fold).finish()));
    ++report_.blocks_written;
    report_.ranges_written += static_cast<std::int64_t>(before->ranges.size());
    world_.failpoints.reach("upkeep.after_ledger");
  }
  report_.ledger_to = before->last;
  return {};
}

base::Result<void> Upkeep::delete_entries(base::Version before) {
  TRY(const auto all, entries(base::Version(-1)));
  for (const auto& entry : all) {
    if (entry.version >= before) break;
    TRY_VOID(go_on());
    TRY_VOID(table_.store().remove(entry.path));
    ++report_.entries_deleted;
    report_.bytes_deleted += entry.bytes;
    world_.failpoints.reach("upkeep.after_delete");
  }
  return {};
}

base::Result<void> Upkeep::delete_checkpoints(base::Version keep) {
  // Facts first: of what a reader of ours finds by its facts, the file is there too.
  for (const auto version : superseded(checkpoints_, keep, world_.clock.now())) {
    TRY_VOID(table_.store().remove(table_.path(log_checkpoint_path(version))));
    world_.failpoints.reach("upkeep.after_old_facts");
    TRY_VOID(table_.store().remove(table_.path(delta::checkpoint_path(version))));
    ++report_.checkpoints_deleted;
  }
  if (report_.entries_deleted == 0) return {};  // a LIST of the whole log is dear
  TRY(const auto objects, table_.store().list(table_.path("_delta_log/")));
  for (const auto& object : objects) {
    const auto version = delta::checkpoint_version(object.path);
    if (!version || *version >= checkpoints_.back().version) continue;
    const bool known = std::ranges::any_of(checkpoints_, [&](const auto& c) { return c.version == *version; });
    // Without facts it is of an earlier run that was cut short, or of one that is just writing it.
    if (known || world_.clock.now() - object.modified < kYoung) continue;
    TRY_VOID(table_.store().remove(object.path));
    ++report_.checkpoints_deleted;
  }
  return {};
}

base::Result<UpkeepReport> Upkeep::run() {
  TRY_VOID(write_checkpoint());
  TRY(const auto beginning, choose_beginning());
  TRY(report_.log_begins, table_.oldest());
  if (!beginning) return std::move(report_);
  if (report_.log_begins < *beginning) {
    TRY_VOID(fold_into_ledger(*beginning));
    TRY_VOID(delete_entries(*beginning));
    TRY(report_.log_begins, table_.oldest());
  }
  TRY_VOID(delete_checkpoints(*beginning));
  return std::move(report_);
}

}  // namespace

std::vector<base::Version> superseded(const std::vector<KnownCheckpoint>& checkpoints, base::Version keep, base::Micros now) {
  std::vector<base::Version> out;
  std::optional<base::Micros> hour;  // of the one kept last
  for (const auto& c : checkpoints) {
    if (c.version < keep) {
      out.push_back(c.version);
      continue;
    }
    const auto its_hour = base::floor_to(c.written_at, base::Duration::hours(1));
    const bool newest = c.version == checkpoints.back().version;
    if (hour == its_hour && !newest && c.written_at < now - kYoung)
      out.push_back(c.version);
    else
      hour = its_hour;
  }
  return out;
}

base::Result<UpkeepReport> keep_log(env::ObjectStore& store, const std::string& table_root, const UpkeepOptions& options,
                                    UpkeepWorld world) {
  return Upkeep(store, table_root, options, world).run();
}

}  // namespace headpond::bronze
