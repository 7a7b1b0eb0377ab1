// `headpond bill run|verify|report`.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/billing_engine.h"
#include "app/console.h"
#include "app/session.h"
#include "app/wiring.h"
#include "base/time.h"
#include "billing/billing.h"

namespace headpond::app {
namespace {

struct BillSession {
  Session session;
  billing::Settings settings;
  base::Micros day;
  const spec::Branch* branch;  // of the session
  std::shared_ptr<billing::Calculator> calculator = {};
  billing::World world() {
    return {*session.lake,
            session.paths,
            *session.clock,
            *session.random,
            *session.failpoints,
            session.data_directory + "/" + settings.branch,
            2,
            2ll << 30,
            calculator.get()};
  }
};

std::optional<BillSession> open_bill(const BillCommand& command, int& code) {
  code = kWrongUse;
  const auto day = base::parse_day(command.day);
  if (!day) {
    complain(fmt::format("--day '{}' is not a day; expected the form 2026-11-25", command.day));
    return std::nullopt;
  }
  auto session = Session::open(command.common, code);
  if (!session) return std::nullopt;
  code = kWrongUse;
  const auto* branch = session->branch(spec::BranchKind::kBilling, command.branch);
  if (branch == nullptr) return std::nullopt;
  auto settings = load_billing(session->topology, *branch);
  if (!settings) {
    code = complain(settings.error());
    return std::nullopt;
  }
  code = kOk;
  return BillSession{std::move(*session), std::move(*settings), *day, branch};
}

std::string place(const BillSession& bill, const std::string& path) {
  return bill.session.lake->local_path(path).value_or(bill.session.lake->describe() + path);
}

void print_day(const BillSession& bill, const billing::DayResult& result) {
  fmt::print("{} {}: {} {} for {} events, {} ({} lines, {} tenants){}\n", result.provisional ? "provisional bill" : "bill",
             base::format_day(result.day), result.currency, result.total, human_count(static_cast<double>(result.events)),
             human_bytes(static_cast<double>(result.bytes)), result.lines, result.tenants,
             result.stored_before ? "; stored before, and the same to the last byte" : "");
  TextTable table({"tenant", "amount"});
  for (const auto& [tenant, amount] : result.top) table.add({tenant, amount});
  fmt::print("{}report       {}\ncsv          {}\n", table.render(), place(bill, result.report), place(bill, result.csv));
  if (!result.certificate.empty()) fmt::print("certificate  {}\n", place(bill, result.certificate));
  for (const auto& day : result.also) fmt::print("also closed  {}\n", base::format_day(day));
}

std::string to_json(const BillSession& bill, const billing::DayResult& r) {
  nlohmann::ordered_json out{{"day", base::format_day(r.day)},
                             {"provisional", r.provisional},
                             {"stored_before", r.stored_before},
                             {"events", r.events},
                             {"bytes", r.bytes},
                             {"errors", r.errors},
                             {"lines", r.lines},
                             {"tenants", r.tenants},
                             {"currency", r.currency},
                             {"total", r.total},
                             {"report", place(bill, r.report)},
                             {"csv", place(bill, r.csv)}};
  if (!r.certificate.empty()) out["certificate"] = place(bill, r.certificate);
  return out.dump(2);
}

}  // namespace

int run_bill(const BillCommand& command) {
  int code = kOk;
  auto bill = open_bill(command, code);
  if (!bill) return code;
  auto calculator = open_calculator(bill->session, *bill->branch);
  if (!calculator) return complain(calculator.error());
  bill->calculator = std::move(*calculator);
  const auto result = billing::run_day(bill->settings, bill->world(), bill->day, command.provisional);
  if (!result) {
    complain(result.error());
    return result.error().kind == base::ErrorKind::kInvalid ? kProblem : exit_code(result.error().kind);
  }
  if (command.common.json)
    fmt::print("{}\n", to_json(*bill, *result));
  else
    print_day(*bill, *result);
  return kOk;
}

int run_bill_verify(const BillCommand& command) {
  int code = kOk;
  auto bill = open_bill(command, code);
  if (!bill) return code;
  const auto report = billing::verify_day(bill->settings, bill->world(), bill->day, command.deep);
  if (!report) return complain(report.error());
  if (command.common.json) {
    nlohmann::ordered_json out{
        {"day", command.day},       {"clean", report->clean()}, {"deep", report->deep},         {"partitions", report->partitions},
        {"events", report->events}, {"bytes", report->bytes},   {"currency", report->currency}, {"total", report->total}};
    out["findings"] = nlohmann::ordered_json::array();
    for (const auto& finding : report->findings) out["findings"].push_back({{"what", finding.what}, {"where", finding.where}});
    fmt::print("{}\n", out.dump(2));
  } else {
    for (const auto& finding : report->findings) fmt::print("damage: {}: {}\n", finding.what, finding.where);
    fmt::print("bill verify{} {}: {} partitions, {} events, {} {}: {}\n", report->deep ? " --deep" : "", command.day, report->partitions,
               human_count(static_cast<double>(report->events)), report->currency, report->total,
               report->clean() ? "the bill stands" : fmt::format("{} findings", report->findings.size()));
  }
  return report->clean() ? kOk : kProblem;
}

int run_bill_report(const BillCommand& command) {
  int code = kOk;
  auto bill = open_bill(command, code);
  if (!bill) return code;
  const auto path = bill->session.paths.billing(bill->settings.branch) + "/reports/" + command.day + ".html";
  if (!bill->session.lake->head(path)) {
    complain(fmt::format("no report of {} yet: headpond bill run -f {} --day {}", command.day, command.common.topology, command.day));
    return kProblem;
  }
  fmt::print("{}\n", place(*bill, path));
  return kOk;
}

}  // namespace headpond::app
