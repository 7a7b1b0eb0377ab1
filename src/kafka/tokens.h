// Where an OAUTHBEARER login gets its tokens: the seam for a cloud's identity service (IAM), injected into ClientOptions.
//
// Used with security.protocol SASL_SSL and sasl.mechanism OAUTHBEARER among the librdkafka_options. A token is asked for at the first
// login and again when four fifths of its life are over; each client asks for its own.
#pragma once

#include <map>
#include <string>

#include "base/ids.h"
#include "base/result.h"

namespace headpond::kafka {

struct Token {
  std::string value;                              // as it goes over the wire: most often a JWS
  base::Micros expires;                           // wall clock
  std::string principal;                          // who it is for; brokers may log it
  std::map<std::string, std::string> extensions;  // SASL extensions (RFC 7628), mostly none
};

// Threads: any, also several at a time: it is called from a thread of the client's own. It may wait for its service, a few seconds at most.
class TokenProvider {
 public:
  virtual ~TokenProvider() = default;
  // Errors: any. The message is shown to the user when no login works, so it must not hold the secret; it is asked again 10 s later.
  virtual base::Result<Token> token() = 0;
};

}  // namespace headpond::kafka
