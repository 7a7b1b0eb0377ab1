// Log entries as a bug would have written or read them. Pure; only plants use this.
#pragma once

#include <cstdint>
#include <string>

namespace headpond::sim {

bool has_batches(const std::string& entry);
std::string without_batches(const std::string& entry);                              // rows, clocks: as if it were a heartbeat
std::string shifted_positions(const std::string& entry, std::int64_t by);           // every range ends so much later
std::string earlier_clocks(const std::string& entry, std::int64_t by_us);           // every clock so much earlier
std::string with_batches_of(const std::string& entry, const std::string& earlier);  // its rows, files and txns again

}  // namespace headpond::sim
