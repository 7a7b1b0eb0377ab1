// Outgoing HTTP requests.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace headpond::env {

struct HttpRequest {
  std::string method = "POST";
  std::string url;  // http:// or https://
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  base::Duration timeout = base::Duration::seconds(5);  // for the whole exchange
};

struct HttpResponse {
  int status = 0;
  std::string body;  // at most 64 KiB are kept
  std::vector<std::pair<std::string, std::string>> headers;
};

// Threads: any.
class HttpClient {
 public:
  virtual ~HttpClient() = default;
  // Errors: kInvalid: the URL. kRetry: no connection was made, so nothing was sent. kUnknown: sent, no (whole) answer.
  virtual base::Result<HttpResponse> send(const HttpRequest& request) = 0;
};

std::unique_ptr<HttpClient> real_http_client();

}  // namespace headpond::env
