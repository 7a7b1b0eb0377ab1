// The lists of an OTLP message in JSON: where in it resources, scopes and log records are, as views of the payload.
//
// Of the message its UTF-8, its brackets and these lists are checked; the inside of each view is whoever's that reads it. Threads: one at a
// time.
#pragma once

#include <simdjson.h>

#include <string_view>
#include <vector>

#include "columns/batch.h"

namespace headpond::decode {

class OtlpJsonFrame {
 public:
  struct Scope {
    std::size_t resource;
    std::string_view json;  // of "scope"; empty: none
  };
  struct Record {
    std::size_t scope;
    std::string_view json;
  };

  // Null, or what is wrong. Requires columns::Batch::kPadding readable bytes behind `message`.
  const char* read(std::string_view message);

  const std::vector<Record>& records() const { return records_; }
  const Scope& scope(std::size_t i) const { return scopes_[i]; }
  std::string_view resource(std::size_t i) const { return resources_[i]; }

  // The bytes have moved: what lay at `from` lies at `to`.
  void rebase(const char* from, const char* to);

 private:
  using Object = simdjson::ondemand::object;
  void clear();
  simdjson::error_code request(Object& object);
  simdjson::error_code resource_logs(Object& object);
  simdjson::error_code scope_logs(Object& object);

  simdjson::ondemand::parser parser_;
  std::vector<std::string_view> resources_;
  std::vector<Scope> scopes_;
  std::vector<Record> records_;
};

}  // namespace headpond::decode
