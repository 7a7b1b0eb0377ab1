// The day's bill as one HTML page a manager can read: no script, no other files, light and dark, prints on A4 or letter.
// The same inputs give the same bytes. Threads: any.
#pragma once

#include <string>

#include "billing/bill.h"
#include "billing/certificate.h"

namespace headpond::billing {

// Grows by one with every change of what to_html makes: a closed day keeps the page it was given.
inline constexpr int kReportLayout = 1;

struct ReportInputs {
  const Bill& bill;
  const std::map<base::SourcePartition, PartitionDay>& partitions;
  bool broker_clock = false;
  const Certificate* previous = nullptr;  // of the day before; null: there is none
  std::string previous_sha256;
  std::vector<Holdout> holdouts;  // of a provisional bill: what keeps the day open
};

std::string to_html(const ReportInputs& inputs);

}  // namespace headpond::billing
