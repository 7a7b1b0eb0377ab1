// Random histories of a job that writes outbox objects: versions in one or two objects, restarts from a checkpoint that write what was
// written again, notifiers that are killed at each of their kill points, lose their disk or are taken over while they live on, a store and
// a receiver that fail and lose replies. An object goes only when each of its transitions has a durable receipt; once the faults end every
// transition was heard or is receipted as passed over, each key was heard in order, and what was heard twice had the same key.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "env/fake.h"
#include "env/real.h"
#include "notify/codec.h"
#include "notify/generation.h"
#include "notify/intake.h"
#include "notify/notifier.h"

namespace headpond::notify {
namespace {

namespace fs = std::filesystem;
using base::Duration;
using base::ErrorKind;
using rules::Transition;
using rules::TransitionKind;

constexpr int kKeys = 4, kVersions = 40;
constexpr const char* kRule = "g/r";

struct Killed {};

struct Object {
  std::vector<rules::TransitionId> ids;
  bool gone = false;
};

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed) : random_(seed) {
    std::string pattern = (fs::temp_directory_path() / "headpond-sim-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    EXPECT_TRUE(claim_generation(lake_, "pages", clock_.now()));
    make_history();
    http_.respond = [this](const env::HttpRequest& request) { return receive(request); };
    failpoints_.on_reach = [this](std::string_view) {
      if (chance(15)) throw Killed{};
    };
  }
  ~Simulation() {
    processes_.clear();
    fs::remove_all(root_);
  }

  void run() {
    start();
    for (int i = 0; i < 300; ++i) turn();
    faults_ = false;
    processes_.clear();
    start();
    for (int i = 0; i < 600 && (version_ < kVersions || objects_left() > 0 || i < 180); ++i) {
      work_on();
      step(processes_.back());
      clock_.advance(Duration::seconds(1));
    }
    check();
  }

  std::map<std::string, int> hits() const { return failpoints_.hits; }

 private:
  struct Process {
    std::string directory;
    std::unique_ptr<env::FaultyStore> store;
    std::unique_ptr<Intake> intake;
    std::unique_ptr<Notifier> notifier;
    bool dead = false;
  };

  bool chance(std::uint64_t one_in) { return faults_ && random_.next() % one_in == 0; }
  std::size_t objects_left() { return lake_.list("pages/_outbox/")->size(); }

  void make_history() {
    history_.resize(kVersions);
    std::vector<std::int64_t> seq(kKeys, 0);
    for (std::size_t v = 0; v < kVersions; ++v) {
      for (std::size_t k = 0; k < kKeys; ++k) {
        if (random_.next() % 4 != 0) continue;
        Transition t;
        t.id = {1, kRule, "key" + std::to_string(k), ++seq[k]};
        t.kind = t.id.seq % 2 == 1 ? TransitionKind::kFiring : TransitionKind::kResolved;
        t.boundary = t.began_at = clock_.now() + Duration::seconds(static_cast<std::int64_t>(v));
        t.version = base::Version(static_cast<std::int64_t>(v));
        history_[v].push_back(t);
        last_seq_[t.id.key] = t.id.seq;
      }
    }
  }

  base::Result<env::HttpResponse> receive(const env::HttpRequest& request) {
    if (chance(6)) return base::fail(ErrorKind::kRetry, "no connection");
    const auto body = nlohmann::json::parse(request.body);
    const std::int64_t seq = body["id"]["seq"];
    const std::string key = body["id"]["key"];
    if (body["id"]["rule"] == kUndeliverableRule) undeliverable_.insert(seq);
    if (body["id"]["rule"] == kRule) {
      heard_[key].push_back(seq);
      const std::map<std::string, std::string> headers(request.headers.begin(), request.headers.end());
      idempotency_[{key, seq}].insert(headers.at("Idempotency-Key"));
    }
    if (chance(6)) return base::fail(ErrorKind::kUnknown, "the answer was lost");
    return env::HttpResponse{.status = chance(10) ? 503 : 200, .body = "", .headers = {}};
  }

  void put(int version, const std::vector<Transition>& transitions) {
    std::string text;
    Object object;
    for (const auto& t : transitions) {
      text += (text.empty() ? "" : ",") + to_json(t);
      object.ids.push_back(t.id);
    }
    char name[80];
    std::snprintf(name, sizeof name, "pages/_outbox/%010d-%020d-%06d.json", 1, version, ++writes_);
    ASSERT_TRUE(lake_.put(name, R"({"format":1,"transitions":[)" + text + "]}"));
    objects_[name] = std::move(object);
  }

  // The job's next version: in two objects where a checkpoint came between, and now and then from an older checkpoint on again.
  void work_on() {
    if (chance(12)) version_ = std::max(0, version_ - static_cast<int>(random_.next() % 8));
    if (version_ >= kVersions) return;
    const auto& made = history_[static_cast<std::size_t>(version_)];
    const auto cut = made.empty() ? 0 : static_cast<std::ptrdiff_t>(random_.next() % (made.size() + 1));
    if (cut > 0) put(version_, {made.begin(), made.begin() + cut});
    if (std::cmp_less(cut, made.size())) put(version_, {made.begin() + cut, made.end()});
    ++version_;
  }

  void open(Process& p) {
    p.notifier.reset();
    p.intake.reset();
    p.store = std::make_unique<env::FaultyStore>(lake_);
    auto intake = Intake::open({.pages_root = "pages", .local_directory = p.directory + "/outbox", .targets = {"hook"}}, *p.store, clock_,
                               failpoints_);
    ASSERT_TRUE(intake) << intake.error().message;
    p.intake = std::move(*intake);
    NotifierOptions options{.branch = "p", .pages_root = "pages", .local_directory = p.directory + "/notify"};
    options.table_interval = Duration(0);
    auto notifier = Notifier::open(options, {{.name = "hook", .kind = TargetKind::kWebhook, .urls = {"http://hook"}, .secret = ""}},
                                   p.intake->outbox(), {*p.store, clock_, random_, http_, failpoints_, [](const std::string&) {}});
    ASSERT_TRUE(notifier) << notifier.error().message;
    p.notifier = std::move(*notifier);
    p.dead = false;
  }

  // On another machine.
  void start() {
    processes_.push_back({.directory = root_ + "/" + std::to_string(++machines_), .store = {}, .intake = {}, .notifier = {}});
    open(processes_.back());
  }

  void step(Process& p) {
    try {
      const auto taken = p.intake->step();
      const auto sent = p.notifier->step();
      p.dead = p.store->dead() || (!sent && sent.error().kind == ErrorKind::kFenced);
      if (!taken && !faults_) FAIL() << taken.error().message;
    } catch (const Killed&) {
      p.dead = true;
    }
    look_for_removed();
  }

  void turn() {
    if (random_.next() % 4 == 0) work_on();
    for (std::size_t i = 0; i < processes_.size(); ++i) {
      Process& p = processes_[i];
      if (i + 1 < processes_.size() && random_.next() % 3 != 0) continue;  // those taken over from run now and then
      if (chance(12)) p.store->fail_at(1 + static_cast<std::int64_t>(random_.next() % 6), static_cast<env::Fault>(random_.next() % 4));
      step(p);
      if (!p.dead) continue;
      p.notifier.reset();
      p.intake.reset();
      if (chance(4)) fs::remove_all(p.directory);
      open(p);
    }
    if (chance(60)) {
      if (processes_.size() > 1) processes_.erase(processes_.begin());
      start();
    }
    clock_.advance(Duration::millis(static_cast<std::int64_t>(random_.next() % (chance(10) ? 20'000 : 1'000))));
  }

  std::map<std::pair<std::string, std::int64_t>, std::set<std::string>> receipts() {
    std::map<std::pair<std::string, std::int64_t>, std::set<std::string>> found;
    const auto objects = read_receipts(lake_, "pages", {}).value();
    for (const auto& object : objects) {
      for (const auto& r : object.receipts) {
        if (r.transition.id.rule == kRule) found[{r.transition.id.key, r.transition.id.seq}].insert(std::string(to_string(r.status)));
      }
    }
    return found;
  }

  void look_for_removed() {
    std::set<std::string> there;
    const auto listed = lake_.list("pages/_outbox/").value();
    for (const auto& object : listed) there.insert(object.path);
    for (auto& [path, object] : objects_) {
      if (object.gone || there.contains(path)) continue;
      object.gone = true;
      const auto found = receipts();
      for (const auto& id : object.ids)
        EXPECT_TRUE(found.contains({id.key, id.seq})) << path << " was removed, " << id.key << "#" << id.seq << " has no receipt";
    }
  }

  void check() {
    EXPECT_EQ(version_, kVersions);
    EXPECT_EQ(objects_left(), 0u);
    const auto found = receipts();
    for (const auto& [key, last] : last_seq_) {
      const auto& heard = heard_[key];
      for (std::int64_t seq = 1; seq <= last; ++seq) {
        const auto status = found.find({key, seq});
        ASSERT_NE(status, found.end()) << key << "#" << seq << " has no receipt";
        EXPECT_TRUE(std::ranges::count(heard, seq) > 0 || status->second.contains("superseded"))
            << key << "#" << seq << " was neither heard nor superseded";
      }
      EXPECT_TRUE(std::ranges::is_sorted(heard)) << key << " was heard out of order: " << testing::PrintToString(heard);
      ASSERT_FALSE(heard.empty()) << key;
      EXPECT_EQ(heard.back() % 2, last % 2) << key << " ends in the wrong state";
    }
    const bool stands = !undeliverable_.empty() && *undeliverable_.rbegin() % 2 == 1;
    EXPECT_FALSE(stands) << "PageUndeliverable never resolved";
    std::set<std::string> all;
    for (const auto& [id, keys] : idempotency_) {
      EXPECT_EQ(keys.size(), 1u) << id.first << "#" << id.second << " was sent under two keys";
      EXPECT_TRUE(all.insert(*keys.begin()).second) << id.first << "#" << id.second << " shares its key with another";
    }
  }

  std::string root_;
  env::SeededRandom random_;
  env::FakeClock clock_;
  env::MemoryStore lake_;
  env::FakeHttpClient http_;
  env::FakeFailpoints failpoints_;
  std::vector<std::vector<Transition>> history_;
  std::map<std::string, std::int64_t> last_seq_;
  std::map<std::string, Object> objects_;  // by path
  std::vector<Process> processes_;
  std::map<std::string, std::vector<std::int64_t>> heard_;
  std::map<std::pair<std::string, std::int64_t>, std::set<std::string>> idempotency_;
  std::set<std::int64_t> undeliverable_;  // seqs of PageUndeliverable that arrived
  int version_ = 0, writes_ = 0, machines_ = 0;
  bool faults_ = true;
};

std::map<std::string, int> simulate(std::uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Simulation simulation(seed);
  simulation.run();
  return simulation.hits();
}

TEST(IntakeSimulation, NothingIsLostAndEachKeyIsHeardInOrderWhereverItIsKilled) {
  std::map<std::string, int> hits;
  for (std::uint64_t seed = 1; seed <= 4 && !HasFailure(); ++seed) {
    for (const auto& [name, count] : simulate(seed)) hits[name] += count;
  }
  for (const char* name : {"notify.after_list", "notify.after_send", "notify.before_delete"}) EXPECT_GT(hits[name], 20) << name;
}

// Other histories each time; a failure names its seed.
TEST(IntakeSimulation, HoldsForFreshSeeds) {
  const auto random = env::real_random();
  for (int i = 0; i < 2 && !HasFailure(); ++i) simulate(random->next());
}

}  // namespace
}  // namespace headpond::notify
