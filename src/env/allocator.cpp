#include "env/allocator.h"

#include <malloc.h>

namespace headpond::env {

void tune_allocator() {
  mallopt(M_MMAP_THRESHOLD, 8 << 20);
  mallopt(M_TRIM_THRESHOLD, 16 << 20);
}

void give_back_freed() {
  malloc_trim(0);
}

}  // namespace headpond::env
