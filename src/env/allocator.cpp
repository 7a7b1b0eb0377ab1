#include <malloc.h>

#include "env/real.h"

namespace headpond::env {

void tune_allocator() {
  mallopt(M_MMAP_THRESHOLD, 8 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

}  // namespace headpond::env
