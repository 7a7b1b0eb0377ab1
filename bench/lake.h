// A bronze table under full load, without a broker: the same second of 580,000 generated events again and again, each time one second later
// and at the next offsets, one version a second. `raw` is left null (no branch reads it), which keeps a minute at a few hundred megabytes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker.h"
#include "bronze/writer.h"
#include "env/clock.h"
#include "env/failpoints.h"
#include "env/object_store.h"
#include "spec/topology.h"

namespace headpond::bench {

// The load's own time.
class LoadClock final : public env::Clock {
 public:
  explicit LoadClock(base::Micros now) : now_(now) {}
  base::Micros now() override { return now_; }
  base::Duration monotonic() override { return now_ - base::Micros(0); }
  void set(base::Micros now) { now_ = now; }

 private:
  base::Micros now_;
};

class FullLoad {
 public:
  static constexpr std::int64_t kRowsPerSecond = 580'000;

  // Below `directory`, where it stays; empty: a temporary one, removed with this.
  explicit FullLoad(base::Micros start, std::string directory = "");

  // Stages the next second's rows. Then commit() publishes them, with clocks at the second's end, where the load's time then stands.
  void append_second();
  void commit();
  // Gives one row of the coming second another tenant and severity_number 17, and returns the row's arrival.
  base::Micros plant(const std::string& tenant, std::uint64_t random);

  LoadClock& clock() { return clock_; }
  env::ObjectStore& store() { return *store_; }
  env::Random& random() { return *random_; }
  env::Failpoints& failpoints() { return failpoints_; }
  spec::LakePaths paths() const { return {.lake = directory_ + "/lake", .bronze = "bronze"}; }
  std::string scratch(const std::string& name) const { return directory_ + "/" + name; }
  std::vector<std::string> data_files() const;

 private:
  void shift(columns::Batch& batch);

  std::unique_ptr<TemporaryDirectory> temporary_;
  std::string directory_;
  LoadClock clock_;
  std::unique_ptr<env::ObjectStore> store_;
  std::unique_ptr<env::Random> random_;
  env::Failpoints failpoints_;
  std::unique_ptr<bronze::Writer> writer_;
  std::vector<columns::ColumnSpec> declared_;
  std::vector<columns::Batch> second_;
  std::map<std::int32_t, std::int64_t> rows_;  // of a partition in one second
  std::int64_t seconds_ = 0;
  std::function<void()> restore_;  // undoes plant()
};

}  // namespace headpond::bench
