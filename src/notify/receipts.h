// Receipts: what became of a transition at one target, and the objects that make them durable.
//
// One object a batch, `<pages_root>/_receipts/<epoch, 8 digits>-<number, 10 digits>.json`, created once and never changed; each receipt
// carries the whole transition, so that the pages table and a restored outbox need nothing else. Format: docs/formats/pages.md.
//
// Threads: values and free functions; any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "env/object_store.h"
#include "rules/transition.h"

namespace headpond::notify {

enum class ReceiptStatus {
  kDelivered,   // the target accepted it
  kSuperseded,  // passed over: a later transition of its key was already there after a restore
  kRecorded,    // not to be sent: it settled before its generation was claimed
  kSettled,     // not a page: the settled fields of one that was announced; its target is ""
  kConfirmed,   // not sent: the target has this page open from an older generation, which goes on under its dedup_key
  kSummarised,  // beyond its rule's limit: counted in that rule's summary page
  kDead,        // refused for good or given up: a dead letter
};
std::string_view to_string(ReceiptStatus status);

struct Receipt {
  rules::Transition transition;
  std::string target;
  ReceiptStatus status = ReceiptStatus::kDelivered;
  base::Micros at;                                       // of the answer or the decision
  int attempts = 0;                                      // requests sent for it by the sender that closed it
  std::string detail;                                    // "HTTP 200", "HTTP 400: …"
  std::string dedup_key;                                 // of the page at the target
  std::optional<std::int64_t> event_to_page_ms() const;  // boundary → answer; delivered ones only
};

// A place in the order of receipt objects: epochs of the sender's lease, then numbers within.
struct ReceiptPlace {
  std::int64_t epoch = 0, number = 0;
  auto operator<=>(const ReceiptPlace&) const = default;
  std::int64_t ordinal() const { return epoch * 10'000'000'000 + number; }
  static ReceiptPlace of(std::int64_t ordinal) { return {ordinal / 10'000'000'000, ordinal % 10'000'000'000}; }
};
std::string receipt_path(const std::string& pages_root, ReceiptPlace place);

std::string serialize(const std::vector<Receipt>& receipts);
// Errors: kCorrupt; kInvalid: a newer format.
base::Result<std::vector<Receipt>> parse_receipts(std::string_view text, std::string_view name);

struct ReceiptObject {
  ReceiptPlace place;
  std::vector<Receipt> receipts;
};
// What was written after `after`, in order; `limit` objects at most (0 = all).
base::Result<std::vector<ReceiptObject>> read_receipts(env::ObjectStore& objects, const std::string& pages_root, ReceiptPlace after,
                                                       std::size_t limit = 0);

}  // namespace headpond::notify
