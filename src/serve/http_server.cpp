#include <httplib.h>

#include <atomic>
#include <charconv>
#include <filesystem>
#include <thread>

#include "base/time.h"
#include "serve/server.h"
#include "serve/site.h"

namespace headpond::serve {
namespace {

constexpr base::Duration kRefresh = base::kSecond;
constexpr base::Duration kKeepAlive = base::Duration::seconds(10);

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos);
}

// "127.0.0.1:8080" → "127.0.0.1"; "[::1]:8080" → "::1".
std::string host_of(const std::string& authority) {
  if (authority.starts_with("[")) return authority.substr(1, authority.find(']') == std::string::npos ? 0 : authority.find(']') - 1);
  return authority.substr(0, authority.find(':'));
}

class HttpServer final : public Server {
 public:
  HttpServer(const Options& options, std::unique_ptr<Site> site) : options_(options), site_(std::move(site)) {}

  base::Result<void> bind(const ListenAddress& address);
  base::Result<void> run() override;
  void stop() override { site_->end(); }
  std::string address() const override { return address_; }

 private:
  void answer(const httplib::Request& request, httplib::Response& response);
  void stream(const httplib::Request& request, httplib::Response& response);

  const Options options_;
  std::unique_ptr<Site> site_;
  httplib::Server http_;
  std::string address_;
  std::atomic<int> streams_{0};
};

base::Result<void> HttpServer::bind(const ListenAddress& address) {
  // httplib's own choice, SO_REUSEPORT, would let two servers share a port and each get half of the requests.
  http_.set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  const auto pool = static_cast<std::size_t>(options_.connections_max);
  http_.new_task_queue = [pool] { return new httplib::ThreadPool(pool); };
  http_.set_keep_alive_timeout(5);
  http_.set_read_timeout(10);
  http_.set_write_timeout(10);
  http_.set_payload_max_length(1 << 16);
  http_.set_pre_routing_handler([](const httplib::Request& request, httplib::Response& response) {
    response.set_header("X-Content-Type-Options", "nosniff");
    response.set_header("Referrer-Policy", "no-referrer");
    response.set_header("Cache-Control", "no-cache");
    // A page elsewhere that names its own host as 127.0.0.1 must not read this one.
    if (is_loopback(host_of(request.get_header_value("Host")))) return httplib::Server::HandlerResponse::Unhandled;
    response.status = 403;
    response.set_content("ask for this page by a loopback name: http://localhost or http://127.0.0.1\n", "text/plain");
    return httplib::Server::HandlerResponse::Handled;
  });
  http_.Get("/events", [this](const auto& request, auto& response) { stream(request, response); });
  http_.Get(R"(/.*)", [this](const auto& request, auto& response) { answer(request, response); });
  int port = address.port;
  if (port == 0)
    port = http_.bind_to_any_port(address.host);
  else if (!http_.bind_to_port(address.host, port))
    port = -1;
  if (port <= 0)
    return base::fail(base::ErrorKind::kInvalid,
                      "cannot listen at " + options_.listen +
                          ": the port is taken, or may not be used; choose another with serve.listen or --listen (port 0 = a free one)");
  address_ =
      "http://" + (address.host.find(':') == std::string::npos ? address.host : "[" + address.host + "]") + ":" + std::to_string(port);
  return {};
}

base::Result<void> HttpServer::run() {
  std::atomic<bool> served = false;
  std::thread follower([&] {
    while (!site_->ended()) {
      site_->refresh();
      site_->pause(kRefresh);
    }
    // httplib forgets a stop() that comes before it listens, so it is told until it has heard.
    while (!served) {
      http_.stop();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  });
  const bool listened = http_.listen_after_bind();
  served = true;
  const bool asked = site_->ended();
  site_->end();
  follower.join();
  if (!listened && !asked) return base::fail(base::ErrorKind::kRetry, "the server at " + address_ + " lost its socket");
  return {};
}

void HttpServer::answer(const httplib::Request& request, httplib::Response& response) {
  Request asked{.path = request.path, .parameters = {}};
  for (const auto& [name, value] : request.params) asked.parameters[name] = value;
  auto answer = site_->handle(asked);
  response.status = answer.status;
  // The bill's report brings its style and pictures inside itself; nothing anywhere may load from elsewhere.
  const bool report = asked.path.starts_with("/bill/");
  response.set_header("Content-Security-Policy", report ? "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
                                                        : "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:");
  response.set_content(std::move(answer.body), answer.type);
}

void HttpServer::stream(const httplib::Request&, httplib::Response& response) {
  if (++streams_ > options_.connections_max / 2) {
    --streams_;
    response.status = 503;
    response.set_content("too many event streams; poll /api/status instead\n", "text/plain");
    return;
  }
  auto seen = std::make_shared<std::int64_t>(0);
  response.set_chunked_content_provider(
      "text/event-stream",
      [this, seen](std::size_t, httplib::DataSink& sink) {
        const auto tick = site_->wait(*seen, kKeepAlive);
        if (site_->ended()) {
          sink.done();
          return true;
        }
        std::string text = ": still here\n\n";
        if (tick) {
          *seen = tick->number;
          text = "id: " + std::to_string(tick->number) + "\nevent: status\ndata: " + tick->status + "\n\n";
        }
        return sink.write(text.data(), text.size());
      },
      [this](bool) { --streams_; });
}

}  // namespace

base::Result<ListenAddress> parse_listen(const std::string& listen) {
  const auto colon = listen.rfind(':');
  ListenAddress address{
      .host = colon == std::string::npos ? "" : host_of(listen.substr(0, listen.starts_with("[") ? listen.size() : colon)), .port = -1};
  if (colon != std::string::npos) {
    const auto* end = listen.data() + listen.size();
    if (std::from_chars(listen.data() + colon + 1, end, address.port).ptr != end) address.port = -1;
  }
  if (address.host.empty() || address.port < 0 || address.port > 65535)
    return base::fail(base::ErrorKind::kInvalid, "listen address '" + listen + "' is not host:port, such as 127.0.0.1:8080");
  if (!is_loopback(address.host))
    return base::fail(base::ErrorKind::kInvalid,
                      "listen address '" + listen +
                          "' is not loopback, and the page has no passwords; listen at 127.0.0.1 and put a proxy that "
                          "authenticates in front, or reach it through ssh -L");
  return address;
}

base::Result<std::unique_ptr<Server>> Server::open(const Options& options, const Sources& sources) {
  TRY(const auto address, parse_listen(options.listen));
  std::error_code error;
  std::filesystem::create_directories(sources.local_directory, error);
  if (error) return base::fail(base::ErrorKind::kInvalid, "cannot create " + sources.local_directory + ": " + error.message());
  TRY(auto site, Site::open(sources, options.memory_bytes));
  auto server = std::make_unique<HttpServer>(options, std::move(site));
  TRY_VOID(server->bind(address));
  return server;
}

}  // namespace headpond::serve
