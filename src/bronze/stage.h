// One lane's part of the next commit: what its rows say (Staged) and the files they are written to. Private to bronze.
// Threads: one at a time; several Stages of one Writer in parallel.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bronze/data_files.h"
#include "bronze/staged.h"
#include "bronze/writer.h"
#include "delta/log.h"

namespace headpond::bronze {

// What all Stages of a Writer share; outlives them.
struct StageWorld {
  const TableSpec& spec;
  const WriterOptions& options;
  WriterWorld world;
  const delta::Table& table;
  int tenant_column = -1;   // index in TableSpec::declared, or -1
  std::atomic<bool>& dead;  // the Writer is to be discarded
};

class StagedCut final : public Writer::Cut {
 public:
  StagedCut(std::optional<Staged> taken, DataFiles written, const StageWorld& world)
      : staged(std::move(taken)), files(std::move(written)), world_(world) {}
  base::Result<void> close() override;

  std::optional<Staged> staged;
  DataFiles files;

 private:
  base::Result<void> close_files();
  StageWorld world_;
  bool closed_ = false;
};

class TableStage final : public Writer::Stage {
 public:
  explicit TableStage(StageWorld world) : world_(world) { begin_files(); }

  base::Result<void> append(const columns::Batch& batch) override;
  void declare_gap(const std::string& source, base::PartitionId partition, base::Offset first, base::Offset last, const std::string& kind,
                   base::Micros arrival) override;
  std::unique_ptr<Writer::Cut> cut() override;
  std::int64_t rows() const override { return staged_ ? staged_->rows() : 0; }
  std::size_t memory() const override { return files_->memory(); }

 private:
  void begin_files() { files_.emplace(world_.table, world_.spec.declared, world_.options, world_.world); }
  Staged& staged(const std::string& source);

  StageWorld world_;
  std::optional<Staged> staged_;
  std::optional<DataFiles> files_;
};

// The Cuts of all Stages as one commit.
class WholeCut {
 public:
  explicit WholeCut(std::vector<std::unique_ptr<Writer::Cut>> cuts);

  const Staged* staged() const { return staged_ ? &*staged_ : nullptr; }  // null: a heartbeat
  base::Result<void> close();
  // One add per file, in rising day of arrival; `version` is the one they are committed as. Requires close().
  std::vector<delta::AddFile> adds(base::Version version) const;
  std::int64_t file_bytes() const;

 private:
  std::vector<std::unique_ptr<Writer::Cut>> cuts_;
  std::optional<Staged> staged_;
};

}  // namespace headpond::bronze
