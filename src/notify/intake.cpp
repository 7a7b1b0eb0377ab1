#include "notify/intake.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "notify/codec.h"
#include "notify/generation.h"

namespace headpond::notify {
namespace {

using base::ErrorKind;
using rules::Transition;
using rules::TransitionKind;

constexpr int kFormat = 1;

std::string folder_of(const std::string& pages_root) {
  return pages_root + "/_outbox/";
}

// The generation an object's name begins with; 0: not one of ours.
std::int64_t generation_of(const std::string& path, const std::string& folder) {
  constexpr std::size_t kDigits = 10;
  const std::string digits = path.substr(folder.size(), kDigits);
  if (digits.size() != kDigits || digits.find_first_not_of("0123456789") != std::string::npos || !path.ends_with(".json")) return 0;
  return std::stoll(digits);
}

struct Arrival {
  std::vector<Transition> transitions;
  std::optional<base::Micros> settled;
};

base::Result<Arrival> parse(const std::string& text, const std::string& path) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("transitions") || !json["transitions"].is_array())
    return base::fail(ErrorKind::kCorrupt, path + " is not an outbox object; restore it, or move it away: what it held is not sent");
  if (json.value("format", 0) > kFormat)
    return base::fail(ErrorKind::kInvalid,
                      path + ": written in format " + std::to_string(json.value("format", 0)) + "; install a newer headpond");
  Arrival arrival;
  for (const auto& entry : json["transitions"]) {
    TRY(auto transition, parse_transition(entry.dump(), path));
    arrival.transitions.push_back(std::move(transition));
  }
  if (const auto settled = json.find("settled_us"); settled != json.end() && settled->is_number_integer())
    arrival.settled = base::Micros(settled->get<std::int64_t>());
  return arrival;
}

}  // namespace

base::Result<std::unique_ptr<Intake>> Intake::open(IntakeOptions options, env::ObjectStore& lake, env::Clock& clock,
                                                   env::Failpoints& failpoints) {
  auto intake = std::unique_ptr<Intake>(new Intake(std::move(options), lake, clock, failpoints));
  TRY_VOID(intake->load());
  return intake;
}

base::Result<void> Intake::load() {
  std::error_code error;
  std::filesystem::create_directories(options_.local_directory, error);
  if (error) return base::fail(ErrorKind::kInvalid, "cannot create " + options_.local_directory + ": " + error.message());
  TRY(state_, state::Store::open(options_.local_directory));
  TRY(const auto newest, newest_generation(lake_, options_.pages_root));
  generation_ = newest ? newest->number : 0;
  TRY(outbox_, open_outbox(*state_, lake_,
                           {.pages_root = options_.pages_root,
                            .generation = generation_,
                            .claimed_at = newest ? newest->claimed_at : base::Micros(0),
                            .targets = options_.targets,
                            .report_after_batch = true}));
  outbox_->replaying(true);  // until what lies there has been taken: of what waited meanwhile only the latest is news
  return {};
}

// A missing bell is one that nobody has rung yet: then the interval alone decides.
base::Result<bool> Intake::must_list() {
  if (options_.list_interval <= base::Duration(0)) return true;
  auto bell = lake_.get(options_.pages_root + "/_bell");
  if (!bell && bell.error().kind != ErrorKind::kNotFound) return std::unexpected(bell.error());
  const bool rung = bell && *bell != bell_;
  if (rung) bell_ = std::move(*bell);
  if (rung) more_ = true;  // until a listing has succeeded
  return more_ || clock_.monotonic() - listed_at_ >= options_.list_interval;
}

base::Result<bool> Intake::take_listed() {
  const auto now = clock_.monotonic();
  TRY(const auto listed, lake_.list(folder_of(options_.pages_root)));
  if (!listed.empty()) failpoints_.reach("notify.after_list");
  TRY(more_, take(listed));
  if (!more_) forget_gone(listed);
  listed_at_ = now;
  return more_;
}

base::Result<bool> Intake::step() {
  TRY(const bool list, must_list());
  bool more = false;
  if (list) {
    TRY(more, take_listed());
  }
  if (aside_untold_) TRY_VOID(tell_unreadable());
  TRY_VOID(make_durable());
  if (list && !more && first_look_) {
    outbox_->replaying(false);
    first_look_ = false;
  }
  TRY_VOID(remove_done());
  return more;
}

base::Result<bool> Intake::take(const std::vector<env::ObjectMeta>& listed) {
  std::size_t count = 0;
  for (const auto& object : listed) {
    const std::int64_t generation = generation_of(object.path, folder_of(options_.pages_root));
    if (generation == 0 || taken_.contains(object.path)) continue;
    const auto aside = aside_.find(object.path);
    if (aside != aside_.end() && aside->second.size == object.size && aside->second.modified == object.modified) continue;
    if (generation > generation_)
      return base::fail(ErrorKind::kFenced, "generation " + std::to_string(generation) + " of " + options_.pages_root + " began");
    if (count++ == options_.objects_max) return true;
    if (generation < generation_) {
      const std::lock_guard lock(mutex_);
      taken_[object.path] = {};
      continue;
    }
    TRY_VOID(take_one(object));
  }
  return false;
}

base::Result<void> Intake::take_one(const env::ObjectMeta& object) {
  const std::string& path = object.path;
  const auto text = lake_.get(path);
  if (!text && text.error().kind == ErrorKind::kNotFound) return {};  // another notifier was done with it
  if (!text) return std::unexpected(text.error());
  auto arrival = parse(*text, path);
  if (!arrival) {
    set_aside(object, std::move(arrival).error().message);
    return {};
  }
  {
    const std::lock_guard lock(mutex_);
    if (aside_.erase(path) > 0) aside_untold_ = true;
    taken_[path] = arrival->transitions;
  }
  outbox_->add(std::move(arrival->transitions));
  if (arrival->settled) outbox_->settled_to(*arrival->settled);
  return {};
}

void Intake::set_aside(const env::ObjectMeta& object, std::string why) {
  options_.say(why);
  const std::lock_guard lock(mutex_);
  aside_[object.path] = {object.size, object.modified, std::move(why)};
  aside_untold_ = true;
}

void Intake::forget_gone(const std::vector<env::ObjectMeta>& listed) {
  if (aside_.empty()) return;
  std::set<std::string> there;
  for (const auto& object : listed) there.insert(object.path);
  const std::lock_guard lock(mutex_);
  if (std::erase_if(aside_, [&](const auto& entry) { return !there.contains(entry.first); }) > 0) aside_untold_ = true;
}

base::Result<void> Intake::tell_unreadable() {
  TRY_VOID(write_unreadable(lake_, options_.pages_root, status().unreadable));
  report_unreadable();
  aside_untold_ = false;
  return {};
}

void Intake::report_unreadable() {
  const auto objects = status().unreadable;
  Transition page;
  page.id.rule = kUnreadableRule;
  page.id.key = "{}";
  page.kind = objects.empty() ? TransitionKind::kResolved : TransitionKind::kFiring;
  page.boundary = clock_.now();
  page.began_at = page.boundary;
  page.value = static_cast<double>(objects.size());
  page.labels = {{"alertname", "OutboxUnreadable"}, {"severity", "page"}, {"branch", options_.branch}};
  page.annotations = {{"summary", "Headpond cannot send pages of " + options_.branch + ": " + describe(objects)}};
  page.sql = "headpond status";
  outbox_->report(std::move(page));
}

base::Result<void> Intake::make_durable() {
  state::WriteBatch batch;
  outbox_->stage(batch);
  if (batch.empty()) return {};
  for (const auto& page : outbox_->unheard()) TRY_VOID(write_own(page));
  TRY_VOID(state_->write(batch));
  outbox_->confirm();
  return {};
}

// The notifier's own page, as an object like a job's: the same bytes under the same name, whichever process makes it.
base::Result<void> Intake::write_own(const Transition& page) {
  char prefix[64];
  std::snprintf(prefix, sizeof prefix, "%010lld-%020d-", static_cast<long long>(page.id.generation), 0);
  const std::string path = folder_of(options_.pages_root) + prefix + idempotency_key(page.id) + ".json";
  TRY_VOID(lake_.put(path, R"({"format":1,"transitions":[)" + to_json(page) + "]}"));
  const std::lock_guard lock(mutex_);
  taken_[path] = {page};
  return {};
}

base::Result<void> Intake::remove_done() {
  std::vector<std::string> done;
  for (const auto& [path, transitions] : taken_)
    if (std::ranges::none_of(transitions, [&](const auto& t) { return outbox_->holds(t); })) done.push_back(path);
  for (const auto& path : done) {
    failpoints_.reach("notify.before_delete");
    TRY_VOID(lake_.remove(path));
    const std::lock_guard lock(mutex_);
    taken_.erase(path);
  }
  return {};
}

Intake::Status Intake::status() const {
  const std::lock_guard lock(mutex_);
  Unreadable unreadable;
  for (const auto& [path, aside] : aside_) unreadable[path] = aside.why;
  return {generation_, taken_.size(), outbox_->pending(), std::move(unreadable)};
}

}  // namespace headpond::notify
