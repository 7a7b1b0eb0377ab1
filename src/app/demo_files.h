// The topology, rules and prices the demo writes into its directory: the same a user would write.
#pragma once

#include <string>

#include "base/result.h"

namespace headpond::app {

// Writes topology.yaml, rules.yaml and prices.yaml. Returns the topology's path.
base::Result<std::string> write_demo_files(const std::string& directory, const std::string& brokers, const std::string& topic,
                                           int partitions, const std::string& listen);

}  // namespace headpond::app
