// bill_table DIRECTORY SEED: writes a random bronze table of three days into DIRECTORY/lake and a random price book beside it, and bills
// the days. Prices are such that many lines fall on half a cent. bill_oracle.py computes the same bills from the same files.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <random>

#include "base/time.h"
#include "billing/billing.h"
#include "bronze/writer.h"
#include "env/fake.h"
#include "env/real.h"

namespace {

using namespace headpond;
using columns::Type;

constexpr int kPartitions = 3, kDays = 3;

class Case {
 public:
  Case(std::string directory, std::uint32_t seed)
      : directory_(std::move(directory)), dice_(seed), random_(seed), first_day_(*base::parse_day("2026-11-20")) {}

  int run() {
    auto store = env::open_local_store(directory_ + "/lake");
    if (!fine(store)) return 1;
    store_ = std::move(*store);
    if (!write_rows()) return 1;
    return bill();
  }

 private:
  int roll(int n) { return static_cast<int>(dice_() % static_cast<std::uint32_t>(n)); }
  static bool fine(const auto& result) {
    if (!result) std::cerr << result.error().message << "\n";
    return result.has_value();
  }

  // "0.005", "1234.5", now and then an extreme.
  std::string price() {
    switch (roll(6)) {
      case 0: return "5000";  // half a cent an event
      case 1: return "0.000000001";
      case 2: return "999999999.999999999";
      case 3: return std::to_string(roll(1000)) + "." + std::to_string(100'000'000 + roll(900'000'000));
      case 4: return "2500.5";
      default: return std::to_string(roll(20'000)) + ".5";
    }
  }

  std::string tiers(bool events) {
    if (roll(3) == 0) return price();
    std::string text = "[";
    int bound = 0;
    for (int i = roll(3); i > 0; --i) {
      bound += 1 + roll(events ? 60 : 9000);
      char digits[32];
      std::snprintf(digits, sizeof digits, events ? "0.%06d" : "0.%09d", bound);
      text += "{up_to: " + std::string(digits) + ", price: " + price() + "}, ";
    }
    return text + "{price: " + price() + "}]";
  }

  std::string tariff(const std::string& indent) {
    std::string text;
    if (roll(8) != 0) text += indent + "per_gb: " + tiers(false) + "\n";
    text += indent + "per_million_events: " + tiers(true) + "\n";
    if (roll(2) == 0) {
      text += indent + "included: {gb: 0.00000" + std::to_string(1000 + roll(9000)) + ", million_events: 0.0000" +
              std::to_string(10 + roll(90)) + "}\n";
    }
    return text;
  }

  std::string price_book() {
    std::string text = "version: 1\ncurrency: EUR\nprices:\n  - {}\n";
    for (int day = 0; day < kDays; ++day) {
      if (day > 0 && roll(2) == 0) continue;
      text += "  - from: " + base::format_day(first_day_ + base::kDay * day) + "\n" + tariff("    ");
      if (roll(2) == 0) text += "    tenants:\n      globex:\n" + tariff("        ") + "      '(none)':\n" + tariff("        ");
    }
    return text;
  }

  bool write_rows() {
    const std::vector<columns::ColumnSpec> declared = {{"service", Type::kString}, {"tenant", Type::kString}};
    auto writer = bronze::Writer::open({"bronze/logs", "logs", declared}, {}, {*store_, clock_, random_, failpoints_});
    if (!fine(writer)) return false;
    for (int day = 0; day < kDays; ++day) {
      const auto midnight = first_day_ + base::kDay * day;
      auto arrival = midnight;
      while (true) {
        columns::Batch batch(declared);
        batch.source = "logs@0";
        for (int i = 0; i < 150 && arrival < midnight + base::kDay; ++i)
          add(batch, arrival), arrival = arrival + base::Duration::millis(roll(400'000));
        const bool end = arrival >= midnight + base::kDay;
        if (!batch.empty() && !fine((*writer)->append(batch))) return false;
        if (!fine((*writer)->commit(request(end ? std::optional(midnight + base::kDay) : std::nullopt)))) return false;
        if (end) break;
      }
    }
    return true;
  }

  void add(columns::Batch& batch, base::Micros arrival) {
    static const std::vector<std::string> tenants = {"acme", "globex", "ini,tech", "q\"uote", "Größe", "new\nline", "", "(none)"};
    const int partition = roll(kPartitions);
    const auto row = batch.begin_row("{}").index;
    batch.ts[row] = batch.arrival[row] = batch.kafka_timestamp[row] = arrival.value();
    batch.kafka_partition[row] = partition;
    batch.kafka_offset[row] = next_[partition]++;
    batch.record_index[row] = 0;
    batch.bytes[row] = roll(2) == 0 ? roll(1000) : 500;
    if (roll(9) != 0)
      batch.declared[1].set_string(row, batch.arena.copy(tenants[static_cast<std::size_t>(roll(static_cast<int>(tenants.size())))]));
    if (roll(9) != 0) batch.declared[0].set_string(row, batch.arena.copy(roll(2) == 0 ? "api" : "web"));
    if (roll(20) == 0) batch.error[row] = batch.arena.copy("not JSON");
  }

  bronze::CommitRequest request(std::optional<base::Micros> clock) {
    bronze::CommitRequest out;
    if (first_) out.topic = bronze::Topic{"logs", "id", 0};
    first_ = false;
    for (int p = 0; p < kPartitions; ++p) {
      const base::SourcePartition partition{"logs@0", base::PartitionId(p)};
      out.partitions.push_back(partition);
      if (clock) out.clocks.push_back({partition, *clock, base::Offset(next_[p] - 1)});
    }
    return out;
  }

  int bill() {
    const auto text = price_book();
    std::ofstream(directory_ + "/prices.yaml") << text;
    auto loaded = spec::load_price_book(text, "prices.yaml");
    for (const auto& issue : loaded.issues) std::cerr << spec::to_string(issue.place) << ": " << issue.message << "\n";
    if (!loaded.book) return 1;
    const billing::Settings settings{.topology = "case", .branch = "bill", .prices = std::move(*loaded.book)};
    const auto result = billing::run_day(settings, {*store_, {"", "bronze/logs"}, clock_, random_, failpoints_, directory_ + "/scratch"},
                                         first_day_ + base::kDay * (kDays - 1), false);
    return fine(result) ? 0 : 1;
  }

  std::string directory_;
  std::mt19937 dice_;
  env::SeededRandom random_;
  base::Micros first_day_;
  env::FakeClock clock_;
  env::Failpoints failpoints_;
  std::unique_ptr<env::ObjectStore> store_;
  std::map<int, std::int64_t> next_;
  bool first_ = true;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: bill_table DIRECTORY SEED\n";
    return 2;
  }
  return Case(argv[1], static_cast<std::uint32_t>(std::stoul(argv[2]))).run();
}
