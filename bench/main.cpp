// headpond_bench [--out FILE] [--events N] [--seconds N] [--only stages|columns|ingest|otlp|axes|branches|minute] [--lake DIR]: measures,
// prints, and writes the figures as JSON. `minute`: the dashboard alone, over a lake that stays in DIR/lake.
#include <cstdio>
#include <string>
#include <string_view>

#include "branches.h"
#include "env/allocator.h"
#include "ingest.h"
#include "report.h"

int main(int count, char** words) {
  headpond::env::tune_allocator();  // as `headpond` does
  std::string out, only, lake;
  std::int64_t events = 600'000;  // of the ingest figures
  int seconds = 60;               // of full load, for the branches
  const auto usage = [] {
    std::fprintf(stderr,
                 "usage: headpond_bench [--out FILE] [--events N] [--seconds N] [--only stages|columns|ingest|otlp|axes|branches|minute] "
                 "[--lake DIR]\n");
    return 2;
  };
  for (int i = 1; i < count; i += 2) {
    const std::string_view word = words[i];
    if (i + 1 == count || (word != "--out" && word != "--events" && word != "--seconds" && word != "--only" && word != "--lake"))
      return usage();
    if (word == "--out") out = words[i + 1];
    if (word == "--events") events = std::stoll(words[i + 1]);
    if (word == "--seconds") seconds = std::stoi(words[i + 1]);
    if (word == "--only") only = words[i + 1];
    if (word == "--lake") lake = words[i + 1];
  }
  if ((only == "minute") == lake.empty()) return usage();
  headpond::bench::Report report;
  if (only == "stages") headpond::bench::measure_stages(events, report);
  if (only == "columns") headpond::bench::measure_columns(events, report);
  if (only.empty() || only == "ingest") headpond::bench::measure_ingest(events, report);
  if (only.empty() || only == "otlp") headpond::bench::measure_ingest_otlp(events / 2, report);
  if (only.empty() || only == "axes") headpond::bench::measure_ingest_axes(events / 2, report);
  if (only.empty() || only == "branches") headpond::bench::measure_branches(seconds, report);
  if (only == "minute") headpond::bench::measure_minute(lake, seconds, report);
  report.print();
  if (!out.empty() && !report.write_json(out)) return std::fprintf(stderr, "cannot write %s\n", out.c_str()), 3;
  return 0;
}
