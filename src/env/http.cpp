#include "env/http.h"

#include <httplib.h>

#include <condition_variable>
#include <mutex>
#include <thread>

namespace headpond::env {
namespace {

constexpr std::size_t kBodyBytesMax = 64 * 1024;

struct Url {
  std::string origin;  // "https://host:port"
  std::string target;  // "/path?query"
};

base::Result<Url> split(const std::string& url) {
  const auto scheme = url.find("://");
  const std::string_view name = std::string_view(url).substr(0, scheme == std::string::npos ? 0 : scheme);
  if (name != "http" && name != "https") {
    return base::fail(base::ErrorKind::kInvalid, "'" + url + "' is not a URL Headpond can send to: it must begin with http:// or https://");
  }
  const auto start = scheme + 3;
  const auto slash = url.find_first_of("/?", start);
  Url result{url.substr(0, slash), slash == std::string::npos ? "/" : url.substr(slash)};
  if (result.target.front() == '?') result.target.insert(0, "/");
  if (result.origin.size() == start) return base::fail(base::ErrorKind::kInvalid, "'" + url + "' names no host");
  return result;
}

// Cuts an exchange off when its time is up: httplib's own limits count from byte to byte.
class Watchdog {
 public:
  Watchdog(httplib::Client& client, std::chrono::microseconds timeout)
      : thread_([this, &client, timeout](std::stop_token stop) {
          std::unique_lock lock(mutex_);
          const auto deadline = std::chrono::steady_clock::now() + timeout;
          wake_.wait_until(lock, stop, deadline, [] { return false; });
          // stop() is repeated because the socket may not have been there yet at the first call.
          while (!stop.stop_requested()) {
            client.stop();
            wake_.wait_for(lock, stop, std::chrono::milliseconds(10), [] { return false; });
          }
        }) {}

 private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;  // last: joined before what it uses goes
};

// Whether the request can have reached the other side.
base::ErrorKind kind_of(httplib::Error error) {
  switch (error) {
    case httplib::Error::Connection:
    case httplib::Error::ConnectionTimeout:
    case httplib::Error::BindIPAddress:
    case httplib::Error::SSLConnection:
    case httplib::Error::SSLLoadingCerts:
    case httplib::Error::SSLServerVerification: return base::ErrorKind::kRetry;
    default: return base::ErrorKind::kUnknown;
  }
}

class RealHttpClient final : public HttpClient {
 public:
  base::Result<HttpResponse> send(const HttpRequest& request) override {
    TRY(const Url url, split(request.url));
    httplib::Client client(url.origin);
    if (!client.is_valid()) return base::fail(base::ErrorKind::kInvalid, "'" + request.url + "' is not a URL Headpond can send to");
    const std::chrono::microseconds timeout(request.timeout.value());
    client.set_connection_timeout(timeout);
    client.set_read_timeout(timeout);
    client.set_write_timeout(timeout);
    client.set_keep_alive(false);
    client.set_follow_location(false);

    httplib::Request out;
    out.method = request.method;
    out.path = url.target;
    for (const auto& [name, value] : request.headers) out.headers.emplace(name, value);
    out.body = request.body;
    HttpResponse response;
    out.content_receiver = [&response](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
      response.body.append(data, std::min(size, kBodyBytesMax - response.body.size()));
      return true;
    };
    const Watchdog watchdog(client, timeout);
    const httplib::Result result = client.send(out);
    if (!result) {
      // The query may hold a token: messages name the origin only.
      return base::fail(kind_of(result.error()), request.method + " " + url.origin + ": " + httplib::to_string(result.error()) +
                                                     " (within " + std::to_string(request.timeout.value() / 1000) + " ms)");
    }
    response.status = result->status;
    for (const auto& [name, value] : result->headers) response.headers.emplace_back(name, value);
    return response;
  }
};

}  // namespace

std::unique_ptr<HttpClient> real_http_client() {
  return std::make_unique<RealHttpClient>();
}

}  // namespace headpond::env
