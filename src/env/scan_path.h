// What a reader of files (DuckDB) opens an object as: the file it is in a directory, else a name that sql's file system reads through the
// store. Threads: any.
#pragma once

#include <string>
#include <string_view>

#include "env/object_store.h"

namespace headpond::env {

inline constexpr std::string_view kLakeScheme = "lake://";

inline std::string scan_path(const ObjectStore& store, const std::string& path) {
  if (auto local = store.local_path(path)) return *std::move(local);
  return std::string(kLakeScheme) + path;
}

}  // namespace headpond::env
