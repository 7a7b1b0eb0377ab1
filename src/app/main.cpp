// The command line: flags into option structs, one function a command.
#include <CLI/CLI.hpp>

#include "app/commands.h"
#include "app/console.h"
#include "env/allocator.h"
#include "spec/reader.h"

namespace {

using headpond::app::CommonOptions;

void add_common(CLI::App* command, CommonOptions& options) {
  command->add_option("-f,--file", options.topology, "the topology")->capture_default_str();
  command->add_option("--data-dir", options.data_directory,
                      "local scratch for state and spill (default: .headpond/<name> beside the topology)");
  command->add_flag("--json", options.json, "for machines");
}

void add_generate(CLI::App& app, headpond::app::GenerateCommand& g, int& code) {
  auto* c = app.add_subcommand("generate", "produce deterministic logs into a Kafka topic");
  add_common(c, g.common);
  c->add_option("--brokers", g.brokers, "host:port,… (default: the topology's)");
  c->add_option("--topic", g.topic, "created when absent (default: the topology's)");
  c->add_option("--seed", g.seed, "the same seed, the same bytes")->capture_default_str();
  c->add_option("-n,--events", g.events, "how many")->capture_default_str();
  c->add_option("--rate", g.rate, "events a second, 0 = flat out")->capture_default_str();
  c->add_option("--partitions", g.partitions, "of a topic it creates (default 4)");
  c->add_option("--encoding", g.encoding, "json, otlp_proto or otlp_json (default: the topology's)");
  c->add_option("--batch", g.batch, "log records an OTLP message")->capture_default_str();
  c->add_option("--from", g.from, "first timestamp, RFC 3339 (with --to: spread evenly, not live)");
  c->add_option("--to", g.to, "last timestamp");
  c->add_option("--malformed", g.malformed, "share of records that do not decode, 0 to 1")->capture_default_str();
  c->add_option("--late", g.late, "share of events up to 2 minutes late")->capture_default_str();
  c->add_option("--future", g.future, "share of events from the future")->capture_default_str();
  c->add_option("--incident-service", g.incident_service, "this service fails during the incident");
  c->add_option("--incident-at", g.incident_at, "when it begins: RFC 3339, or seconds after the first event");
  c->add_option("--incident-seconds", g.incident_seconds, "how long it lasts")->capture_default_str();
  c->callback([&] { code = run_generate(g); });
}

void add_bill(CLI::App& app, headpond::app::BillCommand& b, int& code) {
  auto* bill = app.add_subcommand("bill", "the daily capacity bill");
  bill->require_subcommand(1);
  const auto options = [&b](CLI::App* c) {
    add_common(c, b.common);
    c->add_option("--branch", b.branch, "which billing branch, when there are several");
    c->add_option("--day", b.day, "UTC day, 2026-11-25")->required();
  };
  auto* run = bill->add_subcommand("run", "bill a closed day: tables, certificate, report");
  options(run);
  run->add_flag("--provisional", b.provisional, "price an open day into a report and CSV only");
  run->callback([&] { code = run_bill(b); });
  auto* verify = bill->add_subcommand("verify", "check a day's bill against bronze and its certificate");
  options(verify);
  verify->add_flag("--deep", b.deep, "re-hash the rows");
  verify->callback([&] { code = run_bill_verify(b); });
  auto* report = bill->add_subcommand("report", "where a day's report lies");
  options(report);
  report->callback([&] { code = run_bill_report(b); });
}

// `up` and the commands that run one role of it.
void add_roles(CLI::App& app, headpond::app::UpCommand& up, int& code) {
  const auto add = [&](const char* name, const char* what, std::vector<std::string> roles) {
    auto* c = app.add_subcommand(name, what);
    add_common(c, up.common);
    c->add_option("--listen", up.listen, "address of the page, health and metrics (loopback)");
    c->add_option("--branch", up.branch, "only this branch");
    if (roles.empty() || roles.front() == "pager")
      c->add_flag("--new-generation", up.new_generation, "pagers discard their state and start afresh, as a new generation");
    if (roles.empty() || roles.front() == "ingest")
      c->add_flag("--accept-loss", up.accept_loss, "go on over records that the topic's retention deleted unread; the loss is recorded");
    if (!roles.empty() && roles.front() == "ingest") {
      auto* instance = c->add_option("--instance", up.instance, "i/K: one of K ingesters; reads the partitions whose number mod K is i")
                           ->envname("HEADPOND_INSTANCE");
      c->add_option("--partitions", up.partitions, "these alone, such as 0-3,7")->excludes(instance);
      c->add_flag("--until-end", up.until_end, "read what is in the topic now, commit it, and end");
    }
    c->callback([&up, &code, roles] {
      up.roles = roles;
      code = run_up(up);
    });
  };
  add("up", "run every embedded role in one process", {});
  add("ingest", "Kafka to bronze", {"ingest"});
  add("pager", "bronze to pages", {"pager"});
  add("notify", "deliver the pages of a pager that runs on Flink", {"notify"});
  add("dashboard", "bronze to gold, each minute", {"dashboard"});
  add("billing", "bill each day when it has closed", {"billing"});
  add("serve", "the page and its API", {"serve"});
}

void add_deploy(CLI::App& app, headpond::app::DeployCommand& d, int& code) {
  auto* c = app.add_subcommand("deploy", "hand the branches that are not embedded to Flink, Spark or dbt");
  c->add_option("-f,--file", d.common.topology, "the topology")->capture_default_str();
  c->add_option("--branch", d.branch, "only this branch");
  c->add_option("--out", d.out, "where to write what each engine is given")->capture_default_str();
  c->add_flag("--dry-run", d.dry_run, "print the exact commands and change nothing");
  c->add_flag("--new-generation", d.new_generation, "a pager starts afresh instead of from its newest checkpoint");
  c->callback([&] { code = run_deploy(d); });
}

void add_demo(CLI::App& app, headpond::app::DemoCommand& d, int& code) {
  auto* c = app.add_subcommand("demo", "see all of it: a real Kafka, an incident, a page, a chart, a bill");
  c->add_option("--dir", d.directory, "where to put it (default: a fresh temporary directory)");
  c->add_option("--listen", d.listen, "address of the page")->capture_default_str();
  c->add_flag("--keep", d.keep, "stay up until interrupted, also when not on a terminal");
  c->add_flag("--mock", d.mock, "use librdkafka's mock broker");
  c->add_option("--seconds-max", d.seconds_max, "give up after this long")->capture_default_str();
  c->callback([&] { code = run_demo(d); });
}

// What to say when `word` stands where a command is expected and is none; "" otherwise.
std::string unknown_command(CLI::App& app, const std::string& word) {
  if (word.empty() || word.starts_with('-')) return "";
  std::vector<std::string> commands;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) commands.push_back(command->get_name());
  if (std::ranges::find(commands, word) != commands.end()) return "";
  const auto near = headpond::spec::nearest(word, commands);
  return "no command '" + word + "'" + (near ? "; did you mean '" + *near + "'?" : "; headpond --help lists them");
}

}  // namespace

int main(int argc, char** argv) {
  using namespace headpond::app;
  headpond::env::tune_allocator();
  CLI::App app{"Headpond: one Kafka topic, one bronze table, three rhythms."};
  app.require_subcommand(1);
  app.set_version_flag("--version", "headpond 0.1.0");
  int code = kOk;

  CommonOptions common;
  GenerateCommand generate;
  UpCommand up;
  BillCommand bill;
  AuditCommand audited;
  DeployCommand deploy;
  DemoCommand demo;
  MaintainCommand keep;
  bool write = false;
  std::string query;
  std::vector<std::string> files;

  add_demo(app, demo, code);
  auto* init = app.add_subcommand("init", "write a first topology");
  add_common(init, common);
  init->callback([&] { code = run_init(common); });
  auto* plan = app.add_subcommand("plan", "check a topology, propose branches, price it");
  add_common(plan, common);
  plan->add_flag("--write", write, "put the proposed branches into the file");
  plan->callback([&] { code = run_plan(common, write); });
  add_roles(app, up, code);
  add_deploy(app, deploy, code);
  auto* status = app.add_subcommand("status", "version, lag and freshness of each branch");
  add_common(status, common);
  status->callback([&] { code = run_status(common); });
  add_generate(app, generate, code);
  add_bill(app, bill, code);
  auto* maintain = app.add_subcommand("maintain", "keep bronze's log small: checkpoint, ledger, clean-up, once");
  add_common(maintain, keep.common);
  maintain->add_flag("--checkpoint", keep.checkpoint, "write a checkpoint now, whether or not one is due");
  maintain->callback([&] { code = run_maintain(keep); });
  auto* audit = app.add_subcommand("audit", "prove that each offset is in bronze once");
  add_common(audit, audited.common);
  audit->add_flag("--deep", audited.deep, "from the rows, not only the log");
  auto* kafka = audit->add_flag("--kafka", audited.kafka, "also read the topic again and hold it against bronze");
  audit->add_option("--last", audited.last, "of --kafka: only what arrived in the last so long, such as 2h")->needs(kafka);
  audit->callback([&] { code = run_audit(audited); });
  auto* sql = app.add_subcommand("sql", "query bronze, gold, usage, invoices and pages");
  add_common(sql, common);
  sql->add_option("query", query,
                  "SQL (DuckDB); views: bronze, rollup, histogram, rolling_5m, key, batch, usage_15m, usage_peak, invoice_lines, pages")
      ->required();
  sql->callback([&] { code = run_sql(common, query); });
  auto* rules = app.add_subcommand("rules", "the pager's rules");
  rules->require_subcommand(1);
  auto* check = rules->add_subcommand("check", "check rule files: errors, worst delay, state a key");
  add_common(check, common);
  check->add_option("files", files, "rule files (default: the topology's)");
  check->callback([&] { code = run_rules_check(common, files); });
  auto* pages = app.add_subcommand("pages", "recent pages and their receipts");
  add_common(pages, common);
  pages->callback([&] { code = run_pages(common); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (const std::string unknown = unknown_command(app, argc > 1 ? argv[1] : ""); !unknown.empty()) {
      complain(unknown);
      return kWrongUse;
    }
    const int shown = app.exit(error);
    return shown == 0 ? kOk : kWrongUse;
  }
  return code;
}
