#include "app/wiring.h"

#include <fmt/format.h>
#include <glob.h>

#include "app/session.h"
#include "spec/price_book.h"

namespace headpond::app {

base::Result<std::vector<std::string>> expand_globs(const spec::Topology& topology, const std::vector<std::string>& globs) {
  std::vector<std::string> files;
  for (const auto& pattern : globs) {
    glob_t found{};
    const int code = glob(topology.resolve(pattern).c_str(), 0, nullptr, &found);
    if (code == 0) files.insert(files.end(), found.gl_pathv, found.gl_pathv + found.gl_pathc);
    globfree(&found);
    if (code != 0)
      return base::fail(base::ErrorKind::kInvalid,
                        fmt::format("{}: no file matches '{}' (looked in {})", topology.path, pattern, topology.resolve(pattern)));
  }
  return files;
}

base::Result<billing::Settings> load_billing(const spec::Topology& topology, const spec::Branch& branch) {
  const auto path = topology.resolve(branch.price_book);
  TRY(const auto text, read_file(path));
  auto loaded = spec::load_price_book(text, path);
  if (!loaded.book) {
    std::string lines;
    for (const auto& issue : loaded.issues) lines += (lines.empty() ? "" : "\n") + spec::to_string(issue.place) + ": " + issue.message;
    return base::fail(base::ErrorKind::kInvalid, lines);
  }
  return billing::settings_of(topology, branch, std::move(*loaded.book));
}

}  // namespace headpond::app
