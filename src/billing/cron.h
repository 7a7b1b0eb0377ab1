// The schedule of a bill. Threads: values.
#pragma once

#include "base/cron.h"

namespace headpond::billing {

using base::Cron;

}  // namespace headpond::billing
