// Runs the real pager engine over streams from a case file, for pager_oracle.py: each stream becomes a bronze table by the real writer, and
// what reaches the outbox is printed.
//
//   pager_cases cases.jsonl scratch-directory [keep]
//
// A line in: {"seed", "yaml", "partitions", "crashes": [steps after which the engine is lost], "streams": [[version…]…]};
// a line out: {"seed", "streams": [{"transitions": […]} or {"error"}…]}. With `keep` the lake of each stream stays, and its line names it
// and carries what another engine needs: "lake", "program", "index_of" [[table version, place in the stream]…].
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/time.h"
#include "bronze/writer.h"
#include "columns/batch.h"
#include "env/fake.h"
#include "env/real.h"
#include "pager/engine.h"
#include "pager/rule_set.h"
#include "rules/program.h"
#include "spec/rules_file.h"

namespace headpond {
namespace {

using Json = nlohmann::json;
constexpr char kRoot[] = "bronze/logs", kSource[] = "logs@0";

const std::vector<columns::ColumnSpec>& declared() {
  static const std::vector<columns::ColumnSpec> columns = {{"severity_number", columns::Type::kInt32},
                                                           {"service", columns::Type::kString},
                                                           {"host", columns::Type::kString},
                                                           {"event", columns::Type::kString},
                                                           {"status", columns::Type::kInt32}};
  return columns;
}

spec::Topology topology() {
  spec::Topology t;
  t.name = "cases";
  for (const auto& column : declared()) {
    spec::ColumnDecl decl;
    decl.name = column.name;
    decl.type = column.type == columns::Type::kInt32 ? "int32" : "string";
    t.bronze.columns.push_back(decl);
  }
  return t;
}

void fill_batch(columns::Batch& batch, const Json& rows) {
  batch.source = kSource;
  for (const auto& row : rows) {
    const auto i = batch.begin_row("{}").index;
    batch.ts[i] = row.at("ts").get<std::int64_t>();
    batch.arrival[i] = batch.kafka_timestamp[i] = row.at("arrival").get<std::int64_t>();
    batch.kafka_partition[i] = row.at("partition").get<std::int32_t>();
    batch.kafka_offset[i] = row.at("offset").get<std::int64_t>();
    batch.record_index[i] = 0;
    batch.bytes[i] = 2;
    for (std::size_t c = 0; c < declared().size(); ++c) {
      const auto& value = row.at(declared()[c].name);
      if (value.is_null()) continue;
      if (value.is_string()) {
        batch.declared[c].set_string(i, batch.arena.copy(value.get<std::string>()));
      } else {
        batch.declared[c].set_int(i, value.get<std::int64_t>());
      }
    }
  }
}

struct Scene {
  Scene(std::string where, bool keeps) : directory(std::move(where)), keep(keeps) {
    std::filesystem::remove_all(directory);
    store = std::move(*env::open_local_store(directory + "/lake"));
  }
  ~Scene() {
    if (!keep) std::filesystem::remove_all(directory);
  }
  std::string directory;
  bool keep;
  std::unique_ptr<env::ObjectStore> store;
  env::FakeClock clock{base::Micros(1'795'000'000'000'000 - 3'600'000'000)};
  env::SeededRandom random;
  env::FakeFailpoints failpoints;
  std::map<std::int64_t, std::int64_t> index_of;  // table version → place in the stream; a version that would say nothing is not written
};

base::Result<void> write_table(Scene& scene, int partitions, const Json& versions) {
  TRY(auto writer, bronze::Writer::open({kRoot, "cases", declared()}, {}, {*scene.store, scene.clock, scene.random, scene.failpoints}));
  std::map<int, std::int64_t> position;
  columns::Batch batch(declared());
  for (std::size_t v = 0; v < versions.size(); ++v) {
    const auto& version = versions[v];
    batch.reset();
    fill_batch(batch, version.at("rows"));
    if (!batch.empty()) TRY_VOID(writer->append(batch));
    for (const auto& row : version.at("rows")) position[row.at("partition").get<int>()] = row.at("offset").get<std::int64_t>();
    bronze::CommitRequest request;
    if (v == 0) request.topic = bronze::Topic{.name = "logs", .id = "x", .generation = 0};
    for (int p = 0; p < partitions; ++p) request.partitions.push_back({kSource, base::PartitionId(p)});
    for (const auto& [p, clock] : version.at("clocks").items()) {
      const int id = std::stoi(p);
      const auto at = position.contains(id) ? position[id] : -1;
      request.clocks.push_back({{kSource, base::PartitionId(id)}, base::Micros(clock.get<std::int64_t>()), base::Offset(at)});
    }
    for (const auto& p : version.at("stalled")) request.stalled.push_back({{kSource, base::PartitionId(p.get<int>())}, "no leader"});
    TRY(const auto committed, writer->commit(request));
    scene.index_of.emplace(committed.version.value(), static_cast<std::int64_t>(v));
  }
  return {};
}

// Takes what the outbox holds, as a target that answers at once.
void collect(notify::Outbox& outbox, const std::map<std::int64_t, std::int64_t>& index_of, std::int64_t& receipts, Json& out) {
  while (true) {
    auto due = outbox.due("stdout", 1'000'000);
    const auto settled = outbox.due("", 1'000'000);  // the settled fields of what was announced
    due.insert(due.end(), settled.begin(), settled.end());
    if (due.empty()) return;
    std::vector<notify::Receipt> batch;
    for (const auto& delivery : due) {
      const auto& t = delivery.transition;
      out.push_back({{"rule", t.id.rule},
                     {"key", t.id.key},
                     {"seq", t.id.seq},
                     {"kind", t.kind == rules::TransitionKind::kFiring ? "firing" : "resolved"},
                     {"announced", t.announced},
                     {"boundary", t.boundary.value()},
                     {"began_at", t.began_at.value()},
                     {"value", t.value},
                     {"version", index_of.at(t.version.value())}});
      notify::Receipt receipt;
      receipt.transition = t;
      receipt.target = delivery.target;
      receipt.status = delivery.decision.value_or(notify::ReceiptStatus::kDelivered);
      batch.push_back(std::move(receipt));
    }
    outbox.apply({1, ++receipts}, batch);
  }
}

base::Result<Json> run_pager(Scene& scene, const std::string& yaml, std::vector<int> crashes) {
  const auto pond = topology();
  spec::Branch branch;
  branch.name = "pager";
  pager::World world{*scene.store, {"", kRoot}, scene.clock, scene.random, scene.failpoints, scene.directory + "/local"};
  pager::Settings settings;
  settings.batch_versions_max = 4;
  settings.hot_keys_max = 2;
  std::unique_ptr<pager::Engine> engine;
  Json transitions = Json::array();
  std::int64_t receipts = 0;
  for (int steps = 0;; ++steps) {
    if (!crashes.empty() && crashes.front() == steps) {
      engine.reset();
      crashes.erase(crashes.begin());
    }
    if (engine == nullptr) {
      TRY(engine, pager::Engine::open(pond, branch, {{"rules.yaml", yaml}}, world, settings));
    }
    TRY(const bool more, engine->step());
    collect(engine->outbox(), scene.index_of, receipts, transitions);
    if (!more) return transitions;
  }
}

// The rules as another engine is given them.
base::Result<std::string> program(const std::string& yaml) {
  TRY(auto compiled, pager::compile_files({{"rules.yaml", yaml}}, spec::rule_columns(topology().bronze)));
  for (auto& fold : compiled.folds) {
    rules::Dictionary dictionary;
    rules::assign_ids(fold, dictionary, std::nullopt);
  }
  return rules::to_json(compiled);
}

Json run_stream(const Json& line, const Json& versions, const std::string& directory, bool keep) {
  Scene scene(directory, keep);
  const auto yaml = line.at("yaml").get<std::string>();
  const auto written = write_table(scene, line.at("partitions").get<int>(), versions);
  if (!written) return {{"error", "bronze: " + written.error().message}};
  auto made = run_pager(scene, yaml, line.at("crashes").get<std::vector<int>>());
  if (!made) return {{"error", made.error().message}};
  Json out = {{"transitions", std::move(*made)}};
  if (!keep) return out;
  const auto compiled = program(yaml);
  if (!compiled) return {{"error", compiled.error().message}};
  out["program"] = Json::parse(*compiled);
  out["lake"] = scene.directory + "/lake";
  out["index_of"] = scene.index_of;
  return out;
}

int run(const std::string& path, const std::string& directory, bool keep) {
  std::ifstream in(path);
  for (std::string text; std::getline(in, text);) {
    const Json line = Json::parse(text);
    Json out = {{"seed", line.at("seed")}, {"streams", Json::array()}};
    for (const auto& versions : line.at("streams")) {
      const auto name = line.at("seed").dump() + "-" + std::to_string(out["streams"].size());
      out["streams"].push_back(run_stream(line, versions, keep ? directory + "/" + name : directory, keep));
    }
    std::cout << out.dump() << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace headpond

int main(int argc, char** argv) {
  if (argc != 3 && !(argc == 4 && std::string(argv[3]) == "keep")) {
    std::cerr << "usage: pager_cases cases.jsonl scratch-directory [keep]\n";
    return 2;
  }
  return headpond::run(argv[1], argv[2], argc == 4);
}
