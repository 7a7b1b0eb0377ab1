#include "rules/key_state.h"

#include <algorithm>
#include <bit>

namespace headpond::rules {
namespace {

enum Section : std::uint64_t { kSlices = 1, kRings = 2, kPresence = 3, kVerdicts = 4 };
enum VerdictFlag : unsigned { kPending = 1, kFiring = 2, kAnnounced = 4, kCooling = 8, kSeen = 16 };

class Bytes {
 public:
  void byte(unsigned v) { out_ += static_cast<char>(v); }
  void number(std::uint64_t v) {
    for (; v >= 0x80; v >>= 7) byte(static_cast<unsigned>(v & 0x7F) | 0x80);
    byte(static_cast<unsigned>(v));
  }
  void integer(std::int64_t v) { number((static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63)); }
  void real(double v) {
    const auto bits = std::bit_cast<std::uint64_t>(v);
    for (int i = 0; i < 8; ++i) byte(static_cast<unsigned>(bits >> (8 * i)) & 0xFF);
  }
  void section(Section tag, const Bytes& payload) {
    if (payload.out_.empty()) return;
    number(tag);
    number(payload.out_.size());
    out_ += payload.out_;
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : in_(bytes) {}
  bool done() const { return in_.empty() || bad_; }
  bool bad() const { return bad_; }
  unsigned byte() {
    if (in_.empty()) return bad_ = true, 0;
    const auto v = static_cast<unsigned char>(in_[0]);
    in_.remove_prefix(1);
    return v;
  }
  std::uint64_t number() {
    std::uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const unsigned b = byte();
      v |= static_cast<std::uint64_t>(b & 0x7F) << shift;
      if ((b & 0x80) == 0) return v;
    }
    return bad_ = true, 0;
  }
  std::int64_t integer() {
    const std::uint64_t v = number();
    return static_cast<std::int64_t>(v >> 1) ^ -static_cast<std::int64_t>(v & 1);
  }
  double real() {
    std::uint64_t bits = 0;
    for (int i = 0; i < 8; ++i) bits |= static_cast<std::uint64_t>(byte()) << (8 * i);
    return std::bit_cast<double>(bits);
  }
  Reader section(std::uint64_t length) {
    if (length > in_.size()) return bad_ = true, Reader({});
    Reader inner(in_.substr(0, length));
    in_.remove_prefix(length);
    return inner;
  }

 private:
  std::string_view in_;
  bool bad_ = false;
};

// Position of the element with this id, or -1.
template <class T>
int index_of(const std::vector<T>& all, std::uint64_t id) {
  const auto it = std::find_if(all.begin(), all.end(), [&](const T& t) { return static_cast<std::uint64_t>(t.id) == id; });
  return it == all.end() ? -1 : static_cast<int>(it - all.begin());
}

bool is_presence(const FoldGroup& fold, std::size_t measure) {
  return fold.measures[measure].kind == Measure::Kind::kPresence;
}

void read_slices(const FoldGroup& fold, Reader in, KeyState& state) {
  std::int64_t index = 0;
  while (!in.done()) {
    index += in.integer();
    KeyState::Slice slice{index, {}};
    for (std::size_t m = 0; m < fold.measures.size(); ++m) slice.values.push_back(is_presence(fold, m) ? kNever : 0);
    bool known = false;
    for (auto n = in.number(); n > 0 && !in.bad(); --n) {
      const int m = index_of(fold.measures, in.number());
      const std::int64_t value = in.integer();
      if (m < 0) continue;
      known = true;
      slice.values[static_cast<std::size_t>(m)] = is_presence(fold, static_cast<std::size_t>(m)) ? index + value : value;
    }
    if (known) state.slices.push_back(std::move(slice));
  }
}

void write_slices(const FoldGroup& fold, const KeyState& state, Bytes& out) {
  std::int64_t index = 0;
  for (const auto& slice : state.slices) {
    out.integer(slice.index - index);
    index = slice.index;
    const auto is_set = [&](std::size_t m) { return slice.values[m] != (is_presence(fold, m) ? kNever : 0); };
    std::uint64_t n = 0;
    for (std::size_t m = 0; m < slice.values.size(); ++m) n += is_set(m) ? 1 : 0;
    out.number(n);
    for (std::size_t m = 0; m < slice.values.size(); ++m) {
      if (!is_set(m)) continue;
      out.number(static_cast<std::uint64_t>(fold.measures[m].id));
      out.integer(is_presence(fold, m) ? slice.values[m] - index : slice.values[m]);
    }
  }
}

void read_rings(const FoldGroup& fold, Reader in, KeyState& state) {
  while (!in.done()) {
    const int c = index_of(fold.counters, in.number());
    std::int64_t index = 0;
    for (auto n = in.number(); n > 0 && !in.bad(); --n) {
      index += in.integer();
      const std::int64_t count = in.integer();
      if (c >= 0) state.rings[static_cast<std::size_t>(c)].emplace_back(index, count);
    }
  }
}

void write_rings(const FoldGroup& fold, const KeyState& state, Bytes& out) {
  for (std::size_t c = 0; c < state.rings.size(); ++c) {
    if (state.rings[c].empty()) continue;
    out.number(static_cast<std::uint64_t>(fold.counters[c].id));
    out.number(state.rings[c].size());
    std::int64_t index = 0;
    for (const auto& [k, count] : state.rings[c]) {
      out.integer(k - index);
      out.integer(count);
      index = k;
    }
  }
}

void read_verdicts(const FoldGroup& fold, Reader in, KeyState& state) {
  while (!in.done()) {
    const std::uint64_t id = in.number();
    const unsigned flags = in.byte();
    Verdict v;
    v.seen = (flags & kSeen) != 0;
    v.pending = (flags & kPending) != 0;
    v.firing = (flags & kFiring) != 0;
    v.announced = (flags & kAnnounced) != 0;
    v.cooling = (flags & kCooling) != 0;
    v.seq = in.integer();
    if (v.pending || v.firing) v.began = in.integer();
    if (v.firing) v.fired_at = in.integer();
    if (v.firing || v.announced) v.value = in.real();
    if (v.cooling) v.cooling_since = in.integer();
    if (v.announced) v.announced_at = in.integer();
    const int r = index_of(fold.rules, id);
    if (r >= 0) {
      state.verdicts[static_cast<std::size_t>(r)] = v;
    } else if (v.seq > 0) {
      state.retired.emplace_back(static_cast<int>(id), v.seq);
    }
  }
}

void write_verdicts(const FoldGroup& fold, const KeyState& state, Bytes& out) {
  for (std::size_t r = 0; r < state.verdicts.size(); ++r) {
    const Verdict& v = state.verdicts[r];
    if (v.idle()) continue;
    out.number(static_cast<std::uint64_t>(fold.rules[r].id));
    out.byte((v.pending ? kPending : 0u) | (v.firing ? kFiring : 0u) | (v.announced ? kAnnounced : 0u) | (v.cooling ? kCooling : 0u) |
             (v.seen ? kSeen : 0u));
    out.integer(v.seq);
    if (v.pending || v.firing) out.integer(v.began);
    if (v.firing) out.integer(v.fired_at);
    if (v.firing || v.announced) out.real(v.value);
    if (v.cooling) out.integer(v.cooling_since);
    if (v.announced) out.integer(v.announced_at);
  }
  for (const auto& [id, seq] : state.retired) {
    out.number(static_cast<std::uint64_t>(id));
    out.byte(0);
    out.integer(seq);
  }
}

}  // namespace

bool KeyState::empty() const {
  return slices.empty() && retired.empty() && std::all_of(rings.begin(), rings.end(), [](const Ring& r) { return r.empty(); }) &&
         std::all_of(last.begin(), last.end(), [](std::int64_t l) { return l == kNever; }) &&
         std::all_of(verdicts.begin(), verdicts.end(), [](const Verdict& v) { return v.idle(); });
}

base::Result<KeyState> decode_state(const FoldGroup& fold, std::string_view bytes) {
  KeyState state;
  state.rings.resize(fold.counters.size());
  state.last.assign(fold.measures.size(), kNever);
  state.verdicts.resize(fold.rules.size());
  if (bytes.empty()) return state;
  Reader in(bytes);
  const unsigned format = in.byte();
  if (format > kFormat)
    return base::fail(base::ErrorKind::kInvalid,
                      "the pager's state has format " + std::to_string(format) + "; install the Headpond that wrote it");
  if (in.byte() != 0) state.timer = in.integer();
  bool bad = false;
  while (!in.done()) {
    const std::uint64_t tag = in.number();
    Reader section = in.section(in.number());
    if (in.bad()) break;
    if (tag == kSlices) read_slices(fold, section, state);
    if (tag == kRings) read_rings(fold, section, state);
    if (tag == kVerdicts) read_verdicts(fold, section, state);
    if (tag == kPresence) {
      while (!section.done()) {
        const int m = index_of(fold.measures, section.number());
        const std::int64_t slice = section.integer();
        if (m >= 0) state.last[static_cast<std::size_t>(m)] = slice;
      }
    }
    bad = bad || tag < kSlices || tag > kVerdicts;
  }
  if (bad || in.bad())
    return base::fail(base::ErrorKind::kCorrupt,
                      "a key's state in the pager's store is not readable; stop the pager, remove its local state and let it restore");
  return state;
}

std::string encode_state(const FoldGroup& fold, const KeyState& state) {
  if (state.empty()) return {};
  Bytes out;
  out.byte(kFormat);
  out.byte(state.timer ? 1 : 0);
  if (state.timer) out.integer(*state.timer);
  Bytes slices, rings, presence, verdicts;
  write_slices(fold, state, slices);
  write_rings(fold, state, rings);
  for (std::size_t m = 0; m < state.last.size(); ++m) {
    if (state.last[m] == kNever) continue;
    presence.number(static_cast<std::uint64_t>(fold.measures[m].id));
    presence.integer(state.last[m]);
  }
  write_verdicts(fold, state, verdicts);
  out.section(kSlices, slices);
  out.section(kRings, rings);
  out.section(kPresence, presence);
  out.section(kVerdicts, verdicts);
  return out.take();
}

std::optional<std::int64_t> timer_of(std::string_view bytes) {
  if (bytes.size() < 3) return std::nullopt;
  Reader in(bytes.substr(1));
  if (in.byte() == 0) return std::nullopt;
  return in.integer();
}

}  // namespace headpond::rules
