// A consumer group: deals the partitions out to its members again and again, takes slow ones for dead, and lets a partition have two owners
// when one of them has not heard yet. kafka::Group is one member's view of it.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "kafka/group.h"
#include "sim/broker.h"
#include "sim/dice.h"
#include "sim/trace.h"

namespace headpond::sim {

class Coordinator {
 public:
  Coordinator(Broker& broker, Dice& dice, Trace& trace, const std::int64_t& now_us)
      : broker_(broker), dice_(dice), trace_(trace), now_us_(now_us) {}

  // `busy`: this member cannot carry out a change now. `begins`: it is about to. Borrows `dead`.
  std::unique_ptr<kafka::Group> join(int member, const bool& dead, std::function<bool()> busy, std::function<void(bool)> changing);
  // Deals anew now and then; every partition has a live member soon.
  void pass(bool calm);
  int rebalances() const { return rebalances_; }

 private:
  struct Member {
    std::set<int> owned, target;
    std::int64_t heard_us = 0;
    bool expelled = false;  // what it owned may be another's by now, and it does not know
    bool welcomed = false;
  };
  class View;
  void deal();
  bool held_by_others(int member, int partition) const;
  std::optional<kafka::GroupChange> change_for(int member);

  Broker& broker_;
  Dice& dice_;
  Trace& trace_;
  const std::int64_t& now_us_;
  std::map<int, Member> members_;
  std::int64_t deal_us_ = 0;
  std::size_t partitions_ = 0;
  int rebalances_ = 0;
};

}  // namespace headpond::sim
