#include "state/store.h"

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>

#include <filesystem>

#include "state/checkpoint.h"

namespace headpond::state {
namespace {

namespace fs = std::filesystem;
using base::ErrorKind;
using base::fail;

rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}

std::unexpected<base::Error> error_of(const rocksdb::Status& status, const std::string& directory) {
  const std::string text = "state store " + directory + ": " + status.ToString();
  if (status.IsNoSpace()) return fail(ErrorKind::kRetry, text + "; free some space on that disk");
  if (status.IsCorruption()) {
    return fail(ErrorKind::kCorrupt,
                text + "; move that directory away: the newest checkpoint is restored and what came after it is replayed");
  }
  return fail(ErrorKind::kRetry, text);
}

class RocksStore final : public Store {
 public:
  RocksStore(std::unique_ptr<rocksdb::DB> db, std::string directory) : db_(std::move(db)), directory_(std::move(directory)) {}

  base::Result<std::optional<std::string>> get(std::string_view key) override {
    std::string value;
    const auto status = db_->Get(rocksdb::ReadOptions(), slice(key), &value);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) return error_of(status, directory_);
    return value;
  }

  base::Result<void> scan(std::string_view prefix,
                          const std::function<bool(std::string_view key, std::string_view value)>& visit) override {
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(rocksdb::ReadOptions()));
    for (it->Seek(slice(prefix)); it->Valid() && it->key().starts_with(slice(prefix)); it->Next()) {
      if (!visit(it->key().ToStringView(), it->value().ToStringView())) break;
    }
    if (!it->status().ok()) return error_of(it->status(), directory_);
    return {};
  }

  base::Result<void> write(const WriteBatch& batch) override {
    rocksdb::WriteBatch changes;
    for (const auto& change : batch.changes()) {
      if (change.value) {
        changes.Put(change.key, *change.value);
      } else {
        changes.Delete(change.key);
      }
    }
    rocksdb::WriteOptions options;
    options.sync = true;
    const auto status = db_->Write(options, &changes);
    if (!status.ok()) return error_of(status, directory_);
    return {};
  }

  base::Result<void> checkpoint(env::ObjectStore& objects, const std::string& prefix, const std::string& name) override {
    const std::string image = directory_ + "-checkpoint";
    std::error_code ignored;
    fs::remove_all(image, ignored);
    rocksdb::Checkpoint* raw = nullptr;
    auto status = rocksdb::Checkpoint::Create(db_.get(), &raw);
    const std::unique_ptr<rocksdb::Checkpoint> maker(raw);
    // 0: flush the memtable, so that SST files hold everything and the image needs no write-ahead log.
    if (status.ok()) status = maker->CreateCheckpoint(image, 0);
    if (!status.ok()) return error_of(status, directory_);
    auto uploaded = upload_image(image, objects, prefix, name);
    fs::remove_all(image, ignored);
    return uploaded;
  }

 private:
  std::unique_ptr<rocksdb::DB> db_;
  std::string directory_;
};

rocksdb::Options options() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.write_buffer_size = 32 << 20;
  options.max_background_jobs = 2;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 4 << 20;
  options.compression = rocksdb::kZSTD;
  rocksdb::BlockBasedTableOptions table;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.block_cache = rocksdb::NewLRUCache(32 << 20);
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

}  // namespace

base::Result<std::unique_ptr<Store>> Store::open(const std::string& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return fail(ErrorKind::kInvalid, "cannot create the state directory " + directory + ": " + error.message());
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::Open(options(), directory, &db);
  if (status.ok()) return std::make_unique<RocksStore>(std::unique_ptr<rocksdb::DB>(db), directory);
  if (status.IsIOError() && status.ToString().find("lock") != std::string::npos) {
    return fail(ErrorKind::kFenced,
                "state store " + directory + " is held by another process; stop that one, or give this one its own directory");
  }
  return error_of(status, directory);
}

}  // namespace headpond::state
