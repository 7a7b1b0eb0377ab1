// From the typed topology to what each engine is opened with: files read, relative paths resolved.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "billing/billing.h"
#include "spec/topology.h"

namespace headpond::app {

// The files that match the globs, in byte order. Errors: kInvalid: a glob that matches nothing.
base::Result<std::vector<std::string>> expand_globs(const spec::Topology& topology, const std::vector<std::string>& globs);

// Reads the branch's price book. Errors: kInvalid: every issue of it, one line each; kNotFound: no such file.
base::Result<billing::Settings> load_billing(const spec::Topology& topology, const spec::Branch& branch);

}  // namespace headpond::app
