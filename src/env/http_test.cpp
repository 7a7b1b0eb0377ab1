#include "env/http.h"

#include <gtest/gtest.h>
#include <httplib.h>

#include <thread>

namespace headpond::env {
namespace {

// A server on a free loopback port.
class HttpTest : public testing::Test {
 protected:
  void start() {
    port_ = server_.bind_to_any_port("127.0.0.1");
    ASSERT_GT(port_, 0);
    thread_ = std::jthread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  void TearDown() override { server_.stop(); }
  std::string url(const std::string& target) const { return "http://127.0.0.1:" + std::to_string(port_) + target; }

  httplib::Server server_;
  std::jthread thread_;
  int port_ = 0;
};

TEST_F(HttpTest, SendsHeadersAndBodyAndKeepsTheAnswer) {
  server_.Post("/hook", [](const httplib::Request& request, httplib::Response& response) {
    response.status = 202;
    response.set_header("X-Echo", request.get_header_value("Idempotency-Key"));
    response.set_content(request.body + "?" + request.get_param_value("q"), "text/plain");
  });
  server_.Get("/big",
              [](const httplib::Request&, httplib::Response& response) { response.set_content(std::string(100'000, 'x'), "text/plain"); });
  start();
  const auto client = real_http_client();
  const auto answer = client->send({.url = url("/hook?q=7"), .headers = {{"Idempotency-Key", "k1"}}, .body = "hello"});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 202);
  EXPECT_EQ(answer->body, "hello?7");
  EXPECT_NE(std::find(answer->headers.begin(), answer->headers.end(), std::pair<std::string, std::string>("X-Echo", "k1")),
            answer->headers.end());
  EXPECT_EQ(client->send({.method = "GET", .url = url("/big"), .headers = {}, .body = ""})->body.size(), 64u * 1024);
}

TEST_F(HttpTest, TimeoutHoldsForTheWholeExchangeOfADrippingServer) {
  server_.Get("/drip", [](const httplib::Request&, httplib::Response& response) {
    response.set_chunked_content_provider("text/plain", [](std::size_t, httplib::DataSink& sink) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      return sink.write("x", 1);
    });
  });
  start();
  const auto answer =
      real_http_client()->send({.method = "GET", .url = url("/drip"), .headers = {}, .body = "", .timeout = base::Duration::millis(300)});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, base::ErrorKind::kUnknown);
}

TEST_F(HttpTest, NoConnectionIsRetryAndABadUrlIsInvalid) {
  start();
  const std::string dead = url("/");
  server_.stop();
  thread_.join();
  const auto client = real_http_client();
  EXPECT_EQ(client->send({.url = dead, .headers = {}, .body = "x"}).error().kind, base::ErrorKind::kRetry);
  EXPECT_EQ(client->send({.url = "ftp://host/x", .headers = {}, .body = "x"}).error().kind, base::ErrorKind::kInvalid);
  EXPECT_EQ(client->send({.url = "http:///x", .headers = {}, .body = "x"}).error().kind, base::ErrorKind::kInvalid);
}

}  // namespace
}  // namespace headpond::env
