// Writes generated events as OpenTelemetry ExportLogsServiceRequests: what the collector of one host sends, a resource for each of its
// services. In protobuf or OTLP's JSON mapping; the same events give the same log records in both.
//
//   OtlpWriter writer(options);
//   writer.add(event, random); …                 // events of one message
//   const std::string_view message = writer.finish();   // stays until the next add()
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "generate/event.h"

namespace headpond::generate {

class OtlpWriter {
 public:
  explicit OtlpWriter(const Options& options);

  void add(const Event& event, SeededRandom& random);
  int records() const { return records_; }
  std::string_view finish();

 private:
  struct Resource {
    std::uint32_t service = 0, host = 0;
    std::string records;  // encoded, each with what stands before it in a list
  };
  std::string& records_of(const Event& event);
  void add_proto(const Event& event, const EventParts& parts, std::string& out);
  void add_json(const Event& event, const EventParts& parts, std::string& out) const;
  void put_proto(const Resource& resource);
  void put_json(const Resource& resource);

  bool json_;
  EventWriter events_;
  std::vector<Resource> resources_;
  std::size_t used_ = 0;  // of resources_
  int records_ = 0;
  std::string message_, logs_, record_;  // scratch
};

}  // namespace headpond::generate
