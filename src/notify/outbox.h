// Transitions on their way from an engine to people.
//
// The engine hands over transitions as it makes them and stages the outbox into the same state batch as its own state, so that what was
// made before the batch survives in it and what was made after is made again, with the same identity, by replay. Adding an identity again,
// or one that already has a receipt, is harmless.
//
// Threads: add(), stage() from the engine's; the notifier's calls from its own; the class locks.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/result.h"
#include "rules/transition.h"
#include "state/store.h"

namespace headpond::notify {

class Outbox {
 public:
  virtual ~Outbox() = default;
  // What identity is already held or has a receipt is passed over.
  virtual void add(std::vector<rules::Transition> transitions) = 0;
  // Adds to `batch` the entries made since the last staged batch and removes those whose receipts are durable. Call right before Store::write;
  // confirm() after it succeeded.
  virtual void stage(state::WriteBatch& batch) = 0;
  virtual void confirm() = 0;
  virtual std::size_t pending() const = 0;
};

}  // namespace headpond::notify
