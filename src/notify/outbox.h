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
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "env/object_store.h"
#include "notify/receipts.h"
#include "rules/transition.h"
#include "state/store.h"

namespace headpond::notify {

struct Delivery {
  rules::Transition transition;
  std::string target;
  std::optional<ReceiptStatus> decision;  // set: not to be sent, only receipted
  std::string dedup_key;                  // what the target knows the page by
};

// Rule of the page that says that a target does not take its pages; its key is {"target":"<name>"}. Sent to the other targets, where there
// are.
inline constexpr const char* kUndeliverableRule = "headpond/PageUndeliverable";
std::string undeliverable_key(const std::string& target);
// Rule of the page that says that objects of the outbox cannot be read; its key is {}.
inline constexpr const char* kUnreadableRule = "headpond/OutboxUnreadable";
// Rule of the page that stands for those beyond their rule's limit; its key is {"rule":"<rule>"}.
inline constexpr const char* kHeldBackRule = "headpond/PagesHeldBack";

class Outbox {
 public:
  virtual ~Outbox() = default;
  // What identity is already held or has a receipt is passed over. `send` = false is recorded without being sent; the same identity may
  // come again with true. `settles_announcement` is recorded beside the page of the same identity.
  virtual void add(std::vector<rules::Transition> transitions) = 0;
  // The same for what replay cannot make again (the engine's own clock, a rule edit): nobody hears of it before the batch that holds it is
  // confirmed.
  virtual void add_after_batch(std::vector<rules::Transition> transitions) = 0;
  // Adds to `batch` the entries made since the last staged batch and removes those whose receipts are durable. Call right before
  // Store::write; confirm() after it succeeded.
  virtual void stage(state::WriteBatch& batch) = 0;
  virtual void confirm() = 0;
  // What stage() handed over and nobody hears of before confirm().
  virtual std::vector<rules::Transition> unheard() const = 0;
  // Transitions that lack a receipt of some target.
  virtual std::size_t pending() const = 0;
  // Whether this one does.
  virtual bool holds(const rules::Transition& transition) const = 0;
  // Every transition up to the settled boundary `boundary` has been added. After one window beyond the claim of a new generation, pages
  // that an older generation left open and this one has not confirmed are resolved.
  virtual void settled_to(base::Micros boundary) = 0;
  // While true nothing is sent; when it ends each key collapses to its latest state and what is passed over gets the receipt "superseded".
  // Set after opening an older state; cleared when the versions that were there at open have been replayed.
  virtual void replaying(bool on) = 0;

  // The notifier's side.

  // What `target` is to hear next, at most one transition a key, and only when every earlier one of that key has a durable receipt; of
  // transitions decided not to be sent (`decision`) all that stand first in their key's line.
  virtual std::vector<Delivery> due(const std::string& target, std::size_t limit) const = 0;
  // `receipts` are durable at `place`.
  virtual void apply(ReceiptPlace place, const std::vector<Receipt>& receipts) = 0;
  // The right to send was just acquired, and what earlier senders receipted is applied: what is to be passed over is decided anew, for they
  // may have sent meanwhile.
  virtual void took_over() = 0;
  // Pages `target` has open, of whose key nothing is pending.
  virtual std::vector<rules::Transition> open_pages(const std::string& target) const = 0;
  // A page of the notifier's own making: fires or resolves alert `rule` for `key` (as in TransitionId) unless it stands so already.
  virtual void report(rules::Transition page) = 0;
  // Whether `target` has taken a page since the page went out that says it does not.
  virtual bool took_since_report(const std::string& target) const = 0;
  virtual ReceiptPlace newest_receipt() const = 0;
};

struct OutboxOptions {
  std::string pages_root;  // "pages/<branch>"; receipts lie in "<pages_root>/_receipts/"
  std::int64_t generation = 0;
  base::Micros claimed_at;           // when that generation was claimed
  std::vector<std::string> targets;  // names; each transition needs a receipt from each
  // What report() makes is added after the batch: its caller writes what is unheard() where no disk can lose it.
  bool report_after_batch = false;
};

// Loads what `state` holds below "o/" and the receipts written since. Borrows `state` and `objects` only during the call.
// Errors: kRetry: store unreachable. kCorrupt: a row or receipt that cannot be read. kInvalid: written by a newer version.
base::Result<std::unique_ptr<Outbox>> open_outbox(state::Store& state, env::ObjectStore& objects, const OutboxOptions& options);

}  // namespace headpond::notify
