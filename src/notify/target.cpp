#include "notify/target.h"

#include <cstdio>

#include "base/time.h"
#include "notify/codec.h"
#include "notify/json_codec.h"

namespace headpond::notify {
namespace {

using rules::Transition;
using rules::TransitionKind;

constexpr std::size_t kDetailBytesMax = 200;

std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::string seconds(base::Duration d) {
  char text[40];
  std::snprintf(text, sizeof text, "%.1f s", d.to_seconds());
  return text;
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// 4xx that will not change by waiting; 401, 403 and 404 are mended by people at the other end, so those are tried again.
bool refused_for_good(int status) {
  return status == 400 || status == 405 || status == 406 || status == 410 || status == 411 || status == 413 || status == 414 ||
         status == 415 || status == 422;
}

Answer meaning_of(const base::Result<env::HttpResponse>& response) {
  if (!response) return {Answer::Kind::kAgain, response.error().message};
  std::string detail = "HTTP " + std::to_string(response->status);
  if (response->status >= 200 && response->status < 300) return {Answer::Kind::kAccepted, std::move(detail)};
  if (!response->body.empty()) detail += ": " + response->body.substr(0, kDetailBytesMax);
  return {refused_for_good(response->status) ? Answer::Kind::kRefused : Answer::Kind::kAgain, std::move(detail)};
}

class Console final : public Target {
 public:
  explicit Console(std::function<void(const std::string&)> print) : print_(std::move(print)) {}
  Answer deliver(const Delivery& delivery, base::Micros now, base::Duration) override {
    print_(describe(delivery, now));
    return {Answer::Kind::kAccepted, "printed"};
  }

 private:
  std::function<void(const std::string&)> print_;
};

class Webhook final : public Target {
 public:
  Webhook(TargetConfig config, env::HttpClient& http) : config_(std::move(config)), http_(http) {}

  Answer deliver(const Delivery& delivery, base::Micros now, base::Duration timeout) override {
    env::HttpRequest request;
    request.url = config_.urls.front();
    request.body = webhook_body(delivery, now);
    request.timeout = timeout;
    request.headers = {{"Content-Type", "application/json"}, {"Idempotency-Key", idempotency_key(delivery.transition.id)}};
    if (!config_.secret.empty()) {
      request.headers.emplace_back("X-Headpond-Signature", "sha256=" + hmac_sha256_hex(config_.secret, request.body));
    }
    return meaning_of(http_.send(request));
  }

 private:
  TargetConfig config_;
  env::HttpClient& http_;
};

// Prometheus' label names.
std::string label_name(const std::string& name) {
  std::string result;
  for (const char c : name) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9' && !result.empty());
    result += fine ? c : '_';
  }
  return result.empty() ? "_" : result;
}

class Alertmanager final : public Target {
 public:
  Alertmanager(TargetConfig config, base::Duration resend_interval, env::HttpClient& http)
      : config_(std::move(config)), resend_interval_(resend_interval), http_(http) {}

  Answer deliver(const Delivery& delivery, base::Micros now, base::Duration timeout) override {
    return post(Json::array({alert(delivery.transition, now)}), timeout);
  }
  bool wants_resend() const override { return true; }
  Answer resend(const std::vector<Transition>& open, base::Micros now, base::Duration timeout) override {
    Json alerts = Json::array();
    for (const auto& transition : open) alerts.push_back(alert(transition, now));
    return post(alerts, timeout);
  }

 private:
  Json alert(const Transition& t, base::Micros now) const {
    Json labels = Json::object();
    for (const auto& [name, value] : t.labels) {
      if (!value.empty()) labels[label_name(name)] = value;
    }
    Json annotations = Json::object();
    for (const auto& [name, value] : t.annotations) annotations[label_name(name)] = value;
    annotations["value"] = number(t.value);
    if (!t.sql.empty()) annotations["evidence"] = t.sql;
    for (const auto& partial : t.incomplete) annotations["incomplete"] = partial;
    // A firing alert ends by itself when we no longer say that it fires: as Prometheus does, after four missed resends.
    const bool firing = t.kind == TransitionKind::kFiring;
    const base::Micros ends_at = firing ? now + resend_interval_ * 4 : std::max(t.boundary, t.began_at + base::Duration::millis(1));
    return {{"labels", std::move(labels)},
            {"annotations", std::move(annotations)},
            {"startsAt", base::format_rfc3339(t.began_at)},
            {"endsAt", base::format_rfc3339(ends_at)}};
  }

  // Every peer hears it, as Alertmanager asks of its clients; one acceptance is enough, for they gossip and are told again.
  Answer post(const Json& alerts, base::Duration timeout) const {
    Answer best{Answer::Kind::kAgain, ""};
    int accepted = 0;
    for (const auto& url : config_.urls) {
      env::HttpRequest request;
      request.url = url + (url.ends_with('/') ? "api/v2/alerts" : "/api/v2/alerts");
      request.headers = {{"Content-Type", "application/json"}};
      request.body = dump(alerts);
      request.timeout = base::Duration(timeout.value() / static_cast<std::int64_t>(config_.urls.size()));
      const Answer answer = meaning_of(http_.send(request));
      if (answer.kind == Answer::Kind::kAccepted) {
        ++accepted;
        best = answer;
      } else if (accepted == 0) {
        best = answer;
      }
    }
    if (config_.urls.size() > 1)
      best.detail += " from " + std::to_string(accepted) + " of " + std::to_string(config_.urls.size()) + " peers";
    return best;
  }

  TargetConfig config_;
  base::Duration resend_interval_;
  env::HttpClient& http_;
};

}  // namespace

Answer Target::resend(const std::vector<Transition>&, base::Micros, base::Duration) {
  return {};
}

base::Result<TargetKind> parse_target_kind(const std::string& text) {
  if (text == "stdout") return TargetKind::kStdout;
  if (text == "webhook") return TargetKind::kWebhook;
  if (text == "alertmanager") return TargetKind::kAlertmanager;
  return base::fail(base::ErrorKind::kInvalid, "'" + text + "' is no kind of target; known are stdout, webhook and alertmanager");
}

base::Result<std::unique_ptr<Target>> make_target(const TargetConfig& config, const NotifierOptions& options, env::HttpClient& http,
                                                  std::function<void(const std::string&)> print) {
  if (config.kind == TargetKind::kStdout) return std::make_unique<Console>(std::move(print));
  if (config.urls.empty()) return base::fail(base::ErrorKind::kInvalid, "target '" + config.name + "' has no url; give it one");
  if (config.kind == TargetKind::kWebhook) return std::make_unique<Webhook>(config, http);
  return std::make_unique<Alertmanager>(config, options.resend_interval, http);
}

std::string describe(const Delivery& delivery, base::Micros now) {
  const Transition& t = delivery.transition;
  const bool firing = t.kind == TransitionKind::kFiring;
  std::string text = (firing ? "PAGE  firing    " : "PAGE  resolved  ") + t.id.rule + "  " + t.id.key;
  text += "  value " + number(t.value) + "  " + seconds(now - t.boundary) + " after its boundary " + base::format_rfc3339(t.boundary);
  if (const auto summary = t.annotations.find("summary"); summary != t.annotations.end()) text += "\n      " + summary->second;
  for (const auto& partial : t.incomplete) text += "\n      incomplete: " + partial;
  if (firing && !t.samples.empty()) text += "\n      e.g. " + t.samples.front().substr(0, 160);
  if (firing && !t.sql.empty()) text += "\n      evidence: " + t.sql;
  return text;
}

std::string webhook_body(const Delivery& delivery, base::Micros now) {
  const Transition& t = delivery.transition;
  Json samples = Json::array();
  for (const auto& sample : t.samples) {
    Json row = Json::parse(sample, nullptr, false);
    samples.push_back(row.is_discarded() ? Json(sample) : std::move(row));
  }
  const Json body{{"format", 1},
                  {"status", to_string(t.kind)},
                  {"idempotency_key", idempotency_key(t.id)},
                  {"dedup_key", delivery.dedup_key},
                  {"id", {{"generation", t.id.generation}, {"rule", t.id.rule}, {"key", t.id.key}, {"seq", t.id.seq}}},
                  {"episode", (t.id.seq + 1) / 2},
                  {"announced", t.announced},
                  {"boundary", base::format_rfc3339(t.boundary)},
                  {"began_at", base::format_rfc3339(t.began_at)},
                  {"sent_at", base::format_rfc3339(now)},
                  {"value", number(t.value)},
                  {"labels", t.labels},
                  {"annotations", t.annotations},
                  {"incomplete", t.incomplete},
                  {"evidence",
                   {{"window", base::format_duration(t.window)},
                    {"versions", {t.evidence_first.value(), t.evidence_last.value()}},
                    {"samples", std::move(samples)},
                    {"sql", t.sql}}}};
  return dump(body);
}

}  // namespace headpond::notify
