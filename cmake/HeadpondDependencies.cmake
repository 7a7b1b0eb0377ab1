# Finds what tools/setup installed. Each library is linked only by the folder that owns it.
set(HEADPOND_CACHE "$ENV{HEADPOND_CACHE}" CACHE PATH "where tools/setup puts what it builds")
if(NOT HEADPOND_CACHE)
  set(HEADPOND_CACHE "$ENV{HOME}/.cache/headpond")
endif()

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(prometheus-cpp REQUIRED COMPONENTS core)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)
find_package(RocksDB REQUIRED)
# Not under the prefix "zstd": its cached variables would break RocksDB's own Findzstd at the next configure.
pkg_check_modules(libzstd REQUIRED IMPORTED_TARGET libzstd)
add_library(PkgConfig::zstd ALIAS PkgConfig::libzstd)
pkg_check_modules(re2 REQUIRED IMPORTED_TARGET re2)
pkg_check_modules(simdjson REQUIRED IMPORTED_TARGET simdjson)

add_library(hp_rdkafka INTERFACE)
target_include_directories(hp_rdkafka SYSTEM INTERFACE "${HEADPOND_CACHE}/librdkafka/include")
target_link_libraries(hp_rdkafka INTERFACE "${HEADPOND_CACHE}/librdkafka/lib/librdkafka.a" PkgConfig::zstd OpenSSL::SSL OpenSSL::Crypto z m dl Threads::Threads)

# The object_store crate behind a C ABI; its sources are src/env/object_store_abi.
add_library(hp_object_store INTERFACE)
target_link_libraries(hp_object_store INTERFACE "${HEADPOND_CACHE}/object_store/libheadpond_object_store.a" m dl Threads::Threads)

add_library(hp_duckdb SHARED IMPORTED)
if(EXISTS "${HEADPOND_CACHE}/duckdb/lib/libduckdb.so")
  set_target_properties(hp_duckdb PROPERTIES IMPORTED_LOCATION "${HEADPOND_CACHE}/duckdb/lib/libduckdb.so" IMPORTED_NO_SONAME ON)
  target_include_directories(hp_duckdb SYSTEM INTERFACE "${HEADPOND_CACHE}/duckdb/include")
else()
  find_library(SYSTEM_DUCKDB duckdb REQUIRED)
  set_target_properties(hp_duckdb PROPERTIES IMPORTED_LOCATION "${SYSTEM_DUCKDB}")
endif()
# Debian ships cpp-httplib compiled; its macros (OpenSSL, zlib, brotli) must be the library's, so they come from its .pc file.
pkg_check_modules(httplib REQUIRED IMPORTED_TARGET cpp-httplib)
