// The outbox over a state store: what notify/outbox.h promises. Only this folder includes it.
//
// Rows: "o/e/…" a transition that lacks receipts; "o/d/…" the last receipt of one (target, generation, rule, key), with the firing
// transition while its page is open; "o/c" the newest receipt object those rows reflect. Receipts after it are read from the object store
// at open.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "notify/outbox.h"

namespace headpond::notify {

// A key's line at one target, in one generation.
struct Line {
  std::string target;
  std::int64_t generation = 0;
  std::string rule, key;
  auto operator<=>(const Line&) const = default;
};
Line line_of(const std::string& target, const rules::TransitionId& id);

// How far a line has durable receipts.
struct LineState {
  std::int64_t seq = 0;                              // the last one receipted: every seq up to it is
  ReceiptStatus status = ReceiptStatus::kDelivered;  // of that one
  std::optional<rules::Transition> open;             // the delivered firing transition whose resolve was not delivered
  std::string dedup_key;                             // of that page
  ReceiptPlace place;                                // of that receipt
  void apply(const Receipt& receipt, ReceiptPlace at);
  // Whether the target may have a page open: what was passed over or given up may have been heard nevertheless.
  bool may_be_open() const { return open || status == ReceiptStatus::kSuperseded || status == ReceiptStatus::kDead; }
};

class DurableOutbox final : public Outbox {
 public:
  DurableOutbox(OutboxOptions options) : options_(std::move(options)) {}
  // Fills an object that holds nothing yet.
  base::Result<void> load(state::Store& state, env::ObjectStore& objects);

  void add(std::vector<rules::Transition> transitions) override;
  void add_after_batch(std::vector<rules::Transition> transitions) override;
  void stage(state::WriteBatch& batch) override;
  void confirm() override;
  std::vector<rules::Transition> unheard() const override;
  std::size_t pending() const override;
  bool holds(const rules::Transition& transition) const override;
  void settled_to(base::Micros boundary) override;
  void replaying(bool on) override;
  std::vector<Delivery> due(const std::string& target, std::size_t limit) const override;
  void apply(ReceiptPlace place, const std::vector<Receipt>& receipts) override;
  void took_over() override;
  std::vector<rules::Transition> open_pages(const std::string& target) const override;
  void report(rules::Transition page) override;
  bool took_since_report(const std::string& target) const override;
  ReceiptPlace newest_receipt() const override;

 private:
  struct Id {
    rules::TransitionId transition;
    bool settles = false;  // the settled fields of an announced one: a record of its own
    auto operator<=>(const Id&) const = default;
  };
  enum class Hold { kNone, kUntilStaged, kUntilConfirmed };
  struct Entry {
    rules::Transition transition;
    std::map<std::string, std::optional<ReceiptStatus>> waiting;  // targets without a receipt → decided not to send
    Hold hold = Hold::kNone;
  };
  using Entries = std::map<Id, Entry>;

  static std::string row_of(const Id& id);
  static std::string row_of(const Line& line);
  base::Result<void> load_rows(state::Store& state);
  std::vector<std::string> targets_of(const rules::Transition& transition) const;
  bool has_receipt(const std::string& target, const rules::Transition& transition) const;
  void add_one(rules::Transition transition, bool after_batch = false);
  void apply_one(const Receipt& receipt, ReceiptPlace place);
  void report_one(rules::Transition page);
  void report_held_back(const rules::Transition& because);
  bool beyond_limit(const Line& line, const rules::Transition& transition, std::size_t about_to_fire) const;
  void close_older(const Line& line);
  const LineState* open_in_older_generation(const Line& line) const;
  bool resolving(const Line& older) const;
  bool about_to_be_confirmed(const Line& older) const;
  Delivery delivery_of(const Id& id, const Entry& entry, const Line& line, std::size_t about_to_fire) const;
  using ByLine = std::map<Line, std::vector<Entry*>>;
  ByLine undecided();
  void collapse();
  void collapse_line(const Line& line, std::vector<Entry*> entries);
  void note_older_open();

  const OutboxOptions options_;
  mutable std::mutex mutex_;
  Entries entries_;
  std::map<Line, LineState> lines_;
  ReceiptPlace newest_;
  bool replaying_ = false;
  using RuleAtTarget = std::tuple<std::string, std::int64_t, std::string>;  // target, generation, rule
  std::map<RuleAtTarget, std::size_t> open_count_;                          // pages open
  std::map<RuleAtTarget, std::set<std::string>> held_back_;                 // keys whose firing was summarised
  std::set<Line> older_open_;                                               // pages older generations left open
  // Rows that differ from the state store's. stage() hands over both; confirm() forgets what was handed over.
  std::map<std::string, std::optional<std::string>> dirty_, staged_;
};

}  // namespace headpond::notify
