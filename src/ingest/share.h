// Which partitions one of several ingesters of a topic reads when they are assigned by hand (source.kafka.assignment: static). Pure.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"

namespace headpond::ingest {

struct Share {
  int index = 0, count = 1;            // of `count` instances that share the topic: partition mod count == index
  std::set<base::PartitionId> listed;  // not empty: exactly these

  bool alone() const { return count == 1 && listed.empty(); }
  bool has(base::PartitionId id) const { return listed.empty() ? id.value() % count == index : listed.contains(id); }
};

// "2/8": the third of eight. Errors: kInvalid.
base::Result<Share> parse_instance(std::string_view text);
// "0-3,7". Errors: kInvalid.
base::Result<Share> parse_partitions(std::string_view text);

// Where in the commit interval an ingester commits, in [0, 1), so that several do not contend for the same version: i/K of K instances;
// else by the lowest partition it reads. Multiples of the golden ratio lie far apart for any set of small numbers.
double phase_of(const Share& share);
double phase_of(base::PartitionId lowest);

// Until the next moment of that phase by the wall clock; more than a quarter of the interval, at most 1.25 of it.
base::Duration until_phase(double phase, base::Micros now, base::Duration interval);

}  // namespace headpond::ingest
