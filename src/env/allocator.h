// How malloc treats what is freed, for the whole process. Threads: any.
#pragma once

namespace headpond::env {

// Once, first thing in main(). Blocks of 8 MiB and more, as records of 10 MB bring them, go back to the system: otherwise they end up
// between small ones in every thread's heap. Of smaller ones up to 16 MiB a heap stay: otherwise what a fetch gave back is mapped in and
// zeroed again for the next, page by page, which costs a tenth of ingest.
void tune_allocator();
// Gives all that is free back to the system, small holes between what is in use too: milliseconds, for when memory is short.
void give_back_freed();

}  // namespace headpond::env
