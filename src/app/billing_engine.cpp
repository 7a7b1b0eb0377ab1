#include "app/billing_engine.h"

#include <fmt/format.h>

#include "app/deploy_tools.h"
#include "billing/external.h"
#include "deploy/commands.h"
#include "deploy/readiness.h"
#include "env/process.h"

namespace headpond::app {
namespace {

struct Owned {
  std::unique_ptr<env::Processes> processes = env::real_processes();
  std::unique_ptr<billing::ExternalCalculator> calculator;
};

}  // namespace

base::Result<std::shared_ptr<billing::Calculator>> open_calculator(const Session& session, const spec::Branch& branch) {
  if (!branch.external()) return nullptr;
  if (!session.lake->local_path("") && !session.paths.lake.starts_with("s3://"))
    return base::fail(base::ErrorKind::kInvalid,
                      fmt::format("{}: bills of `engine: {}` need a lake in a directory or on s3://, not {}; write `engine: embedded`",
                                  spec::to_string(branch.place), branch.engine, session.lake->describe()));
  const deploy::PackageInput input{
      .job = {.topology = session.topology, .branch = branch, .paths = session.paths, .start = {}, .program_json = {}},
      .tools = find_tools(),
      .directory = "{run}",
      .from = {}};
  auto owned = std::make_shared<Owned>();
  TRY_VOID(deploy::check_billing(branch, input.tools, *owned->processes));
  const auto package = deploy::package(input);
  const auto run = deploy::billing_run(input);
  billing::ExternalEngine engine{.word = branch.engine, .argv = run.argv, .environment = run.environment, .files = package.files};
  owned->calculator = std::make_unique<billing::ExternalCalculator>(std::move(engine), *owned->processes);
  return std::shared_ptr<billing::Calculator>(owned, owned->calculator.get());
}

}  // namespace headpond::app
