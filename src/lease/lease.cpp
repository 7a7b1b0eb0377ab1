#include "lease/lease.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace headpond::lease {
namespace {

using base::ErrorKind;
using base::fail;
using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;

std::string path_of(const std::string& root, std::int64_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "/%012lld.json", static_cast<long long>(number));
  return root + name;
}

// Whether this holder wrote it in that epoch: a successor, also one of the same name, begins another.
bool is_of(const std::string& text, const std::string& holder, std::int64_t epoch) {
  const Json json = Json::parse(text, nullptr, false);
  return json.is_object() && json.value("holder", std::string()) == holder && json.value("epoch", std::int64_t{0}) == epoch;
}

std::string random_token(env::Random& random) {
  char text[40];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(random.next()),
                static_cast<unsigned long long>(random.next()));
  return text;
}

}  // namespace

Lease::Lease(env::ObjectStore& objects, env::Clock& clock, env::Random& random, LeaseOptions options)
    : objects_(objects), clock_(clock), random_(random), options_(std::move(options)) {}

base::Result<Lease::Seen> Lease::read(std::int64_t number) const {
  const std::string path = path_of(options_.root, number);
  TRY(const std::string text, objects_.get(path));
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || json.value("format", 0) < 1) return fail(ErrorKind::kCorrupt, path + " is not a lease; remove it");
  if (json.value("format", 0) > kFormat) return fail(ErrorKind::kInvalid, path + ": written by a newer headpond; install that one");
  return Seen{number, json.value("epoch", std::int64_t{0}), json.value("holder", std::string()), json.value("released", false),
              base::Duration(json.value("lease_us", std::int64_t{0}) + json.value("grace_us", std::int64_t{0}))};
}

base::Result<std::optional<Lease::Seen>> Lease::newest() const {
  while (true) {
    TRY(const auto listed, objects_.list(options_.root + "/"));
    if (listed.empty()) return std::nullopt;
    const auto& path = listed.back().path;
    std::int64_t number = 0;
    std::from_chars(path.data() + options_.root.size() + 1, path.data() + path.size(), number);
    auto seen = read(number);
    if (!seen && seen.error().kind == ErrorKind::kNotFound) continue;  // renewed twice since it was listed
    if (!seen) return std::unexpected(seen.error());
    return *seen;
  }
}

base::Result<bool> Lease::put_next(bool released) {
  const base::Duration before = clock_.monotonic();
  const std::string nonce = random_token(random_);
  const Json json{{"format", kFormat},
                  {"epoch", epoch_},
                  {"holder", options_.holder},
                  {"nonce", nonce},
                  {"released", released},
                  {"lease_us", options_.lease.value()},
                  {"grace_us", options_.grace.value()},
                  {"at", clock_.now().value()}};
  const std::string path = path_of(options_.root, number_ + 1);
  auto put = objects_.put_if_absent(path, json.dump());
  if (!put && (put.error().kind == ErrorKind::kUnknown || put.error().kind == ErrorKind::kConflict)) {
    const auto there = objects_.get(path);
    if (there && *there == json.dump()) {
      put = {};  // ours after all
    } else if (there && is_of(*there, options_.holder, epoch_)) {
      ++number_;  // a put of ours before this one, whose reply never came
      return put_next(released);
    } else if (there) {
      return false;
    } else {
      // It is gone, so others have gone on; or it never was: a busy store says "conflict" to what it wants to be asked again.
      TRY(const auto later, objects_.list(options_.root + "/", path, 1));
      if (!later.empty()) return false;
      return fail(ErrorKind::kRetry, put.error().message);
    }
  }
  if (!put) return std::unexpected(put.error());
  // A holder that slept through takeovers may have filled a number that was long removed: anything after it means it lost.
  TRY(const auto later, objects_.list(options_.root + "/", path, 1));
  if (!later.empty()) return false;
  ++number_;
  valid_until_ = before + options_.lease;
  // Two objects stay: the newest is never removed, so the chain never seems to begin anew.
  if (number_ > 2) TRY_VOID(objects_.remove(path_of(options_.root, number_ - 2)));
  return true;
}

base::Result<bool> Lease::acquire() {
  if (held_) return true;
  TRY(const auto seen, newest());
  const base::Duration now = clock_.monotonic();
  if (seen) {
    if (seen->number != number_ || !seen_since_) seen_since_ = now;
    number_ = seen->number;
    const bool free = seen->released || seen->holder == options_.holder || now - *seen_since_ >= seen->wait;
    if (!free) return false;
  }
  epoch_ = seen ? seen->epoch + 1 : 1;
  TRY(held_, put_next(false));
  seen_since_.reset();
  return held_;
}

base::Result<void> Lease::keep() {
  if (!held_) return fail(ErrorKind::kFenced, "the lease " + options_.root + " is not held");
  if (remaining().value() * 3 > options_.lease.value() * 2) return {};
  TRY(held_, put_next(false));
  if (!held_) return fail(ErrorKind::kFenced, "another process has taken over " + options_.root + "; this one stops sending");
  return {};
}

base::Result<void> Lease::release() {
  if (!held_) return {};
  held_ = false;
  TRY_VOID(put_next(true));
  return {};
}

base::Duration Lease::remaining() const {
  if (!held_) return base::Duration(0);
  return std::max(base::Duration(0), valid_until_ - clock_.monotonic(), [](auto a, auto b) { return a.value() < b.value(); });
}

base::Result<std::string> holder_token(const std::string& local_directory, env::Random& random) {
  const std::string file = local_directory + "/holder";
  std::error_code error;
  std::filesystem::create_directories(local_directory, error);
  std::string token;
  std::ifstream(file) >> token;
  if (token.size() == 32) return token;
  token = random_token(random);
  std::ofstream out(file);
  out << token << std::endl;
  if (!out) return fail(ErrorKind::kInvalid, "cannot write " + file + "; make that directory writable");
  return token;
}

}  // namespace headpond::lease
