// record_lake DIRECTORY [--seed N] [--events N] [--seconds N] [--cut N] [--no-stall]: one recorded lake, bronze/logs in DIRECTORY, the
// same by the same arguments: late, future and malformed rows, an idle and a silent stretch with heartbeats only, bursts, a partition that
// is cut off and returns, one that appears later, a midnight, a column added, a compaction and a retention commit. --cut: the same rows in
// other commits. Prints what is where as JSON; run.py uses it.
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "bronze/parquet_writer.h"
#include "bronze/writer.h"
#include "delta/log.h"
#include "env/fake.h"
#include "env/real.h"
#include "record_stream.h"

namespace {

using namespace headpond;
using namespace headpond::conformance;
using columns::Type;
using Json = nlohmann::ordered_json;

constexpr char kRoot[] = "bronze/logs", kSource[] = "logs@0";
constexpr std::int64_t kSecond = 1'000'000;
const std::vector<std::string> kServices = {"api", "web", "auth", "Größe ☂", "cart", "api-gateway"},
                               kTenants = {"acme", "globex", "initech", "q\"uote", "umbrella"}, kRegions = {"eu", "us", "ap"},
                               kEvents = {"heartbeat", "request", "login", "job"};

class Recorder {
 public:
  Recorder(env::ObjectStore& store, const Shape& shape, std::uint32_t cut, bool stalls)
      : store_(store),
        table_(store, kRoot),
        time_(shape),
        rows_(make_rows(shape, time_)),
        cut_(cut),
        stalls_(stalls),
        dice_(shape.seed * 977 + cut),
        random_(shape.seed * 31 + cut),
        clock_(base::Micros(time_.old_begin)) {}

  base::Result<Json> run() {
    TRY_VOID(open(false));
    TRY_VOID(stretch(time_.old_begin, time_.old_end));
    TRY_VOID(stretch(time_.begin, time_.column_added));
    TRY_VOID(open(true));
    TRY_VOID(stretch(time_.column_added, time_.at(0.6)));
    TRY_VOID(compact());
    TRY_VOID(stretch(time_.at(0.6), time_.at(0.85)));
    TRY_VOID(retain());
    TRY_VOID(stretch(time_.at(0.85), time_.end));
    facts_["version"] = version_;
    facts_["rows"] = written_;
    facts_["late_partition"] = kLater;
    facts_["last_clock"] = time_.end;
    return facts_;
  }

 private:
  // What of a file must be written again when it is compacted.
  struct Written {
    delta::AddFile add;
    std::vector<std::pair<int, std::pair<std::size_t, std::size_t>>> parts;  // partition → [first, end) of its rows
  };

  std::uint32_t roll(std::uint32_t n) { return static_cast<std::uint32_t>(dice_()) % n; }

  base::Result<void> open(bool region) {
    declared_ = {{"severity_number", Type::kInt32}, {"service", Type::kString}, {"tenant", Type::kString},      {"host", Type::kString},
                 {"event", Type::kString},          {"status", Type::kInt32},   {"duration_ms", Type::kDouble}, {"user_id", Type::kString}};
    if (region) declared_.push_back({"region", Type::kString});
    TRY(writer_, bronze::Writer::open({kRoot, "conformance", declared_}, {}, {store_, clock_, random_, failpoints_}));
    if (region) facts_["column_version"] = writer_->version().value();
    return {};
  }

  std::int64_t pace() {
    if (cut_ == 0) return 600'000 + static_cast<std::int64_t>(roll(800'000));
    constexpr std::int64_t kPaces[] = {300'000, 1'000'000, 3'000'000, 7'000'000};
    return kPaces[roll(4)];
  }

  base::Result<void> stretch(std::int64_t from, std::int64_t to) {
    for (auto now = from; now < to;) {
      now = std::min(to, now + pace());
      clock_.set(base::Micros(now));
      TRY_VOID(commit(now, now == time_.end || now == to));
    }
    return {};
  }

  base::Result<void> commit(std::int64_t now, bool all) {
    bronze::CommitRequest request;
    if (version_ < 0) request.topic = bronze::Topic{.name = "logs", .id = "conformance", .generation = 0};
    Written written;
    columns::Batch batch(declared_);
    batch.source = kSource;
    for (int p = 0; p < kPartitions; ++p) {
      if (p == kLater && now < time_.later_partition) continue;
      const base::SourcePartition id{kSource, base::PartitionId(p)};
      request.partitions.push_back(id);
      if (stalls_ && p == kCutOff && now > time_.cut_off_from && now < time_.cut_off_to) {
        if (now > time_.cut_off_from + 10 * kSecond) request.stalled.push_back({id, "no leader"});
        continue;
      }
      TRY_VOID(take(batch, written, request, p, all || roll(3) != 0 ? now : now - static_cast<std::int64_t>(roll(400'000))));
    }
    if (!batch.empty()) TRY_VOID(writer_->append(batch));
    TRY(const auto done, writer_->commit(request));
    version_ = done.version.value();
    return remember(std::move(written));
  }

  // The partition's rows until `reach`, and a clock: mostly `reach`, now and then only the last row's arrival; at the end `reach`,
  // so that other commits end with the same clocks.
  base::Result<void> take(columns::Batch& batch, Written& written, bronze::CommitRequest& request, int p, std::int64_t reach) {
    const auto& rows = rows_[static_cast<std::size_t>(p)];
    auto& next = next_[p];
    const auto first = next;
    for (; next < rows.size() && rows[next].arrival <= reach; ++next) {
      if (batch.rows() == columns::Batch::kRowsMax) {
        TRY_VOID(writer_->append(batch));
        batch.reset();
      }
      add_row(batch, p, next);
    }
    auto& last = clocks_[p];
    const auto proven = reach < time_.end && next > first && roll(4) == 0 ? rows[next - 1].arrival : reach;
    last = std::max({last, proven, next > first ? rows[next - 1].arrival : 0});
    written_ += static_cast<std::int64_t>(next - first);
    if (next > first) written.parts.push_back({p, {first, next}});
    const base::SourcePartition id{kSource, base::PartitionId(p)};
    request.clocks.push_back({id, base::Micros(last), base::Offset(static_cast<std::int64_t>(next) - 1)});
    return {};
  }

  void add_row(columns::Batch& batch, int p, std::size_t at) const {
    const auto& row = rows_[static_cast<std::size_t>(p)][at];
    const auto text = row.error ? "not JSON " + std::to_string(at) : R"({"n":)" + std::to_string(at) + "}";
    const auto i = batch.begin_row(text).index;
    batch.ts[i] = row.ts;
    batch.arrival[i] = batch.kafka_timestamp[i] = row.arrival;
    batch.kafka_partition[i] = p;
    batch.kafka_offset[i] = static_cast<std::int64_t>(at);
    batch.record_index[i] = 0;
    batch.bytes[i] = row.bytes;
    if (row.error) {
      batch.error[i] = batch.arena.copy("not JSON: an object was expected");
      return;
    }
    const auto integer = [&](std::size_t c, std::int16_t v) {
      if (v >= 0) batch.declared[c].set_int(i, v);
    };
    const auto word = [&](std::size_t c, std::int16_t v, const std::vector<std::string>& words) {
      if (v >= 0) batch.declared[c].set_string(i, words[static_cast<std::size_t>(v)]);
    };
    integer(0, row.severity);
    word(1, row.service, kServices);
    word(2, row.tenant, kTenants);
    if (row.host >= 0) batch.declared[3].set_string(i, batch.arena.copy("host-" + std::to_string(row.host)));
    word(4, row.event, kEvents);
    integer(5, row.status);
    if (row.timed) batch.declared[6].set_double(i, row.duration_ms);
    if (declared_.size() > 8) word(8, row.region, kRegions);
  }

  base::Result<void> remember(Written written) {
    TRY(const auto commit, table_.read(base::Version(version_)));
    for (const auto& add : commit.adds) {
      written.add = add;
      (add.partition_values.at("ingest_date") == base::format_day(base::Micros(time_.old_begin)) ? old_ : files_).push_back(written);
    }
    if (commit.adds.size() > 1) files_.resize(files_.size() - commit.adds.size());  // two days in one commit: left as it is
    return {};
  }

  static delta::RemoveFile remove_of(const delta::AddFile& add, bool data_change, std::int64_t now_ms) {
    return {.path = add.path, .deletion_ms = now_ms, .data_change = data_change};
  }

  delta::Commit upkeep(const char* operation) {
    delta::Commit commit;
    commit.timestamp_ms = clock_.now().value() / 1000;
    commit.operation = operation;
    commit.headpond = bronze::to_json(bronze::CommitFacts{});
    return commit;
  }

  base::Result<void> publish(const delta::Commit& commit, const char* what) {
    TRY_VOID(table_.put(base::Version(++version_), commit));
    facts_[what] = version_;
    return {};
  }

  // The files of a third of the first day become one, with the rows of each in their order.
  base::Result<void> compact() {
    const auto count = files_.size() / 3;
    auto commit = upkeep("OPTIMIZE");
    delta::AddFile add = files_.front().add;
    add.path = "ingest_date=" + *add.partition_values.at("ingest_date") + "/compacted.parquet";
    TRY(auto stream, store_.open_write(table_.path(add.path)));
    const auto out = bronze::ParquetWriter::create(declared_, {}, std::move(stream));
    auto stats = Json::parse(add.stats);
    std::int64_t total = 0;
    for (std::size_t f = 0; f < count; ++f) {
      const auto& file = files_[f];
      const auto own = Json::parse(file.add.stats);
      for (const auto& [column, value] : own["minValues"].items()) stats["minValues"][column] = std::min(stats["minValues"][column], value);
      for (const auto& [column, value] : own["maxValues"].items()) stats["maxValues"][column] = std::max(stats["maxValues"][column], value);
      total += own["numRecords"].get<std::int64_t>();
      TRY_VOID(copy(*out, file));
      commit.removes.push_back(remove_of(file.add, false, commit.timestamp_ms));
    }
    TRY(const auto totals, out->finish());
    TRY_VOID(out->close());
    if (totals.rows != total) return base::fail(base::ErrorKind::kCorrupt, "the compacted file has other rows");
    stats["numRecords"] = total;
    add.stats = stats.dump();
    add.size = totals.file_bytes;
    add.data_change = false;
    const auto until = [](const std::string& tag) { return tag.substr(tag.find('-')); };
    add.tags["headpond.versions"].replace(add.tags["headpond.versions"].find('-'), std::string::npos,
                                          until(files_[count - 1].add.tags.at("headpond.versions")));
    commit.adds.push_back(add);
    facts_["compacted_files"] = count;
    return publish(commit, "compaction_version");
  }

  base::Result<void> copy(bronze::ParquetWriter& out, const Written& file) {
    columns::Batch batch(declared_);
    batch.source = kSource;
    for (const auto& [p, range] : file.parts)
      for (auto at = range.first; at < range.second; ++at) {
        add_row(batch, p, at);
        if (batch.rows() < columns::Batch::kRowsMax && at + 1 < range.second) continue;
        TRY_VOID(out.append(batch, 0, batch.rows()));
        batch.reset();
      }
    return {};
  }

  base::Result<void> retain() {
    auto commit = upkeep("DELETE");
    for (const auto& file : old_) commit.removes.push_back(remove_of(file.add, true, commit.timestamp_ms));
    facts_["retained_day"] = base::format_day(base::Micros(time_.old_begin));
    facts_["closed_day"] = base::format_day(base::Micros(time_.begin));
    return publish(commit, "retention_version");
  }

  env::ObjectStore& store_;
  delta::Table table_;
  Timeline time_;
  std::vector<std::vector<Row>> rows_;
  std::uint32_t cut_;
  bool stalls_;
  std::mt19937 dice_;
  env::SeededRandom random_;
  env::FakeClock clock_;
  env::Failpoints failpoints_;
  std::vector<columns::ColumnSpec> declared_;
  std::unique_ptr<bronze::Writer> writer_;
  std::map<int, std::size_t> next_;
  std::map<int, std::int64_t> clocks_;
  std::vector<Written> files_, old_;
  std::int64_t version_ = -1, written_ = 0;
  Json facts_;
};

}  // namespace

int main(int argc, char** argv) {
  Shape shape;
  std::uint32_t cut = 0;
  bool stalls = true;
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--no-stall") {
      stalls = false;
      continue;
    }
    if (i + 1 == argc) return std::cerr << word << " needs a number\n", 2;
    const auto number = std::stoll(argv[++i]);
    if (word == "--seed")
      shape.seed = static_cast<std::uint32_t>(number);
    else if (word == "--events")
      shape.events = number;
    else if (word == "--seconds")
      shape.seconds = number;
    else if (word == "--cut")
      cut = static_cast<std::uint32_t>(number);
    else
      return std::cerr << "unknown: " << word << "\n", 2;
  }
  if (argc < 2) return std::cerr << "usage: record_lake DIRECTORY [--seed N] [--events N] [--seconds N] [--cut N] [--no-stall]\n", 2;
  const auto store = env::open_local_store(argv[1]);
  if (!store) return std::cerr << store.error().message << "\n", 1;
  const auto facts = Recorder(**store, shape, cut, stalls).run();
  if (!facts) return std::cerr << facts.error().message << "\n", 1;
  std::cout << facts->dump() << "\n";
  return 0;
}
