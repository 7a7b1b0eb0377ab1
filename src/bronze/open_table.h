// Brings a table to where a Writer can begin: the store is fit, the table exists, is ours, and has all declared columns. Private to bronze.
#pragma once

#include "base/result.h"
#include "bronze/facts.h"
#include "bronze/writer.h"
#include "delta/log.h"

namespace headpond::bronze {

struct OpenedTable {
  base::Version version;
  delta::Metadata metadata;
  TableClock clock;
};

// Errors: as Writer::open.
base::Result<OpenedTable> open_table(const delta::Table& table, const TableSpec& spec, WriterWorld& world);

}  // namespace headpond::bronze
