// Transitions on their way from an engine to people.
//
// The engine hands over transitions as it makes them and stages the outbox into the same state batch as its own state, so that what was
// made before the batch survives in it and what was made after is made again, with the same identity, by replay. Adding an identity again,
// or one that already has a receipt, is harmless.
//
//   TRY(auto outbox, open_outbox(state, lake, {.pages_root = …, .generation = g, .claimed_at = t, .targets = {"stdout"}}));
//   outbox->replaying(true);                       // until the tail has reached the head it found at open
//   outbox->add(transitions);                      // may be sent at once, before any state batch
//   outbox->settled_to(boundary);
//   outbox->stage(batch); TRY_VOID(state.write(batch)); outbox->confirm();
//
// Threads: add(), stage(), confirm() from the engine's; the notifier's calls from its own; the class locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "env/object_store.h"
#include "rules/transition.h"
#include "state/store.h"

namespace headpond::notify {

class Outbox {
 public:
  virtual ~Outbox() = default;
  // What identity is already held or has a receipt is passed over.
  virtual void add(std::vector<rules::Transition> transitions) = 0;
  // Adds to `batch` the entries made since the last staged batch and removes those whose receipts are durable. Call right before
  // Store::write; confirm() after it succeeded.
  virtual void stage(state::WriteBatch& batch) = 0;
  virtual void confirm() = 0;
  // Transitions that lack a receipt of some target.
  virtual std::size_t pending() const = 0;

  // The engine's settled boundary: what settled before the generation was claimed is recorded, not sent, once the boundary has passed the
  // claim; what is firing then is sent.
  virtual void settled_to(base::Micros boundary) = 0;
  // While true nothing is sent; when it ends each key collapses to its latest state and what is passed over gets the receipt "superseded".
  // Set after opening an older state; cleared when the versions that were there at open have been replayed.
  virtual void replaying(bool on) = 0;
};

struct OutboxOptions {
  std::string pages_root;  // "pages/<branch>"; receipts lie in "<pages_root>/_receipts/"
  std::int64_t generation = 0;
  base::Micros claimed_at;           // of that generation
  std::vector<std::string> targets;  // names; each transition needs a receipt from each
};

class DurableOutbox;
// Loads what `state` holds below "o/" and the receipts written since. Borrows `state` only during the call.
// Errors: kRetry: store unreachable. kCorrupt: a row or receipt that cannot be read. kInvalid: written by a newer version.
base::Result<std::unique_ptr<DurableOutbox>> open_outbox(state::Store& state, env::ObjectStore& objects, const OutboxOptions& options);

}  // namespace headpond::notify
