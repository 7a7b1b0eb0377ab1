#include <algorithm>
#include <limits>
#include <vector>

#include "spec/reader.h"

namespace headpond::spec {
namespace {

// Damerau-Levenshtein distance (adjacent swaps count one), letters compared without case, `-` equal to `_`.
std::size_t distance(std::string_view a, std::string_view b) {
  const auto fold = [](char c) { return c == '-' ? '_' : (c >= 'A' && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : c; };
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i)
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t cost = fold(a[i - 1]) == fold(b[j - 1]) ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + cost});
      if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]))
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

}  // namespace

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& words) {
  if (word.empty() || word.size() > 64) return std::nullopt;
  std::optional<std::string> best;
  std::size_t least = std::numeric_limits<std::size_t>::max();
  for (const auto& candidate : words) {
    const std::size_t d = distance(word, candidate);
    // A third of the letters may be wrong; a long common beginning ("events" for "events_per_day") is also meant.
    const bool begins = word.size() >= 4 && candidate.starts_with(word);
    if ((d <= std::max<std::size_t>(1, std::max(word.size(), candidate.size()) / 3) || begins) && d < least) {
      least = d;
      best = candidate;
    }
  }
  return best;
}

std::string one_of(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& words) {
  const auto near = nearest(word, words);
  return near ? "; did you mean `" + *near + "`?" : "";
}

}  // namespace headpond::spec
