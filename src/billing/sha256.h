// SHA-256 in hexadecimal: what ties a certificate to its outputs and to the day before. Threads: any.
#pragma once

#include <string>
#include <string_view>

namespace headpond::billing {

std::string sha256_hex(std::string_view bytes);

}  // namespace headpond::billing
