// The sections of a topology file, each read by one function; load.cpp puts them together. Internal to spec.
#pragma once

#include "spec/reader.h"
#include "spec/topology.h"

namespace headpond::spec {

// Columns every bronze table has, and the event time, before the file says otherwise.
std::vector<ColumnDecl> default_columns(Encoding encoding);
ColumnDecl default_ts(Encoding encoding);

// The `columns:` list merged into the defaults.
void load_columns(Context& context, const Node* list, Encoding encoding, BronzeSpec& bronze);
void load_source(Context& context, const Node& root, Topology& out);
void load_bronze(Context& context, const Node& root, Topology& out);
void load_consumers(Context& context, const Node& root, Topology& out);
void load_branches(Context& context, const Node& root, Topology& out);

// A place in an object store or a directory: reads `key`, checks its form, resolves a relative directory. Returns false when absent or
// wrong.
bool load_location(Context& context, Fields& fields, std::string_view key, const Topology& topology, std::string& out,
                   std::string& as_written);

}  // namespace headpond::spec
