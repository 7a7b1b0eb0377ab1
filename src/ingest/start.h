// Where reading begins on a topic that the table does not hold yet (`start` of source.kafka). What lies before is a declared gap.
#pragma once

#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "env/clock.h"
#include "kafka/source.h"
#include "spec/topology.h"

namespace headpond::ingest {

struct Beginning {
  base::PartitionId partition;
  base::Offset next;   // > 0: [0, next) is passed over
  base::Micros clock;  // whatever the broker accepted by then lies before `next`
};

// Asks the broker; partitions read from offset 0 on are left out. Errors: kInvalid: a start in the future. kRetry.
base::Result<std::vector<Beginning>> beginnings(const spec::Topology& topology, kafka::Source& source,
                                                const std::vector<base::PartitionId>& partitions, env::Clock& clock);

}  // namespace headpond::ingest
