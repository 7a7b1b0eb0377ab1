// headpond_bench [--out FILE] [--events N] [--only PREFIX]
#include <cstdio>
#include <string>
#include <string_view>

#include "ingest.h"
#include "report.h"

int main(int count, char** words) {
  std::string out, only;
  std::int64_t events = 600'000;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string_view word = words[i];
    if (word == "--out") out = words[i + 1];
    if (word == "--events") events = std::stoll(words[i + 1]);
    if (word == "--only") only = words[i + 1];
  }
  headpond::bench::Report report;
  headpond::bench::measure_ingest(events, report);
  report.print();
  if (!out.empty() && !report.write_json(out)) return std::fprintf(stderr, "cannot write %s\n", out.c_str()), 3;
  return 0;
}
