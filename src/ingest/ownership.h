// Who reads what, as one ingester sees it: everything (alone), its share (static), or what a consumer group deals out to it. Liveness
// alone; what makes two owners safe is the table's precondition.
//
// Threads: one at a time.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "ingest/share.h"
#include "kafka/group.h"

namespace headpond::ingest {

class Ownership {
 public:
  Ownership(Share share, std::unique_ptr<kafka::Group> group) : share_(std::move(share)), group_(std::move(group)) {}

  // Others may read the topic into the same table.
  bool shared() const { return group_ != nullptr || !share_.alone(); }
  kafka::Group* group() const { return group_.get(); }
  bool has(base::PartitionId id) const { return group_ ? dealt_.contains(id) : share_.has(id); }
  // It is known by now what is ours.
  bool settled() const { return group_ == nullptr || settled_; }
  double phase() const { return group_ ? (dealt_.empty() ? 0 : phase_of(*dealt_.begin())) : phase_of(share_); }

  // What the group has changed, to be carried out and then told to done(); has() is as of then.
  std::optional<kafka::GroupChange> take() {
    if (group_ && !change_) change_ = group_->take();
    return change_;
  }
  base::Result<void> done() {
    for (const auto id : change_->partitions) {
      if (change_->kind == kafka::GroupChange::Kind::kGained)
        dealt_.insert(id);
      else
        dealt_.erase(id);
    }
    settled_ = settled_ || change_->kind == kafka::GroupChange::Kind::kGained;
    change_.reset();
    return group_->done();
  }

 private:
  Share share_;
  std::unique_ptr<kafka::Group> group_;
  std::set<base::PartitionId> dealt_;
  std::optional<kafka::GroupChange> change_;
  bool settled_ = false;
};

}  // namespace headpond::ingest
