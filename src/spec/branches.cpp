#include <algorithm>

#include "base/cron.h"
#include "spec/sections.h"

namespace headpond::spec {
namespace {

const std::vector<std::string> kKinds{"pager", "dashboard", "billing"};
const std::vector<std::string> kTargets{"stdout", "webhook", "alertmanager"};
const std::vector<std::string> kCommonKeys{"name",    "kind",     "serves", "reads", "axis",  "rhythm", "engine",
                                           "trigger", "schedule", "state",  "spark", "kafka", "topic"};

const std::vector<std::string>& own_keys(BranchKind kind) {
  static const std::vector<std::string> kPager{"rules", "notify", "flink"};
  static const std::vector<std::string> kDashboard{"window", "rollups", "max_keys", "allowed_lateness"};
  static const std::vector<std::string> kBilling{"price_book", "dbt"};
  return kind == BranchKind::kPager ? kPager : kind == BranchKind::kDashboard ? kDashboard : kBilling;
}

std::vector<std::string> engines_of(BranchKind kind) {
  switch (kind) {
    case BranchKind::kPager: return {"embedded", "flink", "auto"};
    case BranchKind::kDashboard: return {"embedded", "spark", "auto"};
    case BranchKind::kBilling: return {"embedded", "pyspark", "dbt", "auto"};
  }
  return {};
}

void load_target(Context& context, const Node& node, Branch& branch) {
  Fields fields(context, &node, node.place, "notify", {"name", "kind", "url", "urls", "secret"});
  Target target;
  target.place = node.place;
  if (fields.require("kind", "kind: " + one_of(kTargets)) != nullptr)
    if (const auto kind = fields.word("kind", kTargets)) target.kind = kTargets[*kind];
  target.name = target.kind;
  fields.name("name", target.name);
  fields.texts("url", target.urls, Expand::kSecret);
  fields.texts("urls", target.urls, Expand::kSecret);
  fields.text("secret", target.secret, Expand::kSecret);
  if (fields.find("url") != nullptr && fields.find("urls") != nullptr)
    context.report(*fields.key_place("urls"), "notify: `url` and `urls` both written; keep `urls`");
  if ((target.kind == "webhook" || target.kind == "alertmanager") && fields.find("url") == nullptr && fields.find("urls") == nullptr)
    context.report(node.place, "notify: a " + target.kind + " has no `url`; expected url: http://host:port/path");
  for (const auto& url : target.urls)
    if (!url.starts_with("http://") && !url.starts_with("https://"))
      context.report(fields.find(fields.find("urls") != nullptr ? "urls" : "url")->place, "notify.url: expected http://… or https://…");
  for (const auto& other : branch.notify)
    if (other.name == target.name && !target.name.empty())
      context.report(node.place, "notify: two targets are named `" + target.name + "`; give each a `name`");
  branch.notify.push_back(std::move(target));
}

// What a dashboard may group by: bronze's declared columns, the level's word made of its number, and some of Headpond's own.
std::vector<std::string> groupable(const Topology& topology) {
  std::vector<std::string> names;
  for (const auto& column : topology.bronze.columns) {
    names.push_back(column.name);
    if (column.name == "severity_number") names.push_back("severity");
  }
  names.insert(names.end(), {"source", "kafka_partition", "pattern_id"});
  return names;
}

std::vector<std::string> numbers(const Topology& topology) {
  std::vector<std::string> names;
  for (const auto& column : topology.bronze.columns)
    if (column.type == "int32" || column.type == "int64" || column.type == "double") names.push_back(column.name);
  return names;
}

void check_columns(Context& context, const Fields& fields, std::string_view key, const std::vector<std::string>& written,
                   const std::vector<std::string>& known) {
  for (const auto& column : written) {
    if (std::find(known.begin(), known.end(), column) != known.end()) continue;
    const auto near = nearest(column, known);
    context.report(fields.find(key)->place, fields.path_of(key) + ": found `" + column + "`; expected columns of bronze" +
                                                (near ? "; did you mean `" + *near + "`?" : ": " + one_of(known)));
  }
}

void load_rollup(Context& context, const Node& node, const Topology& topology, Branch& branch) {
  Fields fields(context, &node, node.place, "rollups", {"name", "by", "measures"});
  RollupDecl rollup;
  fields.require("name", "name: such as by_service");
  fields.name("name", rollup.name);
  fields.require("by", "by: a list of columns");
  fields.texts("by", rollup.by);
  fields.texts("measures", rollup.measures);
  check_columns(context, fields, "by", rollup.by, groupable(topology));
  check_columns(context, fields, "measures", rollup.measures, numbers(topology));
  for (const auto& other : branch.rollups)
    if (other.name == rollup.name && !rollup.name.empty())
      context.report(node.place, "rollups: two are named `" + rollup.name + "`; give each its own");
  branch.rollups.push_back(std::move(rollup));
}

template <class Load>
void load_list(Context& context, const Fields& fields, std::string_view key, std::string_view example, const Load& load) {
  const Node* node = fields.find(key);
  if (node == nullptr) return;
  if (node->kind != Node::Kind::kList) {
    context.report(node->place,
                   fields.path_of(key) + ": found " + describe(*node, true) + "; expected a list such as " + std::string(example));
    return;
  }
  for (const auto& item : node->items) load(*item);
}

void load_serves(Context& context, Fields& fields, const Topology& topology, Branch& branch) {
  const Node* node = fields.require("serves", "serves: a list of consumers");
  if (node == nullptr) return;
  fields.texts("serves", branch.serves);
  if (node->kind == Node::Kind::kList && node->items.empty())
    context.report(node->place, fields.path_of("serves") + ": found an empty list; expected consumers");
  std::vector<std::string> names;
  for (const auto& consumer : topology.consumers)
    if (std::find(names.begin(), names.end(), consumer.name) == names.end()) names.push_back(consumer.name);
  for (std::size_t i = 0; i < branch.serves.size(); ++i) {
    const auto& name = branch.serves[i];
    const Place& place = node->kind == Node::Kind::kList && i < node->items.size() ? node->items[i]->place : node->place;
    if (std::find(names.begin(), names.end(), name) == names.end())
      context.report(place, fields.path_of("serves") + ": there is no consumer `" + name + "`" +
                                (names.empty() ? "" : "; expected " + one_of(names)) + did_you_mean(name, names));
    else if (std::count(branch.serves.begin(), branch.serves.begin() + static_cast<std::ptrdiff_t>(i), name) > 0)
      context.report(place, fields.path_of("serves") + ": `" + name + "` stands twice; keep one");
  }
}

void load_timing(Context& context, Fields& fields, Branch& branch) {
  const auto duration = [&](std::string_view key, std::optional<base::Duration>& out) {
    base::Duration value(0);
    fields.duration(key, value, base::Duration::seconds(1));
    if (value.value() > 0) out = value;
  };
  duration("trigger", branch.trigger);
  duration("window", branch.window);
  if (branch.window && *branch.window != base::Duration::minutes(5))
    context.report(fields.find("window")->place,
                   fields.path_of("window") + ": found " + describe(*fields.find("window")) + "; expected 5m, the rolling window there is");
  const Node* node = fields.find("schedule");
  if (node == nullptr) return;
  std::string schedule;
  fields.text("schedule", schedule);
  if (node->kind != Node::Kind::kScalar || schedule.empty()) return;
  const auto cron = base::Cron::parse(schedule);
  if (!cron)
    context.report(node->place, fields.path_of("schedule") + cron.error().message.substr(std::string_view("schedule").size()));
  else if (!cron->next_at_or_after(base::Micros(0)))
    context.report(node->place, fields.path_of("schedule") + ": found " + describe(*node) + ", which no day of any year fits");
  else
    branch.schedule = schedule;
}

void load_state(Context& context, Fields& fields, const Topology& topology, Branch& branch) {
  const Node* node = fields.find("state");
  if (node == nullptr) return;
  Fields state(context, node, node->place, "state", {"store", "checkpoints"});
  StateSpec spec;
  state.require("store", "store: rocksdb");
  if (state.word("store", {"rocksdb"})) spec.store = "rocksdb";
  load_location(context, state, "checkpoints", topology, spec.checkpoints, spec.checkpoints_as_written);
  branch.state = std::move(spec);
}

void load_flink(Context& context, const Fields& fields, Branch& branch) {
  const Node* node = fields.find("flink");
  if (node == nullptr) return;
  Fields flink(context, node, node->place, "flink", {"rest", "parallelism"});
  flink.text("rest", branch.flink.rest, Expand::kYes);
  flink.integer("parallelism", branch.flink.parallelism, 1, 1024);
  if (!branch.flink.rest.empty() && !branch.flink.rest.starts_with("http://") && !branch.flink.rest.starts_with("https://"))
    context.report(flink.find("rest")->place, flink.path_of("rest") + ": found " + describe(*flink.find("rest")) +
                                                  "; expected http://host:port, the JobManager's REST address");
}

void load_spark(Context& context, const Fields& fields, Branch& branch) {
  const Node* node = fields.find("spark");
  if (node == nullptr) return;
  if (branch.kind == BranchKind::kPager) {
    context.report(*fields.key_place("spark"), "`spark` is for branches of kind dashboard or billing; this one is a pager");
    return;
  }
  Fields spark(context, node, node->place, "spark", {"master", "driver_memory"});
  spark.text("master", branch.spark.master, Expand::kYes);
  spark.text("driver_memory", branch.spark.driver_memory);
  const auto& memory = branch.spark.driver_memory;
  const bool good =
      memory.size() > 1 && memory.find_first_not_of("0123456789") == memory.size() - 1 && (memory.back() == 'g' || memory.back() == 'm');
  if (!memory.empty() && !good)
    context.report(spark.find("driver_memory")->place, spark.path_of("driver_memory") + ": found " +
                                                           describe(*spark.find("driver_memory")) + "; expected a size such as 2g or 512m");
}

void load_dbt(Context& context, const Fields& fields, Branch& branch) {
  const Node* node = fields.find("dbt");
  if (node == nullptr) return;
  Fields dbt(context, node, node->place, "dbt", {"target"});
  const std::vector<std::string> targets{"duckdb", "spark"};
  if (const auto target = dbt.word("target", targets)) branch.dbt.target = targets[*target];
}

void load_branch(Context& context, const Node& node, Topology& out) {
  Branch branch;
  branch.place = node.place;
  std::vector<std::string> keys = kCommonKeys;
  const Node* kind_node = node.kind == Node::Kind::kMap ? node.find("kind") : nullptr;
  const auto kind = std::find(kKinds.begin(), kKinds.end(), kind_node == nullptr ? "" : kind_node->text);
  const bool known = kind != kKinds.end();
  if (known) branch.kind = static_cast<BranchKind>(kind - kKinds.begin());
  for (const auto other : {BranchKind::kPager, BranchKind::kDashboard, BranchKind::kBilling})
    for (const auto& key : own_keys(other))
      if (!known || other == branch.kind)
        keys.push_back(key);
      else
        for (const auto& entry : node.entries)
          if (entry.key == key)
            context.report(entry.place,
                           "`" + key + "` is for branches of kind " + std::string(to_string(other)) + "; this one is a " + kind_node->text);
  const Node* name = node.kind == Node::Kind::kMap ? node.find("name") : nullptr;
  const std::string what = name == nullptr || name->kind != Node::Kind::kScalar ? "a branch" : "branch " + name->text;

  // Keys of the other kinds were named above; here they only must not be called unknown.
  std::vector<std::string> accepted = keys;
  if (known)
    for (const auto other : {BranchKind::kPager, BranchKind::kDashboard, BranchKind::kBilling})
      for (const auto& key : own_keys(other))
        if (node.find(key) != nullptr) accepted.push_back(key);
  Fields fields(context, &node, node.place, what, accepted);
  fields.require("name", "name: such as incident-pager");
  fields.name("name", branch.name);
  fields.require("kind", "kind: " + one_of(kKinds));
  fields.word("kind", kKinds);
  load_serves(context, fields, out, branch);
  std::vector<std::string> inputs{"bronze", "kafka"};
  if (out.source.topic == out.source.topic_as_written) inputs.push_back(out.source.topic);  // else its value is not for messages
  if (const auto reads = fields.word("reads", inputs)) branch.reads = inputs[*reads];
  if (const auto axis = fields.word("axis", {"latency", "throughput"})) branch.axis = *axis == 0 ? Axis::kLatency : Axis::kThroughput;
  if (const auto rhythm = fields.word("rhythm", {"stream", "micro-batch", "batch"})) branch.rhythm = static_cast<Rhythm>(*rhythm);
  if (known) {
    const auto engines = engines_of(branch.kind);
    if (const auto engine = fields.word("engine", engines)) branch.engine = engines[*engine];
  }
  load_timing(context, fields, branch);
  load_state(context, fields, out, branch);
  load_flink(context, fields, branch);
  load_spark(context, fields, branch);
  load_dbt(context, fields, branch);
  fields.texts("rules", branch.rules, Expand::kYes);
  fields.text("price_book", branch.price_book, Expand::kYes);
  fields.integer("max_keys", branch.max_keys, 1, 1'000'000);
  fields.duration("allowed_lateness", branch.allowed_lateness, base::Duration(0));
  load_list(context, fields, "notify", "[{kind: webhook, url: https://…}]", [&](const Node& item) { load_target(context, item, branch); });
  load_list(context, fields, "rollups", "[{name: by_service, by: [service]}]",
            [&](const Node& item) { load_rollup(context, item, out, branch); });
  if (branch.kind == BranchKind::kPager && branch.notify.empty()) branch.notify.push_back({node.place, "stdout", "stdout", {}, ""});
  if (known && branch.kind == BranchKind::kPager) fields.require("rules", "rules: files such as rules/*.yaml");
  if (known && branch.kind == BranchKind::kBilling) fields.require("price_book", "price_book: a file such as prices.yaml");
  branch.places = fields.places();
  out.branches.push_back(std::move(branch));
}

}  // namespace

void load_branches(Context& context, const Node& root, Topology& out) {
  const Node* node = root.find("branches");
  if (node == nullptr || node->kind == Node::Kind::kNull) return;
  if (node->kind != Node::Kind::kList) {
    context.report(node->place,
                   "branches: found " + describe(*node) + "; expected a list, or leave it out and `headpond plan` proposes one");
    return;
  }
  for (const auto& item : node->items) load_branch(context, *item, out);
}

}  // namespace headpond::spec
