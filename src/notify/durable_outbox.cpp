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

std::vector<Delivery> DurableOutbox::due(const std::string& target, std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  std::vector<Delivery> result;
  if (replaying_) return result;
  std::optional<Line> behind;                        // the line whose head is already in `result`
  std::optional<Line> decided;                       // the line whose decisions are in `result`
  std::map<std::string, std::size_t> about_to_fire;  // firing transitions in `result`, by rule
  for (const auto& [id, entry] : entries_) {
    const auto waiting = entry.waiting.find(target);
    if (waiting == entry.waiting.end()) continue;
    Line line = line_of(target, id.transition);
    if (behind == line) continue;
    if (entry.hold != Hold::kNone) {
      behind = std::move(line);
      continue;
    }
    std::size_t& rule_fires = about_to_fire[id.transition.rule];
    Delivery delivery = delivery_of(id, entry, line, rule_fires);
    if (!delivery.decision) {
      behind = line;
      // What is passed over must be on record before anything after it is heard: a crash in between would bring it back.
      if (decided == line) continue;
      if (id.transition.seq % 2 == 1) ++rule_fires;
    } else {
      decided = std::move(line);
    }
    result.push_back(std::move(delivery));
    if (result.size() == limit) break;
  }
  return result;
}

Delivery DurableOutbox::delivery_of(const Id& id, const Entry& entry, const Line& line, std::size_t about_to_fire) const {
  const Transition& t = entry.transition;
  Delivery delivery{t, line.target, entry.waiting.at(line.target), dedup_key(t.id)};
  if (id.settles) delivery.decision = ReceiptStatus::kSettled;
  if (!delivery.decision && !t.send) delivery.decision = ReceiptStatus::kRecorded;
  if (delivery.decision) return delivery;
  if (t.kind == TransitionKind::kFiring) {
    if (const LineState* older = open_in_older_generation(line)) {
      delivery.decision = ReceiptStatus::kConfirmed;
      delivery.dedup_key = older->dedup_key;
    } else if (beyond_limit(line, t, about_to_fire)) {
      delivery.decision = ReceiptStatus::kSummarised;
    }
    return delivery;
  }
  const auto state = lines_.find(line);
  if (state == lines_.end()) return delivery;
  if (state->second.open) delivery.dedup_key = state->second.dedup_key;
  if (state->second.status == ReceiptStatus::kSummarised) delivery.decision = ReceiptStatus::kSummarised;
  return delivery;
}

bool DurableOutbox::beyond_limit(const Line& line, const Transition& transition, std::size_t about_to_fire) const {
  if (transition.limit <= 0) return false;
  const auto open = open_count_.find({line.target, line.generation, line.rule});
  return (open == open_count_.end() ? 0 : open->second) + about_to_fire >= static_cast<std::size_t>(transition.limit);
}

const LineState* DurableOutbox::open_in_older_generation(const Line& line) const {
  for (const Line& older : older_open_) {
    if (older.target == line.target && older.rule == line.rule && older.key == line.key && older.generation < line.generation &&
        !resolving(older)) {
      return &lines_.at(older);
    }
  }
  return nullptr;
}

// Its resolve waits to be sent: who fires now opens a page of its own.
bool DurableOutbox::resolving(const Line& older) const {
  const auto it = entries_.find(Id{{older.generation, older.rule, older.key, lines_.at(older).seq + 1}, false});
  return it != entries_.end() && it->second.waiting.contains(older.target);
}

// The newer state's firing is here and has no receipt yet.
bool DurableOutbox::about_to_be_confirmed(const Line& older) const {
  for (auto it = entries_.lower_bound(Id{{options_.generation, older.rule, older.key, 0}, false}); it != entries_.end(); ++it) {
    const Transition& t = it->second.transition;
    if (t.id.generation != options_.generation || t.id.rule != older.rule || t.id.key != older.key) return false;
    const auto waiting = it->second.waiting.find(older.target);
    const bool goes_on = !it->first.settles && t.send && t.kind == TransitionKind::kFiring && waiting != it->second.waiting.end();
    if (goes_on && !waiting->second) return true;
  }
  return false;
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

void DurableOutbox::report(Transition page) {
  const std::lock_guard lock(mutex_);
  report_one(std::move(page));
}

void DurableOutbox::report_one(Transition page) {
  page.id.generation = options_.generation;
  std::int64_t seq = 0;
  for (const auto& target : options_.targets) {
    const auto it = lines_.find(line_of(target, page.id));
    if (it != lines_.end()) seq = std::max(seq, it->second.seq);
  }
  for (const auto& [id, entry] : entries_) {
    const auto& held = id.transition;
    if (held.generation == page.id.generation && held.rule == page.id.rule && held.key == page.id.key) seq = std::max(seq, held.seq);
  }
  const bool stands_firing = seq % 2 == 1;
  if (stands_firing == (page.kind == TransitionKind::kFiring)) return;
  page.id.seq = seq + 1;
  add_one(std::move(page), options_.report_after_batch);
}

bool DurableOutbox::took_since_report(const std::string& target) const {
  const std::lock_guard lock(mutex_);
  const std::string key = undeliverable_key(target);
  std::optional<ReceiptPlace> reported;
  for (const auto& [line, state] : lines_) {
    if (line.rule != kUndeliverableRule || line.key != key || !state.open) continue;
    if (line.target == target) return true;  // it took that very page
    reported = std::max(reported.value_or(state.place), state.place);
  }
  return reported && std::ranges::any_of(lines_, [&](const auto& entry) {
           return entry.first.target == target && entry.second.status == ReceiptStatus::kDelivered && entry.second.place > *reported;
         });
}

// One page for all that a rule's limit holds back; it resolves when none of them fires any more.
void DurableOutbox::report_held_back(const Transition& because) {
  std::size_t held = 0;
  for (const auto& target : options_.targets) {
    const auto it = held_back_.find({target, because.id.generation, because.id.rule});
    if (it != held_back_.end()) held = std::max(held, it->second.size());
  }
  Transition page;
  page.id.rule = kHeldBackRule;
  page.id.key = Json{{"rule", because.id.rule}}.dump();
  page.kind = held > 0 ? TransitionKind::kFiring : TransitionKind::kResolved;
  page.boundary = because.boundary;
  page.began_at = because.boundary;
  page.value = static_cast<double>(held);
  page.version = because.version;
  page.window = because.window;
  page.labels = {{"alertname", "PagesHeldBack"}, {"severity", "page"}, {"rule", because.id.rule}};
  page.annotations = {{"summary", std::to_string(held) + " more pages of " + because.id.rule + " are held back by its limit of " +
                                      std::to_string(because.limit) + "; `headpond pages` lists them"}};
  report_one(std::move(page));
}

}  // namespace headpond::notify
