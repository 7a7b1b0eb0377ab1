// One test a sentence of "How it evaluates" (docs/formats/pager.md).
#include "rules/advance.h"

#include <gtest/gtest.h>

#include "rules/key_state.h"

namespace headpond::rules {
namespace {

constexpr std::int64_t kSecond = 1'000'000;

struct Options {
  std::string expr = "count()[10s] > 2";
  int hold_s = 0, keep_s = 0;
  std::optional<int> seen_within_s = std::nullopt;
};

FoldGroup fold_of(const std::vector<Options>& rules) {
  GroupDraft group;
  group.name = "g";
  group.lateness = base::Duration::seconds(5);
  for (std::size_t i = 0; i < rules.size(); ++i) {
    RuleDraft draft;
    draft.alert = "R" + std::to_string(i);
    draft.expr = {rules[i].expr, {"r.yaml", 1, 1}, false};
    draft.hold = base::Duration::seconds(rules[i].hold_s);
    draft.keep_firing = base::Duration::seconds(rules[i].keep_s);
    if (rules[i].seen_within_s) draft.seen_within = base::Duration::seconds(*rules[i].seen_within_s);
    group.rules.push_back(draft);
  }
  auto compiled = compile({group}, builtin_columns());
  EXPECT_TRUE(compiled.program) << compiled.issues.at(0).message;
  return compiled.program->folds.at(0);
}

// One key of one fold group, driven version by version; times in seconds.
class Key {
 public:
  explicit Key(FoldGroup fold) : fold_(std::move(fold)) { assign_ids(fold_, dictionary_, std::nullopt); }

  Key& stalled(bool on) { return stalled_ = on, *this; }
  void rows(std::int64_t second, std::int64_t n, std::size_t measure = 0) { partial(second, n, measure); }
  // A row with this ts that counts as presence from `known` on (later than ts when the row is late).
  void presence(std::int64_t ts, std::int64_t known, std::size_t measure = 0) { partial(known, ts, measure); }

  // The next version settles `boundary`; what it makes, as text.
  std::string settle(std::optional<std::int64_t> boundary) {
    Boundaries b;
    b.from = settled_;
    if (boundary) settled_ = base::Micros(*boundary * kSecond);
    b.to = settled_;
    b.stalled = stalled_;
    const bool due = timer_ && settled_ && *timer_ <= *settled_;
    if (partials_.empty() && !due) return "";
    const auto out = advance(fold_, state_, partials_, b).value();
    partials_.clear();
    state_ = out.state;
    timer_ = out.timer;
    missed_ += out.missed;
    EXPECT_EQ(timer_of(state_), timer_ ? std::optional(timer_->value()) : std::nullopt);
    std::string text;
    for (const auto& c : out.changes) text += (text.empty() ? "" : " ") + describe(c);
    return text;
  }

  void edit(FoldGroup fold) {
    fold_ = std::move(fold);
    assign_ids(fold_, dictionary_, settled_);
    if (state_.empty()) return;
    state_ = wake(fold_, state_, *settled_ + base::Duration::seconds(1)).value();
    if (const auto t = timer_of(state_)) timer_ = base::Micros(*t);
  }

  std::int64_t timer() const { return timer_ ? timer_->value() / kSecond : -1; }
  const std::string& state() const { return state_; }
  const FoldGroup& fold() const { return fold_; }
  std::int64_t missed() const { return missed_; }

 private:
  void partial(std::int64_t second, std::int64_t value, std::size_t measure) {
    Partial p{second, {}};
    for (const auto& m : fold_.measures) p.values.push_back(m.kind == Measure::Kind::kPresence ? kNever : 0);
    p.values[measure] = value;
    partials_.push_back(p);
  }
  std::string describe(const Change& c) const {
    return std::string(c.announced                         ? "announced"
                       : c.kind == TransitionKind::kFiring ? "firing"
                                                           : "resolved") +
           (c.settles_announcement ? "(announced)" : "") + "#" + std::to_string(c.seq) + "@" +
           std::to_string(c.boundary.value() / kSecond) + " since " + std::to_string(c.began_at.value() / kSecond) + " value " +
           std::to_string(static_cast<std::int64_t>(c.value)) + (fold_.rules.size() > 1 ? " R" + std::to_string(c.rule) : "");
  }

  FoldGroup fold_;
  Dictionary dictionary_;
  std::string state_;
  std::vector<Partial> partials_;
  std::optional<base::Micros> settled_, timer_;
  bool stalled_ = false;
  std::int64_t missed_ = 0;
};

TEST(Advance, ABoundarySeesRowsBeforeItAndFiringAndResolvedAlternate) {
  Key key(fold_of({{.expr = "count()[10s] > 2 and count()[10s] < 100"}}));  // not monotone: nothing is announced
  key.rows(100, 3);
  EXPECT_EQ(key.settle(100), "");
  EXPECT_EQ(key.settle(101), "firing#1@101 since 101 value 3");
  EXPECT_EQ(key.settle(110), "");
  EXPECT_EQ(key.settle(130), "resolved#2@111 since 101 value 0");
  key.rows(140, 3);
  EXPECT_EQ(key.settle(200), "firing#3@141 since 141 value 3 resolved#4@151 since 141 value 0");
}

TEST(Advance, TheTrailingEdgeMovesByOneCoarseSlice) {
  Key key(fold_of({{.expr = "count()[10m] > 2 and count()[10m] < 100"}}));  // coarse slice 10 s
  key.rows(1003, 3);
  EXPECT_EQ(key.settle(1700), "firing#1@1004 since 1004 value 3 resolved#2@1610 since 1004 value 0");
}

TEST(Advance, AConditionThatCanOnlyBecomeTruerIsAnnouncedAheadAndSettledUnderTheSameIdentity) {
  Key key(fold_of({{}}));
  key.rows(103, 2);
  EXPECT_EQ(key.settle(100), "");
  key.rows(103, 1);
  EXPECT_EQ(key.settle(100), "announced#1@104 since 104 value 3");
  key.rows(101, 5);  // the settled firing is earlier than the announced one
  EXPECT_EQ(key.settle(103), "firing(announced)#1@102 since 102 value 5");
  EXPECT_EQ(key.settle(120), "resolved#2@114 since 102 value 0");
}

TEST(Advance, BeforeAnyBoundarySettlesAnAnnouncementIsMadeAlready) {
  Key key(fold_of({{}}));
  key.rows(103, 3);
  EXPECT_EQ(key.settle(std::nullopt), "announced#1@104 since 104 value 3");
  EXPECT_EQ(key.settle(110), "firing(announced)#1@104 since 104 value 3");
}

TEST(Advance, WithForNothingIsAnnounced) {
  Key key(fold_of({{.hold_s = 3}}));
  key.rows(103, 3);
  EXPECT_EQ(key.settle(100), "");
  EXPECT_EQ(key.settle(106), "");
  EXPECT_EQ(key.settle(107), "firing#1@107 since 104 value 3");
}

TEST(Advance, ForIsInterruptedByOneFalseBoundary) {
  Key key(fold_of({{.expr = "count()[10s] == 3", .hold_s = 5}}));
  key.rows(100, 3);
  key.rows(102, 1);  // false from 103 on
  key.rows(111, 2);  // true again at 112 (1 + 2), until 113
  EXPECT_EQ(key.settle(140), "");
  key.rows(150, 3);
  EXPECT_EQ(key.settle(156), "firing#1@156 since 151 value 3");
}

TEST(Advance, KeepFiringForOutlastsAGap) {
  Key key(fold_of({{.expr = "count()[10s] > 2 and count()[10s] < 100", .keep_s = 20}}));
  key.rows(100, 3);
  EXPECT_EQ(key.settle(101), "firing#1@101 since 101 value 3");
  key.rows(120, 3);
  EXPECT_EQ(key.settle(135), "");  // false at 111, true again at 121, false at 131
  EXPECT_EQ(key.timer(), 151);
  EXPECT_EQ(key.settle(151), "resolved#2@151 since 101 value 0");
}

TEST(Advance, ARatioWithoutRowsHasNoValueAndIsFalse) {
  Key key(fold_of({{.expr = "count(bytes > 5)[10s] / count()[10s] > 0.4"}}));
  key.rows(100, 1, 0);
  key.rows(100, 2, 1);
  EXPECT_EQ(key.settle(150), "firing#1@101 since 101 value 0 resolved#2@111 since 101 value 0");
}

TEST(Advance, AbsenceFiresAWindowAfterTheLastRowAndResolvesAtTheNext) {
  Key key(fold_of({{.expr = "absent()[10s]", .seen_within_s = 100}}));
  key.presence(100, 100);
  EXPECT_EQ(key.settle(110), "");
  EXPECT_EQ(key.timer(), 111);
  EXPECT_EQ(key.settle(111), "firing#1@111 since 111 value 11");
  key.presence(150, 150);
  EXPECT_EQ(key.settle(151), "resolved#2@151 since 111 value 1");
}

TEST(Advance, AKeyNotSeenWithinIsExpectedNoMore) {
  Key key(fold_of({{.expr = "absent()[10s]", .seen_within_s = 30}}));
  key.presence(100, 100);
  EXPECT_EQ(key.settle(200), "firing#1@111 since 111 value 11 resolved#2@131 since 111 value 0");
  EXPECT_EQ(key.timer(), -1);
  key.presence(300, 300);
  EXPECT_EQ(key.settle(311), "firing#3@311 since 311 value 11");  // seq goes on
}

TEST(Advance, ALateRowCountsAsPresenceOnceItIsKnown) {
  Key key(fold_of({{.expr = "absent()[10s]", .seen_within_s = 100}}));
  key.presence(100, 100);
  key.presence(105, 109);  // ts 105, arrival 114, lateness 5
  EXPECT_EQ(key.settle(130), "firing#1@116 since 116 value 11");
}

TEST(Advance, WhileStalledAFalseVerdictLeavesFiringAsItIs) {
  Key key(fold_of({{.expr = "count()[10s] > 2 and count()[10s] < 100"}}));
  key.rows(100, 3);
  EXPECT_EQ(key.stalled(true).settle(101), "firing#1@101 since 101 value 3");
  EXPECT_EQ(key.settle(130), "");
  EXPECT_EQ(key.settle(140), "");
  EXPECT_EQ(key.stalled(false).settle(150), "resolved#2@141 since 101 value 0");
}

TEST(Advance, WhileStalledAbsenceWaits) {
  Key key(fold_of({{.expr = "absent()[10s]", .seen_within_s = 100}}));
  key.presence(100, 100);
  EXPECT_EQ(key.stalled(true).settle(120), "");
  EXPECT_EQ(key.settle(130), "");
  EXPECT_EQ(key.stalled(false).settle(135), "firing#1@131 since 131 value 31");
}

TEST(Advance, ARowOfAReturnedPartitionCountsInBoundariesNotYetSettledAndIsMissedForOthers) {
  Key key(fold_of({{}}));
  key.rows(100, 2);
  EXPECT_EQ(key.stalled(true).settle(105), "");
  key.rows(102, 1);  // behind the settled boundary
  EXPECT_EQ(key.stalled(false).settle(106), "firing#1@106 since 106 value 3");
  EXPECT_EQ(key.missed(), 1);
}

TEST(Advance, AKeyWithoutRowsOrTimerIsNotTouchedAndAnIdleOneIsForgotten) {
  Key key(fold_of({{}}));
  key.rows(100, 1);
  EXPECT_EQ(key.settle(101), "");
  EXPECT_EQ(key.timer(), 111);  // its last slice leaves: only to be forgotten
  EXPECT_EQ(key.settle(111), "");
  EXPECT_TRUE(key.state().empty());
}

TEST(Advance, ARuleSeesAKeyFromItsFirstOwnRowOn) {
  Key key(fold_of({{.expr = "count(bytes > 5)[10s] < 1"}, {.expr = "count(bytes > 7)[10s] > 100"}}));
  key.rows(100, 5, 1);  // of the other rule
  EXPECT_EQ(key.settle(120), "");
  key.rows(130, 1, 0);
  EXPECT_EQ(key.settle(160), "firing#1@141 since 141 value 0 R0");
}

TEST(Advance, AMissedRowBehindEveryWindowBringsNoKey) {
  Key key(fold_of({{.expr = "count()[10s] < 1"}}));
  EXPECT_EQ(key.settle(130), "");
  key.rows(100, 1);
  EXPECT_EQ(key.settle(140), "");
  EXPECT_EQ(key.missed(), 1);
  EXPECT_TRUE(key.state().empty());
  key.rows(135, 1);  // missed as well, but the window reaches it
  EXPECT_EQ(key.settle(160), "firing#1@146 since 146 value 0");
}

TEST(Advance, PresenceOlderThanARulesOwnSeenWithinBringsNoKeyWhateverOtherRulesExpect) {
  const Options own = {.expr = "absent()[10s] or count()[10s] < 1", .seen_within_s = 30};
  Key alone(fold_of({own}));
  alone.presence(50, 100);
  EXPECT_EQ(alone.settle(130), "");
  Key shared(fold_of({own, {.expr = "absent()[10s]", .seen_within_s = 300}}));
  shared.presence(50, 100);
  EXPECT_EQ(shared.settle(130), "firing#1@101 since 101 value 51 R1");
}

TEST(Advance, SeqOutlivesCountersAndExpiry) {
  Key key(fold_of({{}}));
  key.rows(100, 3);
  EXPECT_EQ(key.settle(200), "firing#1@101 since 101 value 3 resolved#2@111 since 101 value 0");
  EXPECT_FALSE(key.state().empty());
  EXPECT_EQ(key.timer(), -1);
  key.rows(300, 3);
  EXPECT_EQ(key.settle(290), "announced#3@301 since 301 value 3");
}

TEST(Advance, ARuleEditThatKeepsTheFoldKeepsTheStateAndAnUntrueAnnouncementResolves) {
  Key key(fold_of({{.expr = "count()[10s] > 2"}}));
  key.rows(103, 3);
  EXPECT_EQ(key.settle(100), "announced#1@104 since 104 value 3");
  key.edit(fold_of({{.expr = "count()[10s] > 5"}}));
  EXPECT_EQ(key.settle(104), "firing(announced)#1@104 since 104 value 3 resolved#2@104 since 104 value 3");
  key.rows(104, 3);
  EXPECT_EQ(key.settle(104), "announced#3@105 since 105 value 6");
}

TEST(Advance, ARuleEditIsLookedAtWithoutRows) {
  Key key(fold_of({{.expr = "count()[10s] > 5"}}));
  key.rows(100, 3);
  EXPECT_EQ(key.settle(102), "");
  key.edit(fold_of({{.expr = "count()[10s] > 2"}}));
  EXPECT_EQ(key.settle(104), "firing#1@103 since 103 value 3");
}

TEST(Advance, ANewFoldIsBlindUntilItHasSeenItsWindow) {
  Key key(fold_of({{.expr = "count()[10s] > 2"}}));
  key.rows(100, 1);
  EXPECT_EQ(key.settle(102), "");
  key.edit(fold_of({{.expr = "count(bytes > 5)[10s] < 9"}}));
  key.rows(103, 4);
  EXPECT_EQ(key.settle(111), "");
  EXPECT_EQ(key.settle(112), "firing#1@112 since 112 value 4");
}

TEST(Advance, ARemovedRuleResolvesItsOpenPageWithItsNextSeq) {
  Key key(fold_of({{.expr = "count()[10s] > 2 and count()[10s] < 100"}}));
  key.rows(100, 3);
  EXPECT_EQ(key.settle(101), "firing#1@101 since 101 value 3");
  const std::vector<int> rules = {0};
  const auto closed = close_rules(key.fold(), key.state(), base::Micros(101 * kSecond), rules).value();
  ASSERT_EQ(closed.changes.size(), 1u);
  EXPECT_EQ(closed.changes[0].kind, TransitionKind::kResolved);
  EXPECT_EQ(closed.changes[0].seq, 2);
  EXPECT_EQ(seqs(key.fold(), closed.state).value(), (std::vector<std::pair<int, std::int64_t>>{{key.fold().rules[0].id, 2}}));
}

TEST(Advance, BytesSayTheSameAfterOneRoundTripAndDamageIsRefused) {
  Key key(fold_of({{.expr = "count()[10s] > 2"}, {.expr = "absent(bytes > 3)[20s]", .hold_s = 5, .seen_within_s = 60}}));
  key.rows(100, 3, 0);
  key.presence(98, 100, 1);
  key.rows(104, 1, 0);
  key.settle(102);
  const auto decoded = decode_state(key.fold(), key.state()).value();
  EXPECT_EQ(encode_state(key.fold(), decoded), key.state());
  EXPECT_EQ(decode_state(key.fold(), key.state().substr(0, key.state().size() - 1)).error().kind, base::ErrorKind::kCorrupt);
  std::string newer = key.state();
  newer[0] = 9;
  EXPECT_EQ(decode_state(key.fold(), newer).error().kind, base::ErrorKind::kInvalid);
}

}  // namespace
}  // namespace headpond::rules
