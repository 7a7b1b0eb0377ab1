// Outbox objects that no notifier could read, on record beside them for `headpond status`: `<pages_root>/_unreadable.json`, there while
// there are any. The objects themselves stay where they are. Format: docs/formats/pages.md.
//
// Threads: values and free functions; any.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "env/object_store.h"

namespace headpond::notify {

using Unreadable = std::map<std::string, std::string>;  // path → what is wrong with it and what to do

// Replaces the record; removes it where `objects` is empty.
base::Result<void> write_unreadable(env::ObjectStore& lake, const std::string& pages_root, const Unreadable& objects);
// Empty where there is none.
base::Result<Unreadable> read_unreadable(env::ObjectStore& lake, const std::string& pages_root);
// "2 outbox objects cannot be read, their pages are not sent: <the first's> (and 1 more)"; empty for none.
std::string describe(const Unreadable& objects);

}  // namespace headpond::notify
