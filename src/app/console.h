// Talking to a person: tables, one-line problems, exit codes.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace headpond::app {

// "headpond: <message>" on stderr.
void complain(const std::string& message);
// The same, and the exit code that fits the error's kind.
int complain(const base::Error& error);
int exit_code(base::ErrorKind kind);

// A table with a header line; numeric-looking cells are right-aligned.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string render() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string human_count(double n);      // "1,234" below 100,000, then "1.23 M"
std::string human_bytes(double n);      // "1.2 GB"
std::string human_age(double seconds);  // "0.4 s", "3 min"

}  // namespace headpond::app
