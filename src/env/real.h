// The real world behind the seams of env. Only app and tests construct these.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/metrics.h"
#include "base/result.h"
#include "env/clock.h"
#include "env/failpoints.h"
#include "env/object_store.h"

namespace headpond::env {

std::unique_ptr<Clock> real_clock();
std::unique_ptr<Random> real_random();  // the kernel's; threads: any

// A directory as an object store: writes go to a hidden temporary file beside the target, are synced, and are renamed (put) or
// hard-linked (put_if_absent: exactly one winner). Creates the directory.
// Errors: kInvalid: it cannot be created or written, and why.
base::Result<std::unique_ptr<ObjectStore>> open_local_store(const std::string& directory);

// s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or abfss://container@account…/prefix. Endpoint and credentials come from
// the usual environment (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, …). Tried on S3; GCS and Azure are the same crate, not yet tried.
// A store without conditional writes is refused (asked by one small object, _headpond/put-if-absent, which stays).
// Errors: kInvalid: the location, or such a store. kRetry: unreachable, no such bucket, not permitted (the message says which).
base::Result<std::unique_ptr<ObjectStore>> open_remote_store(const std::string& location);
bool is_remote(std::string_view location);

// Opens what a topology's `location` names: a directory, file://…, or a remote store as above.
base::Result<std::unique_ptr<ObjectStore>> open_store(const std::string& location);

// Failpoints from HEADPOND_FAILPOINT ("name:N", several separated by ','); each hit of any name is also appended, one line each, to the
// file HEADPOND_FAILPOINT_LOG when that is set, so that a test can count coverage. Unset: does nothing.
std::unique_ptr<Failpoints> failpoints_from_environment();

// What the kernel says of this process, under the names every Prometheus client uses: process_resident_memory_bytes,
// process_cpu_seconds_total, process_open_fds, process_start_time_seconds. Threads: any.
std::vector<base::MetricFamily> process_metrics();

}  // namespace headpond::env
