#include "sim/group.h"

#include <algorithm>
#include <functional>
#include <vector>

namespace headpond::sim {
namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kSession = 6 * kSecond;  // a member not heard of for so long is dead

}  // namespace

class Coordinator::View final : public kafka::Group {
 public:
  View(Coordinator& group, int member, const bool& dead, std::function<bool()> busy, std::function<void(bool)> changing)
      : group_(group), member_(member), dead_(dead), busy_(std::move(busy)), changing_(std::move(changing)) {}
  ~View() override {
    if (!dead_) group_.members_.erase(member_);  // one that dies is missed only later
    changing_(false);
  }

  std::optional<kafka::GroupChange> take() override {
    if (dead_ || busy_()) return std::nullopt;
    auto change = group_.change_for(member_);
    if (change) {
      change_ = change;
      changing_(true);
    }
    return change;
  }
  base::Result<void> done() override {
    changing_(false);
    const auto it = group_.members_.find(member_);
    if (it == group_.members_.end()) return base::fail(base::ErrorKind::kRetry, "the group does not know this member any more");
    auto& me = it->second;
    me.heard_us = group_.now_us_;
    if (change_->kind == kafka::GroupChange::Kind::kLost) me.expelled = false;
    for (const auto id : change_->partitions) {
      if (change_->kind == kafka::GroupChange::Kind::kGained)
        me.owned.insert(id.value());
      else
        me.owned.erase(id.value());
    }
    return {};
  }
  std::optional<base::Error> trouble() const override { return std::nullopt; }
  void publish_offsets(const std::vector<kafka::Assignment>&) override {}

 private:
  Coordinator& group_;
  int member_;
  const bool& dead_;
  std::function<bool()> busy_;
  std::function<void(bool)> changing_;
  std::optional<kafka::GroupChange> change_;
};

std::unique_ptr<kafka::Group> Coordinator::join(int member, const bool& dead, std::function<bool()> busy,
                                                std::function<void(bool)> changing) {
  members_[member] = {};
  members_[member].heard_us = now_us_;
  deal_us_ = now_us_;  // soon
  return std::make_unique<View>(*this, member, dead, std::move(busy), std::move(changing));
}

bool Coordinator::held_by_others(int member, int partition) const {
  return std::ranges::any_of(
      members_, [&](const auto& each) { return each.first != member && !each.second.expelled && each.second.owned.contains(partition); });
}

void Coordinator::deal() {
  std::vector<int> live;
  for (auto& [id, member] : members_) {
    member.target.clear();
    if (!member.expelled) live.push_back(id);
  }
  if (live.empty()) {
    deal_us_ = now_us_;  // as soon as one of them has heard that it was taken for dead
    return;
  }
  for (std::size_t p = 0; p < partitions_; ++p)
    members_[live[static_cast<std::size_t>(dice_.below(static_cast<std::int64_t>(live.size())))]].target.insert(static_cast<int>(p));
  ++rebalances_;
  trace_.line(now_us_, "the group deals {} partitions to {} members", partitions_, live.size());
}

void Coordinator::pass(bool calm) {
  bool again = broker_.topic().partitions.size() != partitions_;
  partitions_ = broker_.topic().partitions.size();
  for (auto& [id, member] : members_) {
    if (member.expelled || now_us_ - member.heard_us < kSession) continue;
    member.expelled = again = true;
    trace_.line(now_us_, "the group takes member {} for dead", id);
  }
  std::erase_if(members_, [&](const auto& each) { return now_us_ - each.second.heard_us > 20 * kSession; });
  if (!again && now_us_ < deal_us_) return;
  deal_us_ = calm ? now_us_ + 3600 * kSecond : now_us_ + dice_.below(10 * kSecond);
  deal();
}

std::optional<kafka::GroupChange> Coordinator::change_for(int id) {
  const auto it = members_.find(id);
  if (it == members_.end()) return std::nullopt;
  auto& me = it->second;
  me.heard_us = now_us_;
  using Kind = kafka::GroupChange::Kind;
  kafka::GroupChange change;
  if (me.expelled) {
    change.kind = Kind::kLost;
    for (const int p : me.owned) change.partitions.emplace_back(p);
    deal_us_ = now_us_;
    if (me.owned.empty()) {
      me.expelled = false;
      return std::nullopt;
    }
    return change;
  }
  change.kind = Kind::kGiven;
  for (const int p : me.owned)
    if (!me.target.contains(p)) change.partitions.emplace_back(p);
  if (!change.partitions.empty()) return change;
  change.kind = Kind::kGained;
  for (const int p : me.target)
    if (!me.owned.contains(p) && !held_by_others(id, p)) change.partitions.emplace_back(p);
  if (change.partitions.empty() && std::exchange(me.welcomed, true)) return std::nullopt;
  me.welcomed = true;
  return change;
}

}  // namespace headpond::sim
