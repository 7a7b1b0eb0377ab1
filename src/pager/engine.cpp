#include "pager/engine.h"

#include <algorithm>
#include <filesystem>
#include <mutex>

#include "base/time.h"
#include "bronze/view.h"
#include "lease/lease.h"
#include "notify/generation.h"
#include "pager/evaluator.h"
#include "pager/evidence.h"
#include "pager/rule_edit.h"
#include "pager/standby_outbox.h"
#include "rules/advance.h"
#include "spec/rules_file.h"
#include "sql/engine.h"
#include "state/store.h"

namespace headpond::pager {
namespace {

constexpr base::Duration kLease = base::Duration::seconds(10), kLeaseGrace = base::Duration::seconds(2);
constexpr base::Duration kStatusEvery = base::Duration::seconds(1);
constexpr int kSamplesPerVersionMax = 50;        // evidence queries; a storm's other pages go without rows
constexpr std::int64_t kEvidenceVersions = 300;  // looked back at after a restart
constexpr char kLateRule[] = "headpond/PipelineLate";

std::string delta_type(rules::ColumnType type) {
  switch (type) {
    case rules::ColumnType::kInt32: return "integer";
    case rules::ColumnType::kInt64: return "long";
    case rules::ColumnType::kDouble: return "double";
    case rules::ColumnType::kBool: return "boolean";
    case rules::ColumnType::kTimestamp: return "timestamp";
    case rules::ColumnType::kString: break;
  }
  return "string";
}

std::vector<std::string> target_names(const spec::Branch& branch) {
  std::vector<std::string> names;
  for (const auto& target : branch.notify) names.push_back(target.name);
  if (names.empty()) names.emplace_back("stdout");
  return names;
}

class PagerEngine final : public Engine {
 public:
  PagerEngine(const spec::Topology& topology, const spec::Branch& branch, World world, Settings settings)
      : branch_(branch),
        world_(world),
        settings_(settings),
        bronze_root_(world.paths.bronze),
        pages_root_(world.paths.pages(branch.name)),
        columns_(spec::rule_columns(topology.bronze)) {
    status_.branch = branch.name;
    status_.kind = "pager";
    status_.engine = "embedded";
    status_.state = "starting";
    for (const auto& consumer : topology.consumers) {
      const double seconds = consumer.freshness.to_seconds();
      const bool served = std::find(branch.serves.begin(), branch.serves.end(), consumer.name) != branch.serves.end();
      if (served && (status_.promise_s == 0 || seconds < status_.promise_s)) status_.promise_s = seconds;
    }
  }

  base::Result<void> start(const std::vector<RuleFile>& files) {
    source_ = {files, columns_};
    TRY_VOID(compile_files(files, columns_));  // a bad rule is said before anything is touched
    std::error_code error;
    std::filesystem::create_directories(world_.local_directory, error);
    if (error) return base::fail(base::ErrorKind::kInvalid, "cannot create " + world_.local_directory + ": " + error.message());
    TRY(const std::string token, lease::holder_token(world_.local_directory, world_.random));
    lease_ = std::make_unique<lease::Lease>(
        world_.lake, world_.clock, world_.random,
        lease::LeaseOptions{.root = pages_root_ + "/_leases/engine", .holder = token, .lease = kLease, .grace = kLeaseGrace});
    TRY_VOID(hold_lease());
    return {};
  }

  base::Result<bool> step() override {
    if (broken_) return base::fail(base::ErrorKind::kRetry, "the pager's engine failed in the middle of a version; open it again");
    TRY(const bool mine, hold_lease());
    if (!mine) return publish("waiting for the lease"), false;
    TRY(const bool there, open_tail());
    if (!there) return publish("waiting for bronze"), false;
    TRY(auto next, tail_->next());
    if (next) {
      broken_ = true;  // what is half done is not done: the state store has the last whole version
      TRY_VOID(consume(*next));
      broken_ = false;
    } else {
      TRY_VOID(watch_pipeline());
    }
    TRY_VOID(write_if_due());
    publish(replay_until_.value() > meta_.version.value() ? "replaying" : "running");
    return next.has_value();
  }

  base::Result<void> drain() override {
    if (lease_->held() && dirty_ && !broken_) TRY_VOID(write_batch());
    TRY_VOID(lease_->release());
    publish("stopped", true);
    return {};
  }

  bronze::BranchStatus status() const override {
    const std::lock_guard lock(mutex_);
    return status_;
  }
  notify::Outbox& outbox() override { return outbox_; }
  std::int64_t generation() const override { return meta_.generation; }

 private:
  std::string state_directory() const { return world_.local_directory + "/state"; }
  env::ObjectStore& checkpoint_store() const { return world_.checkpoints != nullptr ? *world_.checkpoints : world_.lake; }
  std::string checkpoint_root() const { return world_.checkpoints != nullptr ? branch_.name : pages_root_ + "/_checkpoints"; }

  base::Result<void> open_store() {
    std::error_code error;
    if (settings_.new_generation) std::filesystem::remove_all(state_directory(), error);
    std::filesystem::create_directories(state_directory(), error);
    if (error) return base::fail(base::ErrorKind::kInvalid, "cannot create " + state_directory() + ": " + error.message());
    if (!settings_.new_generation && std::filesystem::is_empty(state_directory(), error))
      TRY_VOID(state::restore_newest(checkpoint_store(), checkpoint_root(), state_directory()));
    TRY(state_, state::Store::open(state_directory()));
    return {};
  }

  base::Result<void> check_generation() const {
    TRY(const auto newest, notify::newest_generation(world_.lake, pages_root_));
    if (newest && newest->number == meta_.generation) return {};
    return base::fail(base::ErrorKind::kInvalid, "the pager's state in " + state_directory() + " is of generation " +
                                                     std::to_string(meta_.generation) + " but the newest claimed below " + pages_root_ +
                                                     " is " + std::to_string(newest ? newest->number : 0) +
                                                     ": another state has taken over. Run it there, or start afresh with --new-generation");
  }

  // Rules in force = those of the state, unless the files say otherwise: then the edit takes effect here and is recorded before it does.
  base::Result<void> load_rules(const RuleSource& source, bool fresh) {
    TRY(const auto before_source, stored_rules(*state_));
    if (fresh || !before_source) {
      TRY(auto made, RuleSet::make(source, {}, std::nullopt));
      rules_ = std::make_unique<RuleSet>(std::move(made));
      return write_rules({});
    }
    TRY(const auto dictionaries, stored_dictionaries(*state_));
    TRY(const auto before, RuleSet::make(*before_source, dictionaries, std::nullopt));
    TRY(const auto valid_from, sees_rows_from());
    TRY(auto after, RuleSet::make(source, dictionaries, valid_from));
    rules_ = std::make_unique<RuleSet>(std::move(after));
    if (rules::to_json(before.program()) == rules::to_json(rules_->program())) return {};
    TRY(auto transitions, edit_rules(before, *rules_, *keys_, meta_, claimed_at_));
    return write_rules(std::move(transitions));
  }

  base::Result<void> write_rules(std::vector<rules::Transition> transitions) {
    outbox_.add_after_batch(std::move(transitions));
    state::WriteBatch batch;
    rules_->stage(batch);
    return write(batch);
  }

  // What a new counter can know: rows behind the newest clock of the version the state stands at. None: the state has seen nothing yet.
  base::Result<std::optional<base::Micros>> sees_rows_from() {
    if (meta_.version.value() < 0 && meta_.positions.empty()) return std::nullopt;
    TRY(const auto tail, bronze::Tail::open(world_.lake, bronze_root_, meta_.version));
    base::Micros newest{0};
    // In front of a cleaned part of the log, the clocks behind it: later, so a rule is blind for longer, not shorter.
    const auto& clock = tail.gap_to() != nullptr ? tail.gap_to()->clock : tail.clock();
    for (const auto& [partition, state] : clock.partitions())
      if (state.clock) newest = std::max(newest, *state.clock);
    return base::floor_to(newest, base::kMinute) + base::kMinute;
  }

  // After a restart nothing is sent until the versions that were there are replayed: what was sent before must not be contradicted.
  base::Result<void> hold_back_replay(bool fresh) {
    if (fresh) return {};
    const delta::Table table(world_.lake, bronze_root_);
    TRY(replay_until_, table.latest(meta_.version));
    if (replay_until_.value() <= meta_.version.value()) return {};
    outbox_.replaying(true);
    return {};
  }

  // Only who holds the lease touches the state: a second pager must neither claim a generation nor read a state that is still moving.
  base::Result<bool> hold_lease() {
    if (lease_->held()) {
      TRY_VOID(lease_->keep());
      return true;
    }
    TRY(const bool mine, lease_->acquire());
    if (!mine) return false;
    TRY_VOID(open_state());
    return true;
  }

  base::Result<void> open_state() {
    TRY_VOID(open_store());
    TRY(const auto stored, state_->get("p/meta"));
    const bool fresh = !stored;
    if (fresh) {
      TRY(meta_.generation, notify::claim_generation(world_.lake, pages_root_, world_.clock.now()));
    } else {
      TRY(meta_, parse_meta(*stored));
      TRY_VOID(check_generation());
    }
    TRY(const auto generation, notify::read_generation(world_.lake, pages_root_, meta_.generation));
    claimed_at_ = generation.claimed_at;
    TRY(auto keys, KeyTable::open(*state_, settings_.hot_keys_max));
    keys_ = std::make_unique<KeyTable>(std::move(keys));
    TRY(auto outbox,
        notify::open_outbox(
            *state_, world_.lake,
            {.pages_root = pages_root_, .generation = meta_.generation, .claimed_at = claimed_at_, .targets = target_names(branch_)}));
    outbox_.open(std::move(outbox));
    TRY_VOID(hold_back_replay(fresh));
    TRY_VOID(load_rules(source_, fresh));
    evaluator_ = std::make_unique<Evaluator>(*rules_, *keys_, meta_, claimed_at_);
    TRY_VOID(evaluator_->count_open());
    base::Duration reach = base::kMinute;
    for (const auto& fold : rules_->program().folds) reach = std::max(reach, fold.window_max());
    evidence_ = std::make_unique<Evidence>(world_.lake, bronze_root_, std::min(reach, base::Duration::hours(2)));
    TRY(sql_,
        sql::Engine::open(
            {.threads = settings_.threads, .memory_bytes = settings_.memory_bytes, .spill_directory = world_.local_directory + "/spill"},
            &world_.lake));
    last_batch_ = last_checkpoint_ = last_version_seen_ = world_.clock.monotonic();
    return {};
  }

  base::Result<bool> open_tail() {
    if (tail_) return true;
    auto opened = bronze::Tail::open(world_.lake, bronze_root_, meta_.version, settings_.gap_piece);
    if (!opened && opened.error().kind == base::ErrorKind::kNotFound) return false;
    if (!opened) return std::unexpected(std::move(opened).error());
    tail_.emplace(std::move(*opened));
    remember_evidence();
    last_version_seen_ = world_.clock.monotonic();
    return true;
  }

  // Files of the versions just before the state's, for samples. Best effort.
  void remember_evidence() {
    const delta::Table table(world_.lake, bronze_root_);
    for (std::int64_t v = std::max<std::int64_t>(0, meta_.version.value() - kEvidenceVersions + 1); v <= meta_.version.value(); ++v) {
      const auto commit = table.read(base::Version(v));
      if (!commit) continue;
      bronze::Step step;
      step.version = base::Version(v);
      for (const auto& add : commit->adds) {
        auto file = bronze::data_file(add);
        if (file && add.data_change) step.files.push_back(std::move(*file));
      }
      evidence_->add(step);
    }
  }

  // Bronze's columns, and those the topology declares but this table does not have yet.
  std::vector<delta::Field> schema() const {
    auto fields = tail_->metadata().schema;
    for (const auto& column : columns_) {
      const auto same = [&](const delta::Field& f) { return f.name == column.name; };
      if (std::none_of(fields.begin(), fields.end(), same)) fields.push_back({column.name, delta_type(column.type), true});
    }
    return fields;
  }

  base::Result<void> consume(const bronze::Step& step) {
    evidence_->add(step);
    const auto fields = schema();
    const auto paths = bronze::scan_paths(world_.lake, bronze_root_, step.files);
    // Over a cleaned part of the log, files may also hold rows that the state has.
    TRY(auto folded, fold_rows(*sql_, rules_->program().folds, paths, fields, step.gap ? meta_.positions : base::PositionVector{}));
    count_rows(step, folded);
    int samples_left = kSamplesPerVersionMax;
    VersionInput input{step.version, step.clock.smallest_unstalled(), step.clock.stalled()};
    // Within a gap: no row to come can lie before it.
    if (input.smallest_clock && step.rest_from) input.smallest_clock = std::min(*input.smallest_clock, *step.rest_from);
    stalled_ = input.stalled.size();
    const auto fill = [&](rules::Transition& t, const rules::FoldGroup& fold, const rules::Rule& rule) {
      evidence_->fill(t, fold, rule, *sql_, fields, samples_left-- > 0);
    };
    TRY(auto transitions, evaluator_->version(input, std::move(folded), fill));
    TRY_VOID(stand_behind(step, paths, fields));
    dirty_ = true;
    ++versions_since_batch_;
    last_version_seen_ = world_.clock.monotonic();
    outbox_.add(std::move(transitions));
    if (const auto settled = settled_everywhere()) outbox_.settled_to(*settled);
    if (meta_.late_seq % 2 == 1) TRY_VOID(pipeline_late(false));
    if (replay_until_.value() >= 0 && meta_.version >= replay_until_) {
      replay_until_ = base::Version(-1);
      outbox_.replaying(false);
    }
    return {};
  }

  // Between two pieces of a gap the version is still the one before it, so who goes on here begins the gap again: his positions, those of
  // the rows he has, say where in it he is.
  base::Result<void> stand_behind(const bronze::Step& step, const std::vector<std::string>& paths,
                                  const std::vector<delta::Field>& fields) {
    if (!step.rest_from) {
      meta_.version = step.version;
      meta_.positions = step.clock.positions();
      return {};
    }
    TRY(const auto reached, last_offsets(*sql_, paths, fields));
    for (const auto& [partition, offset] : reached) {
      auto& position = meta_.positions.try_emplace(partition, offset).first->second;
      position = std::max(position, offset);
    }
    world_.failpoints.reach("pager.in_gap");
    return {};
  }

  void count_rows(const bronze::Step& step, const std::vector<Folded>& folded) {
    for (const auto& file : step.files) rows_ += file.rows;
    for (std::size_t g = 0; g < folded.size(); ++g) {
      const auto& fold = rules_->program().folds[g];
      for (const auto& rule : fold.rules) {
        std::int64_t late = 0;
        std::vector<int> measures;
        for (const int c : rule.counters) {
          const int m = fold.counters[static_cast<std::size_t>(c)].measure;
          if (std::find(measures.begin(), measures.end(), m) != measures.end()) continue;
          measures.push_back(m);
          late += folded[g].late[static_cast<std::size_t>(m)];
        }
        late_[rule.name] += late;
      }
    }
  }

  std::optional<base::Micros> settled_everywhere() const {
    std::optional<base::Micros> smallest;
    for (const auto& fold : rules_->program().folds) {
      const auto it = meta_.settled.find(fold.id);
      if (it == meta_.settled.end()) return std::nullopt;
      smallest = smallest ? std::min(*smallest, it->second) : it->second;
    }
    return smallest;
  }

  // No version for long: no ingester lives. One page by our own clock instead of one false absence per host.
  base::Result<void> watch_pipeline() {
    const bool late = world_.clock.monotonic() - last_version_seen_ >= settings_.pipeline_late_after;
    if (late && meta_.late_seq % 2 == 0 && meta_.version.value() >= 0) return pipeline_late(true);
    return {};
  }

  base::Result<void> pipeline_late(bool firing) {
    rules::Transition t;
    t.id = {meta_.generation, kLateRule, "{}", ++meta_.late_seq};
    t.kind = firing ? rules::TransitionKind::kFiring : rules::TransitionKind::kResolved;
    t.boundary = world_.clock.now();
    if (firing) meta_.late_since = t.boundary;
    t.began_at = meta_.late_since;
    t.value = settings_.pipeline_late_after.to_seconds();
    t.version = meta_.version;
    t.labels = {{"alertname", "PipelineLate"}, {"severity", "page"}, {"branch", branch_.name}};
    t.annotations["summary"] = "pipeline late: no new version of bronze for " + base::format_duration(settings_.pipeline_late_after) +
                               " after version " + std::to_string(meta_.version.value()) + "; no ingester lives, rules are not evaluated";
    t.sql = "headpond status";
    dirty_ = true;
    // By our clock, not by the log: its seq must be durable before anyone hears of it.
    outbox_.add_after_batch({t});
    return write_batch();
  }

  base::Result<void> write_if_due() {
    if (!dirty_) return {};
    const bool due = world_.clock.monotonic() - last_batch_ >= settings_.batch_every ||
                     versions_since_batch_ >= settings_.batch_versions_max || keys_->changed_bytes() >= settings_.batch_bytes_max;
    if (!due) return {};
    TRY_VOID(write_batch());
    if (world_.clock.monotonic() - last_checkpoint_ < settings_.checkpoint_every) return {};
    last_checkpoint_ = world_.clock.monotonic();
    return checkpoint();
  }

  base::Result<void> write_batch() {
    state::WriteBatch batch;
    return write(batch);
  }

  base::Result<void> write(state::WriteBatch& batch) {
    keys_->stage(batch);
    batch.put("p/meta", to_json(meta_));
    outbox_.stage(batch);
    TRY_VOID(state_->write(batch));
    outbox_.confirm();
    keys_->confirm();
    dirty_ = false;
    versions_since_batch_ = 0;
    last_batch_ = world_.clock.monotonic();
    durable_ = meta_.version;
    world_.failpoints.reach("pager.after_state_batch");
    return {};
  }

  base::Result<void> checkpoint() {
    std::string name = std::to_string(meta_.version.value() + 1);
    name.insert(0, 20 - std::min<std::size_t>(20, name.size()), '0');
    std::string generation = std::to_string(meta_.generation);
    generation.insert(0, 10 - std::min<std::size_t>(10, generation.size()), '0');
    return state_->checkpoint(checkpoint_store(), checkpoint_root(), generation + "-" + name);
  }

  void fill_figures() {
    auto& f = status_.figures;
    f.clear();
    f["firing"] = static_cast<double>(evaluator_->open());
    f["missed_rows"] = static_cast<double>(evaluator_->missed());
    f["keys"] = static_cast<double>(keys_->keys());
    f["generation"] = static_cast<double>(meta_.generation);
    f["pending_pages"] = static_cast<double>(outbox_.pending());
    f["stalled_partitions"] = static_cast<double>(stalled_);
    double rules = 0, blind = 0, late_all = 0;
    for (const auto& fold : rules_->program().folds) {
      const auto settled = meta_.settled.find(fold.id);
      for (const auto& rule : fold.rules) {
        rules += 1;
        const bool waits = std::any_of(rule.counters.begin(), rule.counters.end(), [&](int c) {
          const auto& counter = fold.counters[static_cast<std::size_t>(c)];
          return counter.valid_from.value() != INT64_MIN &&
                 (settled == meta_.settled.end() || settled->second - counter.window < counter.valid_from);
        });
        blind += waits ? 1 : 0;
      }
    }
    for (const auto& [rule, late] : late_) {
      late_all += static_cast<double>(late);
      if (late > 0) f["late_rows." + rule] = static_cast<double>(late);
    }
    f["rules"] = rules;
    f["blind_rules"] = blind;
    f["late_rows"] = late_all;
    f["rows_per_s"] = rows_per_s_;
  }

  void publish(const std::string& state, bool force = false) {
    const base::Duration now = world_.clock.monotonic();
    const bool due = force || !last_status_ || now - *last_status_ >= kStatusEvery;
    if (!due) return;
    const double seconds = last_status_ ? (now - *last_status_).to_seconds() : 0;
    if (seconds > 0) rows_per_s_ = static_cast<double>(rows_ - rows_in_status_) / seconds;
    rows_in_status_ = rows_;
    last_status_ = now;
    bronze::BranchStatus copy;
    {
      const std::lock_guard lock(mutex_);
      status_.state = state;
      status_.version = meta_.version;
      status_.durable_version = durable_;
      status_.updated_at = world_.clock.now();
      if (evaluator_ != nullptr) {
        status_.complete_until = settled_everywhere();
        fill_figures();
      }
      copy = status_;
    }
    if (!tail_ || (!force && last_publish_ && now - *last_publish_ < bronze::publish_every(world_.lake, bronze_root_))) return;
    last_publish_ = now;
    // Others only look at it; a store that does not answer is said by what needs it.
    (void)bronze::publish_status(world_.lake, bronze_root_, copy);
  }

  const spec::Branch branch_;
  const World world_;
  const Settings settings_;
  const std::string bronze_root_, pages_root_;
  const std::vector<rules::Column> columns_;

  RuleSource source_;
  std::unique_ptr<state::Store> state_;
  Meta meta_;
  base::Micros claimed_at_{0};
  std::unique_ptr<KeyTable> keys_;
  std::unique_ptr<RuleSet> rules_;
  std::unique_ptr<Evaluator> evaluator_;
  std::unique_ptr<Evidence> evidence_;
  std::unique_ptr<sql::Engine> sql_;
  StandbyOutbox outbox_;
  std::unique_ptr<lease::Lease> lease_;
  std::optional<bronze::Tail> tail_;

  bool dirty_ = false;
  bool broken_ = false;  // a version was begun and not finished
  int versions_since_batch_ = 0;
  base::Version replay_until_{-1}, durable_{-1};
  base::Duration last_batch_, last_checkpoint_, last_version_seen_;
  std::optional<base::Duration> last_status_, last_publish_;
  std::int64_t rows_ = 0, rows_in_status_ = 0;
  double rows_per_s_ = 0;
  std::size_t stalled_ = 0;
  std::map<std::string, std::int64_t> late_;

  mutable std::mutex mutex_;
  bronze::BranchStatus status_;
};

}  // namespace

base::Result<std::unique_ptr<Engine>> Engine::open(const spec::Topology& topology, const spec::Branch& branch,
                                                   const std::vector<RuleFile>& rules, World world, Settings settings) {
  auto engine = std::make_unique<PagerEngine>(topology, branch, world, settings);
  TRY_VOID(engine->start(rules));
  return engine;
}

}  // namespace headpond::pager
