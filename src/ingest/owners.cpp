// Partitions that come and go while others share the topic.
#include "env/failpoints.h"
#include "ingest/topic_engine.h"

namespace headpond::ingest {

// Reads what is ours and in the table, and not read yet.
base::Result<void> TopicEngine::adopt() {
  std::vector<base::PartitionId> fresh;
  for (const auto id : seen_) {
    if (owners_.has(id) && !lanes_->owns(id) && table_.partitions().contains(in_source(id))) fresh.push_back(id);
  }
  if (fresh.empty()) return {};
  TRY(auto partitions, resume(fresh));
  for (const auto id : fresh) others_.erase(id);
  return lanes_->own(std::move(partitions));
}

// Carries out what the group wants, and only then tells it so.
base::Result<void> TopicEngine::rebalance() {
  const auto change = owners_.take();
  if (!change) {
    auto trouble = owners_.group() == nullptr ? std::nullopt : owners_.group()->trouble();
    return trouble ? base::Result<void>(std::unexpected(std::move(*trouble))) : base::Result<void>();
  }
  using Kind = kafka::GroupChange::Kind;
  if (change->kind == Kind::kGiven) {
    TRY_VOID(give(change->partitions));
  } else if (change->kind == Kind::kLost) {
    lanes_->release(change->partitions);
    TRY_VOID(recover());
  } else {
    for (const auto id : change->partitions) seen_.insert(id);
    TRY_VOID(follow());
  }
  world_.failpoints.reach(change->kind == Kind::kGained ? "ingest.mid_assign" : "ingest.mid_revoke");
  TRY_VOID(owners_.done());
  TRY_VOID(adopt());
  observe_table();
  return {};
}

// What was stamped of them is committed before they are another's; what was only fetched is discarded.
base::Result<void> TopicEngine::give(const std::vector<base::PartitionId>& ids) {
  TRY_VOID(lanes_->quiet(ids));
  TRY_VOID(finish_any_commit());
  TRY_VOID(begin_commit());
  TRY_VOID(finish_any_commit());
  lanes_->release(ids);
  return {};
}

// The table as the last owner left it.
base::Result<void> TopicEngine::follow() {
  TRY_VOID(finish_any_commit());
  committer_->follow();
  TRY(auto done, committer_->wait());
  table_ = std::move(done.table);
  version_ = done.result.version;
  return {};
}

// Another ingester has committed a partition of ours: what we had of it is dropped, and the table tells where to go on.
base::Result<void> TopicEngine::recover() {
  ++fenced_;
  if (committer_->committing()) static_cast<void>(committer_->wait());  // whatever came of it, the table tells
  TRY(auto writer, open_writer());
  write_through(std::move(writer));
  TRY_VOID(check_topic(topic_id_));
  TRY(auto partitions, resume(lanes_->owned()));
  TRY_VOID(lanes_->restart(*committer_, std::move(partitions)));
  log_ends_.clear();
  ask_due_ = true;
  observe_table();
  return {};
}

}  // namespace headpond::ingest
