// The rule core for the JVM: class io.headpond.rules.RuleCore. Contract: docs/formats/jni.md.
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "rules/advance.h"
#include "rules/fold.h"
#include "rules/jni/texts.h"
#include "rules/transition_json.h"
#include "rules/transition_of.h"

namespace headpond::rules::jni {
namespace {

static_assert(std::endian::native == std::endian::little, "results are written as the machine has them");

constexpr std::int64_t kNone = INT64_MIN;
constexpr jint kStalled = 1, kAnnounce = 2;
constexpr char kIllegalArgument[] = "java/lang/IllegalArgumentException", kIllegalState[] = "java/lang/IllegalStateException";

struct Core {
  Program program;
  Claim claim;
};

void raise(JNIEnv* env, const char* type, const std::string& message) {
  env->ThrowNew(env->FindClass(type), message.c_str());
}

const Core& core_of(jlong handle) {
  return *reinterpret_cast<const Core*>(handle);
}

const FoldGroup& fold_of(jlong core, jint fold) {
  return core_of(core).program.folds.at(static_cast<std::size_t>(fold));
}

// Calls `body`; what it throws becomes a Java exception.
template <class Body>
auto guarded(JNIEnv* env, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::exception& e) {
    raise(env, kIllegalState, e.what());
    return {};
  }
}

template <class Number>
void append(std::string& out, Number value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

void append_text(std::string& out, const std::string& text) {
  append(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}

void append_transitions(std::string& out, const std::vector<Transition>& transitions) {
  append(out, static_cast<std::uint32_t>(transitions.size()));
  for (const auto& t : transitions) append_text(out, encode(t).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

std::vector<Partial> partials_of(const std::vector<std::int64_t>& flat, std::size_t measures) {
  if (flat.size() % (1 + measures) != 0) throw std::invalid_argument("partials have another width than the fold's measures");
  std::vector<Partial> out;
  for (std::size_t i = 0; i < flat.size(); i += 1 + measures) {
    const auto begin = flat.begin() + static_cast<std::ptrdiff_t>(i);
    out.push_back({flat[i], {begin + 1, begin + 1 + static_cast<std::ptrdiff_t>(measures)}});
  }
  return out;
}

std::optional<base::Micros> boundary(jlong us) {
  return us == kNone ? std::nullopt : std::optional(base::Micros(us));
}

std::vector<Transition> transitions_of(const Core& core, const FoldGroup& fold, const std::vector<Change>& changes, const std::string& key,
                                       base::Version version, const std::vector<std::string>& incomplete) {
  std::vector<Transition> out;
  for (const auto& change : changes) {
    out.push_back(transition_of(fold, change, key, core.claim, version));
    out.back().incomplete = incomplete;
  }
  return out;
}

jbyteArray advance_key(JNIEnv* env, jlong core, jint fold_index, const std::string& key, const std::string& state,
                       const std::vector<std::int64_t>& flat, const Boundaries& boundaries, base::Version version,
                       const std::string& incomplete) {
  const FoldGroup& fold = fold_of(core, fold_index);
  const auto advanced = advance(fold, state, partials_of(flat, fold.measures.size()), boundaries);
  if (!advanced) {
    raise(env, kIllegalState, advanced.error().message);
    return nullptr;
  }
  std::vector<std::string> left_out;
  if (!incomplete.empty()) left_out = nlohmann::json::parse(incomplete).get<std::vector<std::string>>();
  std::string out;
  append_text(out, advanced->state);
  out += advanced->timer ? '\1' : '\0';
  append(out, advanced->timer.value_or(base::Micros(0)).value());
  append(out, advanced->missed);
  append_transitions(out, transitions_of(core_of(core), fold, advanced->changes, key, version, left_out));
  return java_bytes(env, out);
}

jbyteArray open_of_key(JNIEnv* env, jlong core, jint fold_index, const std::string& key, const std::string& state, base::Version version) {
  const FoldGroup& fold = fold_of(core, fold_index);
  const auto changes = open_changes(fold, state);
  if (!changes) {
    raise(env, kIllegalState, changes.error().message);
    return nullptr;
  }
  auto transitions = transitions_of(core_of(core), fold, *changes, key, version, {});
  for (auto& t : transitions) t.send = true;
  std::string out;
  append_transitions(out, transitions);
  return java_bytes(env, out);
}

}  // namespace
}  // namespace headpond::rules::jni

using namespace headpond;
using namespace headpond::rules::jni;

extern "C" {

JNIEXPORT jlong JNICALL Java_io_headpond_rules_RuleCore_open(JNIEnv* env, jclass, jbyteArray program, jlong generation, jlong claimed_at) {
  return guarded(env, [&]() -> jlong {
    auto parsed = rules::parse_program(bytes(env, program));
    if (!parsed) {
      raise(env, kIllegalArgument, parsed.error().message);
      return 0;
    }
    if (parsed->folds.empty()) {
      raise(env, kIllegalArgument, "there are no rules");
      return 0;
    }
    return reinterpret_cast<jlong>(new Core{std::move(*parsed), {generation, base::Micros(claimed_at)}});
  });
}

JNIEXPORT void JNICALL Java_io_headpond_rules_RuleCore_close(JNIEnv*, jclass, jlong core) {
  delete reinterpret_cast<Core*>(core);
}

JNIEXPORT jstring JNICALL Java_io_headpond_rules_RuleCore_foldSql(JNIEnv* env, jclass, jlong core, jstring source) {
  return guarded(env, [&] { return java_text(env, rules::fold_query(core_of(core).program.folds, utf8(env, source)).sql); });
}

JNIEXPORT jintArray JNICALL Java_io_headpond_rules_RuleCore_foldShape(JNIEnv* env, jclass, jlong core) {
  return guarded(env, [&] {
    const auto& folds = core_of(core).program.folds;
    const auto query = rules::fold_query(folds, "x");
    std::vector<jint> shape = {static_cast<jint>(folds.size()), static_cast<jint>(query.keys), static_cast<jint>(query.measures)};
    for (const auto& fold : folds) shape.insert(shape.end(), {static_cast<jint>(fold.by.size()), static_cast<jint>(fold.measures.size())});
    const auto size = static_cast<jsize>(shape.size());
    jintArray out = env->NewIntArray(size);
    if (out != nullptr) env->SetIntArrayRegion(out, 0, size, shape.data());
    return out;
  });
}

JNIEXPORT jstring JNICALL Java_io_headpond_rules_RuleCore_keyJson(JNIEnv* env, jclass, jlong core, jint fold, jobjectArray values) {
  return guarded(env, [&] {
    std::vector<std::optional<std::string>> texts;
    for (jsize i = 0; i < env->GetArrayLength(values); ++i) {
      auto* const text = static_cast<jstring>(env->GetObjectArrayElement(values, i));
      texts.push_back(text == nullptr ? std::nullopt : std::optional(utf8(env, text)));
      env->DeleteLocalRef(text);
    }
    return java_text(env, rules::key_json(fold_of(core, fold), texts));
  });
}

JNIEXPORT jstring JNICALL Java_io_headpond_rules_RuleCore_foldId(JNIEnv* env, jclass, jlong core, jint fold) {
  return guarded(env, [&] { return java_text(env, fold_of(core, fold).id); });
}

JNIEXPORT jbyteArray JNICALL Java_io_headpond_rules_RuleCore_advance(JNIEnv* env, jclass, jlong core, jint fold, jstring key,
                                                                     jbyteArray state, jlongArray partials, jlong from, jlong to,
                                                                     jint flags, jlong version, jstring incomplete) {
  return guarded(env, [&] {
    rules::Boundaries boundaries;
    boundaries.from = boundary(from);
    boundaries.to = boundary(to);
    boundaries.stalled = (flags & kStalled) != 0;
    boundaries.announce = (flags & kAnnounce) != 0;
    return advance_key(env, core, fold, utf8(env, key), bytes(env, state), longs(env, partials), boundaries, base::Version(version),
                       incomplete == nullptr ? std::string() : utf8(env, incomplete));
  });
}

JNIEXPORT jbyteArray JNICALL Java_io_headpond_rules_RuleCore_openChanges(JNIEnv* env, jclass, jlong core, jint fold, jstring key,
                                                                         jbyteArray state, jlong version) {
  return guarded(env, [&] { return open_of_key(env, core, fold, utf8(env, key), bytes(env, state), base::Version(version)); });
}

}  // extern "C"
