// The Delta Lake transaction log, as far as Headpond writes and reads it: JSON commits, put-if-absent, replay. Bronze, gold, usage,
// invoices and pages are all Delta tables over this. Source: the Delta transaction log protocol (reader 1; writer 2, or writer 7 with
// writerFeatures).
//
//   TRY(auto table, delta::Table::open(store, "gold/live-ops"));
//   TRY(auto snapshot, table.snapshot());
//   commit.adds.push_back(…);
//   TRY_VOID(table.put(snapshot.version.next(), commit));   // kConflict: someone else took that version
//
// Threads: one at a time per object.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "env/object_store.h"

namespace headpond::delta {

using PartitionValues = std::map<std::string, std::optional<std::string>>;

struct Field {
  std::string name;
  std::string type;  // Delta primitive: "string", "long", "integer", "double", "boolean", "timestamp", "date", "binary", "decimal(28,2)"
  bool nullable = true;
};

struct Protocol {
  int min_reader_version = 1;
  int min_writer_version = 2;
  std::vector<std::string> reader_features;  // only with min_reader_version 3, which we never write and refuse to read
  std::vector<std::string> writer_features;  // only with min_writer_version 7
};

struct Metadata {
  std::string id;  // a UUID, fixed for the table's life
  std::string name;
  std::vector<Field> schema;
  std::vector<std::string> partition_columns;
  std::map<std::string, std::string> configuration;
  std::int64_t created_ms = 0;
};

struct AddFile {
  std::string path;  // relative to the table, URL-decoded
  PartitionValues partition_values;
  std::int64_t size = 0;
  std::int64_t modification_ms = 0;
  bool data_change = true;
  std::string stats;  // JSON text, may be empty
  std::map<std::string, std::string> tags;
};

struct RemoveFile {
  std::string path;
  std::int64_t deletion_ms = 0;
  bool data_change = true;
};

struct Txn {
  std::string app_id;
  std::int64_t version = 0;
};

// One version. Order in the file: commitInfo, protocol, metaData, txn…, add…, remove….
struct Commit {
  std::int64_t timestamp_ms = 0;  // commitInfo.timestamp
  std::string operation;          // commitInfo.operation, e.g. "WRITE", "STREAMING UPDATE"
  bool blind_append = false;
  std::string headpond;  // commitInfo.headpond: a JSON object as text, empty = absent
  std::optional<Protocol> protocol;
  std::optional<Metadata> metadata;
  std::vector<Txn> txns;
  std::vector<AddFile> adds;
  std::vector<RemoveFile> removes;
};

std::string serialize(const Commit& commit);                               // newline-delimited JSON
base::Result<Commit> parse(std::string_view text, std::string_view name);  // `name` is for messages; kCorrupt
std::string action_json(const Protocol& protocol);                         // the body of that action
std::string action_json(const Metadata& metadata);
std::string url_encode(std::string_view path);  // as an action holds it
std::string log_path(base::Version version);    // relative to the table: "_delta_log/00000000000000000007.json"

// The version of a log entry, or of a checkpoint in one part, by its path. None: it is something else.
std::optional<base::Version> log_version(std::string_view path);
std::optional<base::Version> checkpoint_version(std::string_view path);

struct Snapshot {
  base::Version version{-1};  // -1: the table does not exist
  Protocol protocol;
  Metadata metadata;
  std::map<std::string, AddFile> files;      // live ones, by path
  std::map<std::string, std::int64_t> txns;  // by app_id
};

// Makes `snapshot` the next version's. Errors: kInvalid: a protocol we must not read. kCorrupt: the first version lacks protocol or
// metadata.
base::Result<void> apply(Snapshot& snapshot, const Commit& commit, std::string_view table);

class Table {
 public:
  // `root` is the table's folder in the store, without a trailing '/'; "" = the store's root. Borrows `store`. Does no I/O.
  Table(env::ObjectStore& store, std::string root);

  base::Result<Commit> read(base::Version version) const;  // kNotFound: not yet there. kCorrupt.
  // Newest version at or after `hint` (-1: none). One LIST after the hint.
  base::Result<base::Version> latest(base::Version hint = base::Version(-1)) const;
  // The oldest version whose entry is still there; -1: none. A LIST or two.
  base::Result<base::Version> oldest() const;
  // The table at version `to` (default: newest): from its newest checkpoint that is not beyond, and the log behind. kCorrupt: a version
  // is missing inside. kInvalid: a protocol we must not read.
  base::Result<Snapshot> snapshot(std::optional<base::Version> to = std::nullopt) const;
  // Brings `snapshot` up to the newest version in place, reading only what is new. Returns whether anything was.
  base::Result<bool> refresh(Snapshot& snapshot) const;

  // Creates version `version`. kConflict: it exists (perhaps by a lost reply of ours: compare what is there). kRetry, kUnknown.
  base::Result<void> put(base::Version version, const Commit& commit);

  env::ObjectStore& store() const { return store_; }
  const std::string& root() const { return root_; }
  std::string path(std::string_view relative) const;  // root + '/' + relative

 private:
  base::Result<void> replay(Snapshot& snapshot, base::Version to) const;
  base::Result<bool> jump(Snapshot& snapshot, base::Version to) const;

  env::ObjectStore& store_;
  std::string root_;
};

// The newest state of a table, which is created with protocol 1/2 and `metadata` when it does not exist. Someone else creating it first is
// fine. Errors: kInvalid: it exists with another schema or other partition columns.
base::Result<Snapshot> open_or_create(Table& table, const Metadata& metadata, std::int64_t now_ms);

// A random UUID (version 4) from two 64-bit random values.
std::string make_uuid(std::uint64_t a, std::uint64_t b);

}  // namespace headpond::delta
