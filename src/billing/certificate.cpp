#include "billing/certificate.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/time.h"

namespace headpond::billing {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kNeeds = "0.1.0";  // the oldest Headpond that reads either format

std::uint64_t from_hex(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || text.size() != 16 || end != text.data() + text.size())
    throw std::invalid_argument("a fingerprint is \"" + text + "\"");
  return value;
}

base::Micros day_of(const Json& text) {
  const auto day = base::parse_day(text.get<std::string>());
  if (!day) throw std::invalid_argument("a day is \"" + text.get<std::string>() + "\"");
  return *day;
}

Json amounts_json(const PartitionDay& part) {
  return {{"events", part.amounts.events},          {"bytes", part.amounts.bytes},
          {"errors", part.amounts.errors},          {"gaps", part.gaps},
          {"fingerprint", hex16(part.fingerprint)}, {"payload_fingerprint", hex16(part.payload_fingerprint)}};
}

Json optional_text(const std::optional<std::string>& text) {
  return text ? Json(*text) : Json(nullptr);
}

std::optional<std::string> optional_text(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional(json.get<std::string>());
}

Json rates_json(const std::vector<Rate>& rates) {
  auto out = Json::array();
  for (const auto& r : rates) {
    out.push_back({{"tenant", optional_text(r.tenant)},
                   {"item", r.item},
                   {"tier", r.tier},
                   {"lower", r.lower},
                   {"upper", optional_text(r.upper)},
                   {"price", r.price},
                   {"currency", r.currency}});
  }
  return out;
}

PartitionDay partition_of(const Json& json) {
  PartitionDay part;
  part.first = base::Offset(json.at("first").get<std::int64_t>());
  part.last = base::Offset(json.at("last").get<std::int64_t>());
  part.amounts = {json.at("events").get<std::int64_t>(), json.at("bytes").get<std::int64_t>(), json.at("errors").get<std::int64_t>()};
  part.gaps = json.at("gaps").get<std::int64_t>();
  part.fingerprint = from_hex(json.at("fingerprint").get<std::string>());
  part.payload_fingerprint = from_hex(json.at("payload_fingerprint").get<std::string>());
  return part;
}

Certificate certificate_of(const Json& json) {
  Certificate c;
  c.topology = json.at("topology").get<std::string>();
  c.branch = json.at("branch").get<std::string>();
  c.table_id = json.at("table_id").get<std::string>();
  c.day = day_of(json.at("day"));
  c.broker_clock = json.at("clock").get<std::string>() == "broker";
  for (const auto& p : json.at("partitions")) {
    c.partitions[{p.at("source").get<std::string>(), base::PartitionId(p.at("partition").get<std::int32_t>())}] = partition_of(p);
  }
  const auto peak = base::parse_rfc3339(json.at("peak").at("second").get<std::string>());
  if (!peak) throw std::invalid_argument("the peak's second is no time");
  c.peak_second = peak->value() / base::kSecond.value();
  c.peak_second_events = json.at("peak").at("events").get<std::int64_t>();
  for (const auto& r : json.at("rates")) {
    c.rates.push_back({optional_text(r.at("tenant")), r.at("item").get<std::string>(), r.at("tier").get<int>(),
                       r.at("lower").get<std::string>(), optional_text(r.at("upper")), r.at("price").get<std::string>(),
                       r.at("currency").get<std::string>()});
  }
  for (const auto& [name, t] : json.at("tables").items())
    c.tables[name] = {t.at("rows").get<std::int64_t>(), t.at("fingerprint").get<std::string>()};
  if (const auto e = json.find("engine"); e != json.end())
    c.engine = MadeBy{e->at("name").get<std::string>(), e->at("versions").get<std::string>()};
  c.report_layout = json.at("report_layout").get<int>();
  for (const auto& [path, hash] : json.at("outputs").items()) c.outputs[path] = hash.get<std::string>();
  const auto& bill = json.at("bill");
  c.currency = bill.at("currency").get<std::string>();
  c.total = bill.at("total").get<std::string>();
  c.lines = bill.at("lines").get<std::int64_t>();
  c.tenants = bill.at("tenants").get<std::int64_t>();
  for (const auto& t : bill.at("top")) c.top.emplace_back(t.at("tenant").get<std::string>(), t.at("amount").get<std::string>());
  if (const auto& p = json.at("previous"); !p.is_null())
    c.previous = CertificateLink{day_of(p.at("day")), p.at("sha256").get<std::string>()};
  return c;
}

}  // namespace

PartitionDay Certificate::totals() const {
  PartitionDay sum;
  for (const auto& [name, part] : partitions) {
    sum.amounts.events += part.amounts.events;
    sum.amounts.bytes += part.amounts.bytes;
    sum.amounts.errors += part.amounts.errors;
    sum.gaps += part.gaps;
    sum.fingerprint += part.fingerprint;
    sum.payload_fingerprint += part.payload_fingerprint;
  }
  return sum;
}

std::string to_json(const Certificate& c) {
  Json out = {{"format", c.engine ? kFormatWithEngine : kFormat},
              {"needs", kNeeds},
              {"topology", c.topology},
              {"branch", c.branch},
              {"table_id", c.table_id},
              {"day", base::format_day(c.day)},
              {"clock", c.broker_clock ? "broker" : "ingest"}};
  Json bill = {{"currency", c.currency}, {"total", c.total}, {"lines", c.lines}, {"tenants", c.tenants}, {"top", Json::array()}};
  for (const auto& [tenant, amount] : c.top) bill["top"].push_back({{"tenant", tenant}, {"amount", amount}});
  out["bill"] = std::move(bill);
  out["totals"] = amounts_json(c.totals());
  out["partitions"] = Json::array();
  for (const auto& [name, part] : c.partitions) {
    Json p = {{"source", name.source}, {"partition", name.partition.value()}, {"first", part.first.value()}, {"last", part.last.value()}};
    p.update(amounts_json(part));
    out["partitions"].push_back(std::move(p));
  }
  out["peak"] = {{"second", base::format_rfc3339(base::Micros(c.peak_second * base::kSecond.value()))}, {"events", c.peak_second_events}};
  out["rates"] = rates_json(c.rates);
  out["tables"] = Json::object();
  for (const auto& [name, content] : c.tables) out["tables"][name] = {{"rows", content.rows}, {"fingerprint", content.fingerprint}};
  if (c.engine) out["engine"] = {{"name", c.engine->name}, {"versions", c.engine->versions}};
  out["report_layout"] = c.report_layout;
  out["outputs"] = Json::object();
  for (const auto& [path, hash] : c.outputs) out["outputs"][path] = hash;
  out["previous"] = c.previous ? Json({{"day", base::format_day(c.previous->day)}, {"sha256", c.previous->sha256}}) : Json(nullptr);
  // A tenant is whatever bytes a producer sent.
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

base::Result<Certificate> parse_certificate(std::string_view json, std::string_view name) {
  try {
    const auto parsed = Json::parse(json);
    if (const auto format = parsed.at("format").get<int>(); format > kFormatWithEngine) {
      return base::fail(base::ErrorKind::kInvalid, std::string(name) + " has format " + std::to_string(format) + ", this Headpond reads " +
                                                       std::to_string(kFormatWithEngine) + "; install " +
                                                       parsed.value("needs", std::string("a newer one")) + " or later");
    }
    return certificate_of(parsed);
  } catch (const std::exception& e) {
    return base::fail(base::ErrorKind::kCorrupt, std::string(name) + " is damaged: " + e.what());
  }
}

base::Result<std::map<base::SourcePartition, PartitionDay>> chained_ranges(const DayFacts& facts, const Certificate* previous) {
  auto ranges = facts.partitions;
  if (previous == nullptr) return ranges;
  for (const auto& [name, before] : previous->partitions) {
    const auto [it, empty] = ranges.try_emplace(name, PartitionDay{.first = before.last.next(), .last = before.last});
    if (!empty && it->second.first != before.last.next()) {
      return base::fail(base::ErrorKind::kCorrupt, name.source + " partition " + std::to_string(name.partition.value()) +
                                                       " begins at offset " + std::to_string(it->second.first.value()) +
                                                       ", but the certificate of " + base::format_day(previous->day) + " ends at " +
                                                       std::to_string(before.last.value()) +
                                                       "; run `headpond audit` and `headpond bill verify` on that day");
    }
  }
  return ranges;
}

}  // namespace headpond::billing
