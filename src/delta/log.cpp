#include "delta/log.h"

#include <algorithm>
#include <cstdio>

#include "delta/checkpoint.h"
#include "env/read_many.h"

namespace headpond::delta {
namespace {

using base::ErrorKind;
using base::fail;

constexpr std::string_view kLog = "_delta_log/";
constexpr std::size_t kDigits = 20;
constexpr std::int64_t kEntriesAhead = 128;  // read at once; an entry has a few kilobytes

// The number at the start of a name that goes on with `end`, or none: CRCs and foreign files are passed over.
std::optional<base::Version> numbered(std::string_view path, std::string_view end) {
  const auto name = path.substr(path.rfind('/') + 1);
  if (name.size() != kDigits + end.size() || !name.ends_with(end)) return std::nullopt;
  std::int64_t version = 0;
  for (const char c : name.substr(0, kDigits)) {
    if (c < '0' || c > '9') return std::nullopt;
    version = version * 10 + (c - '0');
  }
  return base::Version(version);
}

base::Result<void> check_readable(const Protocol& protocol, std::string_view table) {
  if (protocol.min_reader_version <= 1) return {};
  std::string features;
  for (const auto& feature : protocol.reader_features) features += (features.empty() ? " (" : ", ") + feature;
  if (!features.empty()) features += ")";
  return fail(ErrorKind::kInvalid, std::string(table) + ": the table needs Delta reader version " +
                                       std::to_string(protocol.min_reader_version) + features +
                                       "; this headpond reads version 1: install a newer headpond, or drop those table features with the "
                                       "tool that added them");
}

bool same_shape(const Metadata& a, const Metadata& b) {
  const auto same_field = [](const Field& x, const Field& y) { return x.name == y.name && x.type == y.type; };
  return std::ranges::equal(a.schema, b.schema, same_field) && a.partition_columns == b.partition_columns;
}

std::string describe_schema(const Metadata& metadata) {
  std::string text;
  for (const auto& field : metadata.schema) text += (text.empty() ? "" : ", ") + field.name + " " + field.type;
  return text;
}

}  // namespace

std::string log_path(base::Version version) {
  char name[32];
  std::snprintf(name, sizeof name, "%020lld.json", static_cast<long long>(version.value()));
  return std::string(kLog) + name;
}

std::optional<base::Version> log_version(std::string_view path) {
  return numbered(path, ".json");
}

std::optional<base::Version> checkpoint_version(std::string_view path) {
  return numbered(path, ".checkpoint.parquet");
}

base::Result<void> apply(Snapshot& snapshot, const Commit& commit, std::string_view table) {
  if (snapshot.version.value() < 0 && (!commit.protocol || !commit.metadata)) {
    return fail(ErrorKind::kCorrupt,
                std::string(table) + ": version 0 of the log lacks the protocol or the schema; this is no whole Delta table");
  }
  if (commit.protocol) {
    TRY_VOID(check_readable(*commit.protocol, table));
    snapshot.protocol = *commit.protocol;
  }
  if (commit.metadata) snapshot.metadata = *commit.metadata;
  for (const auto& txn : commit.txns) snapshot.txns[txn.app_id] = txn.version;
  for (const auto& remove : commit.removes) snapshot.files.erase(remove.path);
  for (const auto& add : commit.adds) snapshot.files[add.path] = add;
  snapshot.version = snapshot.version.next();
  return {};
}

Table::Table(env::ObjectStore& store, std::string root) : store_(store), root_(std::move(root)) {}

std::string Table::path(std::string_view relative) const {
  return root_.empty() ? std::string(relative) : root_ + "/" + std::string(relative);
}

base::Result<Commit> Table::read(base::Version version) const {
  const std::string name = path(log_path(version));
  TRY(const std::string text, store_.get(name));
  return parse(text, name);
}

base::Result<base::Version> Table::latest(base::Version hint) const {
  const std::string folder = path(kLog);
  const std::string after = hint.value() < 0 ? std::string() : path(log_path(hint));
  TRY(const auto objects, store_.list(folder, after));
  for (auto it = objects.rbegin(); it != objects.rend(); ++it) {
    if (const auto version = log_version(it->path)) return *version;
  }
  return hint;
}

base::Result<base::Version> Table::oldest() const {
  constexpr std::size_t kPage = 64;  // checkpoints older than the oldest entry are few
  const std::string folder = path(kLog);
  std::string after;
  while (true) {
    TRY(const auto objects, store_.list(folder, after, kPage));
    for (const auto& object : objects)
      if (const auto version = log_version(object.path)) return *version;
    if (objects.size() < kPage) return base::Version(-1);
    after = objects.back().path;
  }
}

base::Result<bool> Table::refresh(Snapshot& snapshot) const {
  TRY(const base::Version newest, latest(snapshot.version));
  const bool changed = newest > snapshot.version;
  const auto replayed = replay(snapshot, newest);
  if (!replayed && replayed.error().kind == ErrorKind::kNotFound) {
    return fail(ErrorKind::kCorrupt, path(log_path(snapshot.version.next())) + " is missing although version " +
                                         std::to_string(newest.value()) +
                                         " exists; restore that file from a backup, the table cannot be read without it");
  }
  if (!replayed) return std::unexpected(replayed.error());
  return changed;
}

base::Result<void> Table::replay(Snapshot& snapshot, base::Version to) const {
  bool jumped = false;
  if (snapshot.version.value() < 0 && to.value() > 0) {
    TRY(jumped, jump(snapshot, to));
  }
  while (snapshot.version < to) {
    // A store that gains nothing by it is asked for one entry after the other.
    const auto ahead = store_.reads_at_once() == 1 ? 1 : std::min(to.value() - snapshot.version.value(), kEntriesAhead);
    std::vector<std::string> names;
    for (auto version = snapshot.version.next(); std::ssize(names) < ahead; version = version.next())
      names.push_back(path(log_path(version)));
    const auto texts = env::get_many(store_, names);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (!texts[i] && texts[i].error().kind == ErrorKind::kNotFound && !jumped) {
        TRY(jumped, jump(snapshot, to));
        if (jumped) break;
      }
      if (!texts[i]) return std::unexpected(texts[i].error());
      TRY(const auto commit, parse(*texts[i], names[i]));
      TRY_VOID(apply(snapshot, commit, store_.describe() + root_));
    }
  }
  return {};
}

// Takes `snapshot` to the newest checkpoint beyond it and not beyond `to`; false: there is none.
base::Result<bool> Table::jump(Snapshot& snapshot, base::Version to) const {
  TRY(const auto last, last_checkpoint(*this));
  if (!last) return false;
  auto version = last->version;
  if (version > to) {  // older ones are found by their names
    version = base::Version(-1);
    TRY(const auto objects, store_.list(path(kLog)));
    for (const auto& object : objects)
      if (const auto v = checkpoint_version(object.path); v && *v <= to) version = std::max(version, *v);
  }
  if (version <= snapshot.version) return false;
  Snapshot there;
  std::map<std::string, AddFile> files;
  TRY(there, read_checkpoint(*this, version, [&](AddFile add) -> base::Result<void> {
        auto name = add.path;
        files.emplace(std::move(name), std::move(add));
        return {};
      }));
  there.files = std::move(files);
  snapshot = std::move(there);
  return true;
}

base::Result<Snapshot> Table::snapshot(std::optional<base::Version> to) const {
  Snapshot snapshot;
  if (!to) {
    TRY_VOID(refresh(snapshot));
    return snapshot;
  }
  TRY_VOID(replay(snapshot, *to));
  return snapshot;
}

base::Result<void> Table::put(base::Version version, const Commit& commit) {
  return store_.put_if_absent(path(log_path(version)), serialize(commit));
}

base::Result<Snapshot> open_or_create(Table& table, const Metadata& metadata, std::int64_t now_ms) {
  TRY(Snapshot snapshot, table.snapshot());
  if (snapshot.version.value() < 0) {
    Commit commit;
    commit.timestamp_ms = now_ms;
    commit.operation = "CREATE TABLE";
    commit.protocol = Protocol{};
    commit.metadata = metadata;
    const auto put = table.put(base::Version(0), commit);
    const bool decided = put || put.error().kind == ErrorKind::kConflict || put.error().kind == ErrorKind::kUnknown;
    if (!decided) return std::unexpected(put.error());
    TRY(snapshot, table.snapshot());
    if (snapshot.version.value() < 0)
      return fail(ErrorKind::kRetry, table.path(log_path(base::Version(0))) + " was not created; try again");
  }
  if (!same_shape(snapshot.metadata, metadata)) {
    return fail(ErrorKind::kInvalid, table.store().describe() + table.root() + ": the table there has the columns (" +
                                         describe_schema(snapshot.metadata) + ") where (" + describe_schema(metadata) +
                                         ") are needed; move that folder away or choose another location");
  }
  return snapshot;
}

std::string make_uuid(std::uint64_t a, std::uint64_t b) {
  a = (a & ~0xF000ull) | 0x4000ull;
  b = (b & ~(0xC0ull << 56)) | (0x80ull << 56);
  char text[40];
  std::snprintf(text, sizeof text, "%08llx-%04llx-%04llx-%04llx-%012llx", static_cast<unsigned long long>(a >> 32),
                static_cast<unsigned long long>(a >> 16 & 0xFFFF), static_cast<unsigned long long>(a & 0xFFFF),
                static_cast<unsigned long long>(b >> 48), static_cast<unsigned long long>(b & 0xFFFFFFFFFFFFull));
  return text;
}

}  // namespace headpond::delta
