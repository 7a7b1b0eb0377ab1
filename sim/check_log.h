// Holds every version of the table, as it lands, against the broker's records and docs/formats/bronze.md. Reads the JSON itself; shares no
// code with the product but XXH3.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/broker.h"
#include "sim/client.h"
#include "sim/lake.h"

namespace headpond::sim {

struct LogRules {
  bool clocks_hold = true;  // the ingesters' wall clocks stay within max_clock_error
  bool start_latest = false;
  std::string table = "bronze/logs", name = "acme";
};

class LogChecker {
 public:
  struct Partition {
    bool in_force = true;
    std::int64_t position = -1;
    std::optional<std::int64_t> clock;
    std::optional<std::string> stalled;
    std::int64_t quarter = INT64_MIN;
    std::int64_t ahead_us = 0;                    // how far times given by producers ran ahead of the broker, at most
    std::map<std::int64_t, RecordId> rows;        // by offset
    std::map<std::int64_t, std::int64_t> floors;  // by last offset of a range: the clock published before it
    std::map<std::int64_t, bool> gappy;           // by last offset of a range: it has gaps
  };
  using Partitions = std::map<std::pair<std::string, int>, Partition>;

  // `served`: what each instance has been handed. All borrowed.
  LogChecker(LogRules rules, const Broker& broker, Lake& lake, const std::deque<Served>& served)
      : rules_(std::move(rules)), broker_(broker), lake_(lake), served_(served) {}

  void landed(const std::string& path, const std::string& bytes, int instance, bool replaced, std::int64_t now_us);
  // What can be said only once the world stands still.
  void finish();
  // The first thing that is wrong.
  const std::optional<std::string>& violation() const { return violation_; }

  const Partitions& partitions() const { return partitions_; }
  std::int64_t version() const { return version_; }
  const std::vector<std::string>& files() const { return files_; }
  std::int64_t rows() const { return rows_; }
  std::int64_t gaps() const { return gaps_; }
  // The incarnation of the topic that is `source`, if the table has named it.
  std::optional<int> incarnation_of(const std::string& source) const {
    const auto it = sources_.find(source);
    return it == sources_.end() ? std::nullopt : std::optional(it->second);
  }

 private:
  struct Sums {
    std::int64_t rows = 0, bytes = 0, errors = 0, gaps = 0;
    std::uint64_t fingerprint = 0, payload_fingerprint = 0;
    bool operator==(const Sums&) const = default;
  };
  void wrong(std::string what);
  void version_of(const nlohmann::json& facts, const std::vector<nlohmann::json>& actions);
  void name(const nlohmann::json& facts);
  std::int64_t batch(const nlohmann::json& batch);
  std::int64_t range(const std::string& source, const nlohmann::json& range, const std::set<std::string>& kinds);
  void gap(const std::string& source, int partition, std::int64_t offset, const std::set<std::string>& kinds);
  Sums sums_of(const std::string& source, int partition, std::int64_t first, std::int64_t last,
               std::map<std::int64_t, RecordId>& rows) const;
  void take(Sums& sums, const std::string& source, const Record& record) const;
  void files(const std::vector<nlohmann::json>& actions, std::int64_t rows);
  void clock(const std::string& source, int partition, std::int64_t clock, std::int64_t position);
  void sound(const std::string& source, int partition, std::int64_t clock, const Partition& state);
  const PartitionLog* log_of(const std::string& source, int partition) const;

  LogRules rules_;
  const Broker& broker_;
  Lake& lake_;
  const std::deque<Served>& served_;
  std::map<std::string, int> sources_;  // incarnation by source, as the table names it
  Partitions partitions_;
  std::string source_;  // in force
  std::int64_t version_ = -1, rows_ = 0, gaps_ = 0;
  std::int64_t now_us_ = 0;
  int instance_ = -1;
  std::vector<std::string> files_;                // relative to the table
  std::map<std::int64_t, std::uint64_t> hashes_;  // of each version's bytes
  struct Doubt {
    RecordId record;
    std::string what;
  };
  std::vector<Doubt> doubts_;  // wrong if the record's transaction commits
  std::optional<std::string> violation_;
};

}  // namespace headpond::sim
