#include "notify/receipts.h"

#include <cstdio>

#include "notify/json_codec.h"

namespace headpond::notify {
namespace {

constexpr int kFormat = 1;

ReceiptStatus parse_status(const std::string& text) {
  for (const auto status : {ReceiptStatus::kDelivered, ReceiptStatus::kSuperseded, ReceiptStatus::kRecorded, ReceiptStatus::kSettled,
                            ReceiptStatus::kConfirmed, ReceiptStatus::kSummarised, ReceiptStatus::kDead}) {
    if (text == to_string(status)) return status;
  }
  throw std::invalid_argument("unknown status '" + text + "'");
}

std::optional<ReceiptPlace> place_of(std::string_view name) {
  ReceiptPlace place;
  long long epoch = 0, number = 0;
  char end = 0;
  if (std::sscanf(std::string(name).c_str(), "%8lld-%10lld.json%c", &epoch, &number, &end) != 2) return std::nullopt;
  place.epoch = epoch;
  place.number = number;
  return place;
}

}  // namespace

std::string_view to_string(ReceiptStatus status) {
  switch (status) {
    case ReceiptStatus::kDelivered: return "delivered";
    case ReceiptStatus::kSuperseded: return "superseded";
    case ReceiptStatus::kRecorded: return "recorded";
    case ReceiptStatus::kSettled: return "settled";
    case ReceiptStatus::kConfirmed: return "confirmed";
    case ReceiptStatus::kSummarised: return "summarised";
    case ReceiptStatus::kDead: return "dead";
  }
  return "?";
}

std::optional<std::int64_t> Receipt::event_to_page_ms() const {
  if (status != ReceiptStatus::kDelivered) return std::nullopt;
  return (at - transition.boundary).value() / 1000;
}

std::string receipt_path(const std::string& pages_root, ReceiptPlace place) {
  char name[48];
  std::snprintf(name, sizeof name, "%08lld-%010lld.json", static_cast<long long>(place.epoch), static_cast<long long>(place.number));
  return pages_root + "/_receipts/" + name;
}

std::string serialize(const std::vector<Receipt>& receipts) {
  Json array = Json::array();
  for (const auto& receipt : receipts) {
    array.push_back({{"target", receipt.target},
                     {"status", to_string(receipt.status)},
                     {"at", receipt.at.value()},
                     {"attempts", receipt.attempts},
                     {"detail", receipt.detail},
                     {"dedup_key", receipt.dedup_key},
                     {"transition", encode(receipt.transition)}});
  }
  return Json{{"format", kFormat}, {"receipts", std::move(array)}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

base::Result<std::vector<Receipt>> parse_receipts(std::string_view text, std::string_view name) {
  try {
    const Json json = Json::parse(text);
    const int format = json.at("format");
    if (format > kFormat) {
      return base::fail(base::ErrorKind::kInvalid,
                        std::string(name) + ": written in format " + std::to_string(format) + "; install a newer headpond");
    }
    std::vector<Receipt> receipts;
    for (const auto& entry : json.at("receipts")) {
      receipts.push_back({decode(entry.at("transition")), entry.at("target"), parse_status(entry.at("status")),
                          base::Micros(entry.at("at").get<std::int64_t>()), entry.at("attempts"), entry.at("detail"),
                          entry.at("dedup_key")});
    }
    return receipts;
  } catch (const std::exception& e) {
    return base::fail(base::ErrorKind::kCorrupt, std::string(name) + " is not an object of receipts (" + e.what() + "); move it away");
  }
}

base::Result<std::vector<ReceiptObject>> read_receipts(env::ObjectStore& objects, const std::string& pages_root, ReceiptPlace after,
                                                       std::size_t limit) {
  const std::string folder = pages_root + "/_receipts/";
  TRY(const auto listed, objects.list(folder, after.epoch == 0 ? "" : receipt_path(pages_root, after), limit));
  std::vector<ReceiptObject> result;
  for (const auto& object : listed) {
    const auto place = place_of(std::string_view(object.path).substr(folder.size()));
    if (!place) continue;
    TRY(const std::string text, objects.get(object.path));
    TRY(auto receipts, parse_receipts(text, object.path));
    result.push_back({*place, std::move(receipts)});
  }
  return result;
}

}  // namespace headpond::notify
