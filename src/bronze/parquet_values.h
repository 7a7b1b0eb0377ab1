// Columns of numbers and strings, with or without a dictionary. Internal to the Parquet writer. Threads: one at a time.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "bronze/parquet_column.h"
#include "bronze/parquet_dictionary.h"
#include "bronze/parquet_encoding.h"

namespace headpond::bronze {

// Consecutive cells; valid == nullptr: none is null, else valid[i] == 0 is null.
template <class T>
struct Cells {
  const T* values;
  const std::uint8_t* valid;
};

// Smallest and largest value of a chunk, as far as the format lets us state them: strings up to 64 bytes, doubles without NaN.
template <class T>
class Bounds {
 public:
  static constexpr std::size_t kTextMax = 64, kBeginning = 256;  // bytes
  static constexpr std::size_t kTextsAhead = 16;

  void extend(const T* values, std::size_t count) {
    if (count == 0) return;
    T low = values[0], high = values[0];
    if constexpr (std::same_as<T, std::string_view>) {
      find_text_bounds(values, count, low, high);
    } else {
      for (std::size_t i = 0; i < count; ++i) {
        if constexpr (std::same_as<T, double>) unstated_ |= std::isnan(values[i]);
        low = std::min(low, values[i]);
        high = std::max(high, values[i]);
      }
    }
    if (!min_ || low < T(*min_)) min_ = low;
    if (!max_ || T(*max_) < high) max_ = high;
  }

  void write(ParquetChunk& chunk) const {
    if (!min_ || unstated_) return;
    if constexpr (std::same_as<T, std::string_view>) {
      if (min_->size() > kTextMax || max_->size() > kTextMax) {
        chunk.min_beginning = min_->substr(0, kBeginning), chunk.max_beginning = max_->substr(0, kBeginning);
        return;
      }
      chunk.min = *min_, chunk.max = *max_;
    } else {
      // The format orders -0.0 and 0.0 by asking for the wider of both.
      const T low = *min_ == T{} ? -T{} : *min_;
      chunk.min = std::string(reinterpret_cast<const char*>(&low), sizeof(T));
      chunk.max = std::string(reinterpret_cast<const char*>(&*max_), sizeof(T));
      if (std::same_as<T, double> && *max_ == T{}) chunk.max = std::string(sizeof(T), '\0');
    }
  }
  void clear() { *this = {}; }

 private:
  using Stored = std::conditional_t<std::same_as<T, std::string_view>, std::string, T>;

  // The first eight bytes as a number that orders as they do, shorter text filled up with zeroes.
  static std::uint64_t head_of(std::string_view text) {
    std::uint64_t head = 0;
    if (text.size() >= sizeof head) {
      std::memcpy(&head, text.data(), sizeof head);
    } else if (!text.empty()) {
      std::memcpy(&head, text.data(), text.size());
    }
    return std::byteswap(head);
  }
  // Few values need more than their heads. They lie in payloads that have left the cache since they were parsed.
  static void find_text_bounds(const std::string_view* values, std::size_t count, std::string_view& low, std::string_view& high) {
    auto low_head = head_of(low), high_head = head_of(high);
    for (std::size_t i = 1; i < count; ++i) {
      __builtin_prefetch(values[std::min(i + kTextsAhead, count - 1)].data());
      const auto head = head_of(values[i]);
      if (head <= low_head && (head < low_head || values[i] < low)) low = values[i], low_head = head;
      if (head >= high_head && (head > high_head || high < values[i])) high = values[i], high_head = head;
    }
  }

  std::optional<Stored> min_, max_;
  bool unstated_ = false;
};

template <class T>
class ValueColumn final : public PageColumn {
 public:
  using Source = std::function<Cells<T>(const columns::Batch&, std::size_t first, std::size_t count, PageScratch&)>;
  ValueColumn(ParquetField field, bool dictionary, Source source)
      : PageColumn(std::move(field)), uses_dictionary_(dictionary), source_(std::move(source)) {}

  void append(const columns::Batch& batch, std::size_t first, std::size_t count, PageScratch& scratch) override {
    auto cells = source_(batch, first, count, scratch);
    std::size_t present = count;
    scratch.body.clear();
    if (cells.valid != nullptr) {
      present = 0;
      for (std::size_t i = 0; i < count; ++i) present += cells.valid[i] != 0;
      if (present > 0 && present < count) cells.values = compact(cells, count);
    }
    if (field_.nullable) put_definition_levels(scratch.body, cells.valid, count, count - present);
    const auto encoding = put_values(cells.values, present, scratch);
    pages_.add(scratch.compressor, scratch.body.view(), encoding, count, count - present);
  }

  std::size_t bytes() const override { return pages_.bytes() + dictionary_.page().size(); }
  std::size_t memory() const override { return pages_.memory() + dictionary_.memory() + dense_.capacity() * sizeof(T); }

  base::Result<ParquetChunk> close(env::WriteStream& out, std::int64_t offset, PageScratch& scratch) override {
    if (dictionary_.size() > 0) {
      pages_.set_dictionary(scratch.compressor, dictionary_.page(), dictionary_.size());
      for (std::uint32_t i = 0; i < dictionary_.size(); ++i) {
        const T value = dictionary_[i];
        bounds_.extend(&value, 1);
      }
    }
    TRY(auto chunk, pages_.write(out, offset));
    bounds_.write(chunk);
    dictionary_.clear();
    bounds_.clear();
    values_ = 0;
    return chunk;
  }

 private:
  static constexpr std::uint32_t kEntriesMax = 32 << 10;
  static constexpr std::size_t kDictionaryBytesMax = 1 << 20;
  static constexpr std::size_t kValuesToSuspect = 1024, kValuesToJudge = 4 * columns::Batch::kRowsMax;
  static constexpr std::size_t kPrefetch = 16;
  using Dictionary = std::conditional_t<std::same_as<T, std::string_view>, StringDictionary,
                                        NumberDictionary<std::conditional_t<std::same_as<T, std::string_view>, int, T>>>;

  const T* compact(const Cells<T>& cells, std::size_t count) {
    if (dense_.size() < count) dense_.resize(count);
    std::size_t n = 0;
    for (std::size_t i = 0; i < count; ++i) {
      dense_[n] = cells.values[i];
      n += cells.valid[i] != 0;
    }
    return dense_.data();
  }

  ParquetEncoding put_values(const T* values, std::size_t count, PageScratch& scratch) {
    if (count == 0) return ParquetEncoding::kPlain;
    if (uses_dictionary_ && put_dictionary_indices(values, count, scratch)) return ParquetEncoding::kRleDictionary;
    bounds_.extend(values, count);
    if constexpr (std::integral<T>) {
      put_delta(scratch.body, values, count);
      return ParquetEncoding::kDeltaBinaryPacked;
    } else if constexpr (std::same_as<T, std::string_view>) {
      return put_text(scratch.body, values, count) ? ParquetEncoding::kDeltaLengthByteArray : ParquetEncoding::kPlain;
    } else {
      scratch.body.append({reinterpret_cast<const char*>(values), count * sizeof(T)});
      return ParquetEncoding::kPlain;
    }
  }

  // False: the dictionary does not pay; this page and all others of the file do without.
  bool put_dictionary_indices(const T* values, std::size_t count, PageScratch& scratch) {
    const auto before = dictionary_.size();
    auto* const indices = scratch.indices.data();
    std::uint32_t last = indices[0] = dictionary_.find_or_add(values[0]);
    for (std::size_t i = 1; i < count; ++i) {
      // Text lies in payloads that have left the cache since they were parsed.
      if constexpr (std::same_as<T, std::string_view>) __builtin_prefetch(values[std::min(i + kPrefetch, count - 1)].data());
      if (!is_same(values[i], values[i - 1])) last = dictionary_.find_or_add(values[i]);
      indices[i] = last;
    }
    values_ += count;
    const auto entries = dictionary_.size();
    // One page tells only the hopeless case; four tell whether values come again.
    const bool rarely_repeats =
        (values_ >= kValuesToSuspect && entries * 5 > values_ * 4) || (values_ >= kValuesToJudge && entries * 2 > values_);
    if (entries > kEntriesMax || dictionary_.page().size() > kDictionaryBytesMax || rarely_repeats) {
      dictionary_.truncate(before);
      uses_dictionary_ = false;
      return false;
    }
    put_indices(scratch.body, indices, count, parquet_bit_width(entries - 1));
    return true;
  }

  // By address or bits: a cheap yes; a no only costs a look into the dictionary.
  static bool is_same(const T& a, const T& b) {
    if constexpr (std::same_as<T, std::string_view>)
      return a.data() == b.data() && a.size() == b.size();
    else
      return std::memcmp(&a, &b, sizeof a) == 0;
  }

  bool uses_dictionary_;
  Source source_;
  std::vector<T> dense_;  // the page's values without its nulls
  Dictionary dictionary_;
  std::size_t values_ = 0;  // looked up in this row group
  Bounds<T> bounds_;
};

}  // namespace headpond::bronze
