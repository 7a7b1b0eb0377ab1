// DuckDB's view of an object store: read-only files "lake://<path>". Private to sql.
//
// Objects are immutable, so what was read may be kept: DuckDB's own cache holds column ranges, a handle holds the file's tail (the Parquet
// footer), which is thus one request. Any failure of the store is DuckDB's IO error.
#pragma once

#include <duckdb.hpp>

#include "env/object_store.h"

namespace headpond::sql {

// Borrows `store`, which must outlive the database it is registered with. Threads: any.
duckdb::unique_ptr<duckdb::FileSystem> lake_files(env::ObjectStore& store);

}  // namespace headpond::sql
