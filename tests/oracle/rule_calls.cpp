// rule_calls PROGRAM OUT CALLS SEED: calls rules::advance() CALLS times, over a few keys of every fold group of the program
// (rules::to_json), with partials, boundaries and stalls that a seed makes, and writes each call with its answer, a line each; prints the
// nanoseconds a call took. tests/rules_jni.py has a JVM make the same calls.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <random>

#include "rules/advance.h"
#include "rules/key_state.h"
#include "rules/transition_json.h"
#include "rules/transition_of.h"

using namespace headpond;

namespace {

constexpr rules::Claim kClaim{3, base::Micros(1'795'000'030'000'000)};
constexpr std::int64_t kBase = 1'795'000'000'000'000;
constexpr int kKeys = 20, kRounds = 5;

struct Call {
  const rules::FoldGroup* fold = nullptr;
  std::size_t fold_index = 0;
  std::string key, state;
  std::vector<rules::Partial> partials;
  rules::Boundaries boundaries;
  std::int64_t version = 0;
};

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

class Calls {
 public:
  Calls(const rules::Program& program, std::uint64_t seed) : program_(program), random_(seed) {}

  Call next(std::int64_t version) {
    Call call;
    call.fold_index = below(program_.folds.size());
    call.fold = &program_.folds[call.fold_index];
    call.key = fmt::format(R"({{"k":"k{}"}})", below(kKeys));
    call.version = version;
    Line& line = lines_[{call.fold_index, call.key}];
    const std::int64_t interval = call.fold->interval.value();
    call.state = line.state;
    call.boundaries.from = line.settled;
    call.boundaries.to =
        line.settled.value_or(base::Micros(kBase / interval * interval)) + call.fold->interval * static_cast<int>(below(5));
    call.boundaries.stalled = below(10) == 0;
    call.boundaries.announce = below(2) == 0;
    const std::int64_t newest = call.boundaries.to->value() / interval;
    for (std::int64_t slice = newest - 4; slice <= newest + 4; ++slice)
      if (below(4) == 0) call.partials.push_back(partial(*call.fold, slice));
    return call;
  }

  void took(const Call& call, const std::string& state) { lines_[{call.fold_index, call.key}] = {state, call.boundaries.to}; }

 private:
  struct Line {
    std::string state;
    std::optional<base::Micros> settled;
  };

  std::size_t below(std::size_t n) { return random_() % n; }

  rules::Partial partial(const rules::FoldGroup& fold, std::int64_t slice) {
    rules::Partial out{slice, {}};
    for (const auto& measure : fold.measures) {
      const bool presence = measure.kind == rules::Measure::Kind::kPresence;
      out.values.push_back(presence ? (below(3) == 0 ? rules::kNever : slice) : static_cast<std::int64_t>(below(30)));
    }
    return out;
  }

  const rules::Program& program_;
  std::mt19937_64 random_;
  std::map<std::pair<std::size_t, std::string>, Line> lines_;
};

struct Answer {
  rules::Advanced advanced;
  std::vector<std::string> transitions;
};

Answer answer(const Call& call) {
  auto advanced = rules::advance(*call.fold, call.state, call.partials, call.boundaries);
  if (!advanced) throw std::runtime_error(advanced.error().message);
  Answer out{std::move(*advanced), {}};
  for (const auto& change : out.advanced.changes)
    out.transitions.push_back(rules::encode(transition_of(*call.fold, change, call.key, kClaim, base::Version(call.version))).dump());
  return out;
}

std::string line(const Call& call, const Answer& made) {
  std::string partials, transitions;
  for (const auto& partial : call.partials) {
    partials += fmt::format("{}{}", partials.empty() ? "" : ",", partial.slice);
    for (const auto value : partial.values) partials += fmt::format(",{}", value);
  }
  for (const auto& text : made.transitions) transitions += "\t" + text;
  const auto us = [](const std::optional<base::Micros>& at) { return at ? std::to_string(at->value()) : std::string("-"); };
  return fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}{}\n", call.fold_index, call.key, hex(call.state), partials,
                     us(call.boundaries.from), us(call.boundaries.to),
                     (call.boundaries.stalled ? 1 : 0) + (call.boundaries.announce ? 2 : 0), call.version, hex(made.advanced.state),
                     us(made.advanced.timer), made.advanced.missed, transitions);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  std::ifstream in(argv[1]);
  const auto program = rules::parse_program(std::string(std::istreambuf_iterator<char>(in), {}));
  if (!program) {
    std::cerr << program.error().message << "\n";
    return 1;
  }
  Calls calls(*program, std::stoull(argv[4]));
  std::vector<Call> made;
  std::ofstream out(argv[2]);
  for (std::int64_t n = 0; n < std::stoll(argv[3]); ++n) {
    Call call = calls.next(n);
    const Answer its = answer(call);
    out << line(call, its);
    calls.took(call, its.advanced.state);
    made.push_back(std::move(call));
  }
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto began = std::chrono::steady_clock::now();
    std::size_t bytes = 0;
    for (const auto& call : made) bytes += answer(call).advanced.state.size();
    const double ns =
        std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - began).count() / static_cast<double>(made.size());
    best = round == 0 || ns < best ? ns : best;
    if (bytes == 0) return 1;
  }
  std::cout << best << "\n";
  return out.flush() ? 0 : 1;
}
