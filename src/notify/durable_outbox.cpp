#include "notify/durable_outbox.h"

#include <algorithm>
#include <cstdio>

#include "notify/codec.h"
#include "notify/json_codec.h"

namespace headpond::notify {
namespace {

using rules::Transition;
using rules::TransitionKind;

constexpr int kFormat = 1;
constexpr std::string_view kEntryPrefix = "o/e/";
constexpr std::string_view kLinePrefix = "o/d/";
constexpr std::string_view kCursorRow = "o/c";

std::string digits(std::int64_t n) {
  char text[24];
  std::snprintf(text, sizeof text, "%019lld", static_cast<long long>(n));
  return text;
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json encode_line(const Line& line, const LineState& state) {
  Json json{{"target", line.target},
            {"generation", line.generation},
            {"rule", line.rule},
            {"key", line.key},
            {"seq", state.seq},
            {"status", static_cast<int>(state.status)},
            {"receipt", state.place.ordinal()}};
  if (state.open) {
    json["open"] = encode(*state.open);
    json["dedup_key"] = state.dedup_key;
  }
  return json;
}

std::pair<Line, LineState> decode_line(const Json& json) {
  LineState state{json.at("seq"), static_cast<ReceiptStatus>(json.at("status").get<int>()), std::nullopt, "",
                  ReceiptPlace::of(json.value("receipt", std::int64_t{0}))};
  if (json.contains("open")) {
    state.open = decode(json.at("open"));
    state.dedup_key = json.at("dedup_key");
  }
  return {Line{json.at("target"), json.at("generation"), json.at("rule"), json.at("key")}, std::move(state)};
}

}  // namespace

std::string undeliverable_key(const std::string& target) {
  return Json{{"target", target}}.dump();
}

Line line_of(const std::string& target, const rules::TransitionId& id) {
  return {target, id.generation, id.rule, id.key};
}

void LineState::apply(const Receipt& receipt, ReceiptPlace at) {
  const Transition& t = receipt.transition;
  if (t.id.seq < seq) return;  // a second delivery of something old
  seq = t.id.seq;
  status = receipt.status;
  place = at;
  if (status != ReceiptStatus::kDelivered && status != ReceiptStatus::kConfirmed) return;
  open = t.kind == TransitionKind::kFiring ? std::optional(t) : std::nullopt;
  dedup_key = open ? receipt.dedup_key : "";
}

std::string DurableOutbox::row_of(const Id& id) {
  const auto& t = id.transition;
  return std::string(kEntryPrefix) + digits(t.generation) + "/" + t.rule + '\0' + t.key + '\0' + digits(t.seq) + (id.settles ? "s" : "");
}

std::string DurableOutbox::row_of(const Line& line) {
  return std::string(kLinePrefix) + line.target + '\0' + digits(line.generation) + "/" + line.rule + '\0' + line.key;
}

base::Result<std::unique_ptr<Outbox>> open_outbox(state::Store& state, env::ObjectStore& objects, const OutboxOptions& options) {
  auto outbox = std::make_unique<DurableOutbox>(options);
  TRY_VOID(outbox->load(state, objects));
  return outbox;
}

base::Result<void> DurableOutbox::load(state::Store& state, env::ObjectStore& objects) {
  const std::lock_guard lock(mutex_);
  TRY_VOID(load_rows(state));
  TRY(const auto written, read_receipts(objects, options_.pages_root, newest_));
  for (const auto& object : written) {
    for (const auto& receipt : object.receipts) apply_one(receipt, object.place);
    newest_ = object.place;
  }
  note_older_open();
  if (!written.empty()) dirty_[std::string(kCursorRow)] = dump({{"format", kFormat}, {"receipts", newest_.ordinal()}});
  return {};
}

base::Result<void> DurableOutbox::load_rows(state::Store& state) {
  std::string problem;
  const auto visit = [&](std::string_view row, std::string_view value) {
    try {
      const Json json = Json::parse(value);
      if (row == kCursorRow) {
        if (json.at("format") > kFormat) throw std::runtime_error("written by a newer headpond: install that one");
        newest_ = ReceiptPlace::of(json.at("receipts"));
      } else if (row.starts_with(kLinePrefix)) {
        const auto& [line, line_state] = *lines_.insert(decode_line(json)).first;
        const RuleAtTarget rule{line.target, line.generation, line.rule};
        if (line_state.open) ++open_count_[rule];
        if (line_state.status == ReceiptStatus::kSummarised && line_state.seq % 2 == 1) held_back_[rule].insert(line.key);
      } else if (row.starts_with(kEntryPrefix)) {
        Transition transition = decode(json);
        Entry entry{transition, {}, Hold::kNone};
        for (const auto& target : targets_of(transition)) entry.waiting[target] = std::nullopt;
        const Id id{transition.id, transition.settles_announcement};
        entries_.emplace(id, std::move(entry));
      }
    } catch (const std::exception& e) {
      problem = e.what();
    }
    return problem.empty();
  };
  TRY_VOID(state.scan("o/", visit));
  if (!problem.empty()) {
    return base::fail(base::ErrorKind::kCorrupt, "the outbox in the state store cannot be read (" + problem +
                                                     "); move the state directory away: the newest checkpoint is restored instead");
  }
  // Targets that are done are those whose line has come far enough.
  for (auto it = entries_.begin(); it != entries_.end();) {
    std::erase_if(it->second.waiting, [&](const auto& w) { return has_receipt(w.first, it->second.transition); });
    if (!it->second.waiting.empty()) {
      ++it;
      continue;
    }
    dirty_[row_of(it->first)] = std::nullopt;
    it = entries_.erase(it);
  }
  return {};
}

std::vector<std::string> DurableOutbox::targets_of(const Transition& transition) const {
  if (transition.settles_announcement) return {""};
  if (transition.id.rule != kUndeliverableRule || options_.targets.size() < 2) return options_.targets;
  std::vector<std::string> others;
  for (const auto& target : options_.targets) {
    if (transition.id.key != undeliverable_key(target)) others.push_back(target);
  }
  return others;
}

bool DurableOutbox::has_receipt(const std::string& target, const Transition& transition) const {
  const auto it = lines_.find(line_of(target, transition.id));
  if (it == lines_.end() || it->second.seq < transition.id.seq) return false;
  // What was only recorded may still be sent when the engine says so.
  const bool to_send_after_all = transition.send && it->second.seq == transition.id.seq && it->second.status == ReceiptStatus::kRecorded;
  return !to_send_after_all;
}

void DurableOutbox::add(std::vector<Transition> transitions) {
  const std::lock_guard lock(mutex_);
  for (auto& transition : transitions) add_one(std::move(transition));
}

void DurableOutbox::add_after_batch(std::vector<Transition> transitions) {
  const std::lock_guard lock(mutex_);
  for (auto& transition : transitions) add_one(std::move(transition), true);
}

void DurableOutbox::add_one(Transition transition, bool after_batch) {
  const Id id{transition.id, transition.settles_announcement};
  const auto held = entries_.find(id);
  if (held != entries_.end()) {
    if (!transition.send || held->second.transition.send) return;
    entries_.erase(held);
  }
  Entry entry{std::move(transition), {}, after_batch ? Hold::kUntilStaged : Hold::kNone};
  for (const auto& target : targets_of(entry.transition)) {
    if (!has_receipt(target, entry.transition)) entry.waiting[target] = std::nullopt;
  }
  if (entry.waiting.empty()) return;
  dirty_[row_of(id)] = to_json(entry.transition);
  entries_.emplace(id, std::move(entry));
}

void DurableOutbox::stage(state::WriteBatch& batch) {
  const std::lock_guard lock(mutex_);
  for (auto& [row, value] : dirty_) staged_[row] = std::move(value);
  dirty_.clear();
  for (auto& [id, entry] : entries_) {
    if (entry.hold == Hold::kUntilStaged) entry.hold = Hold::kUntilConfirmed;
  }
  for (const auto& [row, value] : staged_) {
    if (value) {
      batch.put(row, *value);
    } else {
      batch.remove(row);
    }
  }
}

void DurableOutbox::confirm() {
  const std::lock_guard lock(mutex_);
  staged_.clear();
  for (auto& [id, entry] : entries_) {
    if (entry.hold == Hold::kUntilConfirmed) entry.hold = Hold::kNone;
  }
}

std::vector<Transition> DurableOutbox::unheard() const {
  const std::lock_guard lock(mutex_);
  std::vector<Transition> result;
  for (const auto& [id, entry] : entries_) {
    if (entry.hold == Hold::kUntilConfirmed) result.push_back(entry.transition);
  }
  return result;
}

std::size_t DurableOutbox::pending() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

bool DurableOutbox::holds(const Transition& transition) const {
  const std::lock_guard lock(mutex_);
  return entries_.contains(Id{transition.id, transition.settles_announcement});
}

void DurableOutbox::apply(ReceiptPlace place, const std::vector<Receipt>& receipts) {
  const std::lock_guard lock(mutex_);
  for (const auto& receipt : receipts) apply_one(receipt, place);
  for (const auto& receipt : receipts) {
    if (receipt.status == ReceiptStatus::kSummarised) report_held_back(receipt.transition);
  }
  newest_ = std::max(newest_, place);
  dirty_[std::string(kCursorRow)] = dump({{"format", kFormat}, {"receipts", newest_.ordinal()}});
}

void DurableOutbox::apply_one(const Receipt& receipt, ReceiptPlace place) {
  const Line line = line_of(receipt.target, receipt.transition.id);
  LineState& state = lines_[line];
  const bool was_open = state.open.has_value();
  state.apply(receipt, place);
  const RuleAtTarget rule{line.target, line.generation, line.rule};
  if (was_open != state.open.has_value()) open_count_[rule] += state.open ? 1 : std::size_t(-1);
  if (state.status == ReceiptStatus::kSummarised && state.seq % 2 == 1) {
    held_back_[rule].insert(line.key);
  } else if (const auto held = held_back_.find(rule); held != held_back_.end()) {
    held->second.erase(line.key);
  }
  if (receipt.status == ReceiptStatus::kConfirmed) close_older(line);
  if (!state.open) older_open_.erase(line);
  dirty_[row_of(line)] = dump(encode_line(line, state));
  const auto it = entries_.find(Id{receipt.transition.id, receipt.transition.settles_announcement});
  if (it == entries_.end()) return;
  // Recorded meanwhile, but to be sent since: it stays.
  if (receipt.status == ReceiptStatus::kRecorded && it->second.transition.send) return;
  it->second.waiting.erase(receipt.target);
  if (!it->second.waiting.empty()) return;
  dirty_[row_of(it->first)] = std::nullopt;
  entries_.erase(it);
}

std::vector<Transition> DurableOutbox::open_pages(const std::string& target) const {
  const std::lock_guard lock(mutex_);
  std::set<Line> busy;
  for (const auto& [id, entry] : entries_) {
    if (entry.waiting.contains(target)) busy.insert(line_of(target, id.transition));
  }
  std::vector<Transition> result;
  for (auto it = lines_.lower_bound(Line{target, 0, "", ""}); it != lines_.end() && it->first.target == target; ++it) {
    if (it->second.open && !busy.contains(it->first)) result.push_back(*it->second.open);
  }
  return result;
}

ReceiptPlace DurableOutbox::newest_receipt() const {
  const std::lock_guard lock(mutex_);
  return newest_;
}

void DurableOutbox::replaying(bool on) {
  const std::lock_guard lock(mutex_);
  if (replaying_ && !on) collapse();
  replaying_ = on;
}

DurableOutbox::ByLine DurableOutbox::undecided() {
  ByLine by_line;
  for (auto& [id, entry] : entries_) {
    for (const auto& [target, decision] : entry.waiting) {
      if (!id.settles && entry.transition.send && !decision) by_line[line_of(target, id.transition)].push_back(&entry);
    }
  }
  return by_line;
}

void DurableOutbox::collapse() {
  for (auto& [line, entries] : undecided()) collapse_line(line, std::move(entries));
}

void DurableOutbox::took_over() {
  const std::lock_guard lock(mutex_);
  std::set<Line> again;
  for (auto& [id, entry] : entries_) {
    for (auto& [target, decision] : entry.waiting) {
      if (!decision) continue;
      decision.reset();
      again.insert(line_of(target, id.transition));
    }
  }
  if (again.empty()) return;
  for (auto& [line, entries] : undecided()) {
    if (again.contains(line)) collapse_line(line, std::move(entries));
  }
}

// Keeps what leads a receiver from what it may have to the latest state: the resolve of the page it has open, and the latest firing.
void DurableOutbox::collapse_line(const Line& line, std::vector<Entry*> entries) {
  const auto state = lines_.find(line);
  bool open = state != lines_.end() && state->second.may_be_open();
  // The head of the line may have been sent without its receipt having become durable.
  open = open || entries.front()->transition.kind == TransitionKind::kFiring;
  const Entry* last = entries.back();
  // The first firing takes over the page an older generation left open, without a word to the target; what follows speaks of that page.
  const Entry* takes_over = open_in_older_generation(line) ? entries.front() : nullptr;
  for (Entry* entry : entries) {
    const bool resolves = entry->transition.kind == TransitionKind::kResolved;
    const bool keep = resolves ? open : entry == last || entry == takes_over;
    if (resolves) open = false;
    if (!keep) entry->waiting[line.target] = ReceiptStatus::kSuperseded;
  }
}

// The page goes on in the newer generation's line.
void DurableOutbox::close_older(const Line& line) {
  for (auto& [older, state] : lines_) {
    const bool same = older.target == line.target && older.rule == line.rule && older.key == line.key;
    if (!same || older.generation >= line.generation || !state.open) continue;
    state.open.reset();
    --open_count_[{older.target, older.generation, older.rule}];
    older_open_.erase(older);
    dirty_[row_of(older)] = dump(encode_line(older, state));
  }
}

void DurableOutbox::note_older_open() {
  for (const auto& [line, state] : lines_) {
    if (line.generation < options_.generation && state.open) older_open_.insert(line);
  }
}

void DurableOutbox::settled_to(base::Micros boundary) {
  const std::lock_guard lock(mutex_);
  for (const Line& line : older_open_) {
    Transition resolve = *lines_.at(line).open;
    if (boundary < options_.claimed_at + resolve.window || about_to_be_confirmed(line)) continue;
    resolve.kind = TransitionKind::kResolved;
    resolve.id.seq = lines_.at(line).seq + 1;
    resolve.boundary = boundary;
    resolve.announced = false;
    add_one(std::move(resolve));
  }
}

}  // namespace headpond::notify
