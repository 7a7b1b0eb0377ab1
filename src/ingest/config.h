// From the topology to what a lane and a table need. Pure.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "bronze/writer.h"
#include "columns/batch.h"
#include "decode/decoder.h"
#include "spec/topology.h"

namespace headpond::ingest {

std::vector<columns::ColumnSpec> declared_columns(const spec::Topology& topology);
// Errors: kInvalid: a pointer or OTLP source, a default value.
base::Result<std::unique_ptr<decode::Decoder>> open_decoder(const spec::Topology& topology);
bronze::TableSpec table_spec(const spec::Topology& topology, const spec::LakePaths& paths);
bronze::Topic topic_of(const spec::Topology& topology, const std::string& topic_id);

}  // namespace headpond::ingest
