// Images of a state store in object storage.
//
//   <prefix>/files/<size>-<XXH3 of the content>.sst   table files, shared between checkpoints: only new ones are uploaded
//   <prefix>/manifests/<name>.json            written last: it is the checkpoint; {"format":1,"files":[{"name","object","size"}…]}
//
// Names of checkpoints sort by age. Files are named by content, so a file that is there already is the same file.
// Threads: one at a time per prefix.
#pragma once

#include <string>

#include "base/result.h"
#include "env/object_store.h"

namespace headpond::state {

// Uploads the files of the directory `image`. Errors: kRetry, kUnknown: the store; call again.
base::Result<void> upload_image(const std::string& image, env::ObjectStore& objects, const std::string& prefix, const std::string& name);

}  // namespace headpond::state
