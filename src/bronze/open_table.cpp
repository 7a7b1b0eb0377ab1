#include "bronze/open_table.h"

#include "bronze/probe.h"
#include "bronze/table_rules.h"
#include "bronze/tail.h"

namespace headpond::bronze {
namespace {

constexpr int kAttemptsMax = 16;  // others that create the table or add columns at the same time

std::string uuid(env::Random& random) {
  const auto a = random.next();
  return delta::make_uuid(a, random.next());
}

delta::Commit own_commit(const std::string& operation, env::Clock& clock) {
  delta::Commit commit;
  commit.timestamp_ms = clock.now().value() / 1000;
  commit.operation = operation;
  commit.headpond = to_json(CommitFacts{});
  return commit;
}

// What a conditional put left behind when its answer said "exists" or nothing at all is settled by reading the table again.
base::Result<void> put_or_reread(delta::Table& table, base::Version version, const delta::Commit& commit) {
  auto done = table.put(version, commit);
  if (!done && done.error().kind != base::ErrorKind::kConflict && done.error().kind != base::ErrorKind::kUnknown) return done;
  return {};
}

base::Result<void> follow_to_head(const delta::Table& table, Tail& tail) {
  while (true) {
    TRY(const auto step, tail.next());
    if (step) continue;
    TRY(const auto newest, table.latest(tail.version()));
    if (newest == tail.version()) return {};
    TRY(const auto late, tail.next());  // it may have come this very moment
    if (!late) return missing_version(table, tail.version().next(), newest);
  }
}

base::Result<void> create(delta::Table& table, const TableSpec& spec, WriterWorld& world) {
  auto commit = own_commit("CREATE TABLE", world.clock);
  commit.protocol = bronze_protocol();
  delta::Metadata metadata;
  metadata.id = uuid(world.random);
  metadata.name = spec.name;
  metadata.schema = schema_fields(spec.declared);
  metadata.partition_columns = {"ingest_date"};
  metadata.created_ms = commit.timestamp_ms;
  commit.metadata = std::move(metadata);
  return put_or_reread(table, base::Version(0), commit);
}

}  // namespace

base::Result<OpenedTable> open_table(const delta::Table& borrowed, const TableSpec& spec, WriterWorld& world) {
  auto table = borrowed;
  TRY_VOID(probe_put_if_absent(world.store, spec.root, world.random));
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    auto tail = Tail::open_newest(world.store, spec.root);
    if (!tail && tail.error().kind == base::ErrorKind::kNotFound) {
      TRY_VOID(create(table, spec, world));
      continue;
    }
    if (!tail) return std::unexpected(std::move(tail).error());
    TRY_VOID(follow_to_head(table, *tail));
    TRY(auto schema, merged_schema(table, tail->metadata().schema, schema_fields(spec.declared)));
    if (schema.size() == tail->metadata().schema.size()) return OpenedTable{tail->version(), tail->metadata(), tail->clock()};
    auto commit = own_commit("ADD COLUMNS", world.clock);
    commit.metadata = tail->metadata();
    commit.metadata->schema = std::move(schema);
    TRY_VOID(put_or_reread(table, tail->version().next(), commit));
  }
  return base::fail(base::ErrorKind::kRetry,
                    "the table at " + place_of(table) + " changes its columns faster than this ingester can follow");
}

}  // namespace headpond::bronze
