#include "notify/pages_table.h"

#include <cmath>
#include <filesystem>

#include "base/time.h"
#include "delta/upload.h"
#include "notify/codec.h"
#include "notify/json_codec.h"

namespace headpond::notify {
namespace {

using rules::Transition;

constexpr const char* kAppId = "headpond-pages";
constexpr std::size_t kObjectsAtATime = 200;

delta::Metadata metadata_of(env::Random& random, std::int64_t now_ms) {
  delta::Metadata metadata;
  metadata.id = delta::make_uuid(random.next(), random.next());
  metadata.name = "pages";
  metadata.schema = {{"generation", "long"},      {"rule", "string"},       {"key", "string"},         {"seq", "long"},
                     {"kind", "string"},          {"announced", "boolean"}, {"boundary", "timestamp"}, {"began_at", "timestamp"},
                     {"value", "double"},         {"version", "long"},      {"labels", "string"},      {"annotations", "string"},
                     {"incomplete", "string"},    {"evidence", "string"},   {"target", "string"},      {"status", "string"},
                     {"sent_at", "timestamp"},    {"attempts", "integer"},  {"detail", "string"},      {"dedup_key", "string"},
                     {"event_to_page_ms", "long"}};
  metadata.created_ms = now_ms;
  return metadata;
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string evidence_of(const Transition& t) {
  return dump({{"window", base::format_duration(t.window)},
               {"versions", {t.evidence_first.value(), t.evidence_last.value()}},
               {"samples", t.samples},
               {"sql", t.sql}});
}

std::string timestamp(base::Micros t) {
  return "make_timestamp(" + std::to_string(t.value()) + ")::TIMESTAMPTZ";
}

std::string number(double value) {
  if (std::isnan(value)) return "'nan'::DOUBLE";
  if (std::isinf(value)) return value > 0 ? "'infinity'::DOUBLE" : "'-infinity'::DOUBLE";
  char text[40];
  std::snprintf(text, sizeof text, "%.17e", value);
  return text;
}

std::string row_of(const Receipt& receipt) {
  const Transition& t = receipt.transition;
  const auto text = [](const std::string& s) { return sql::quote_literal(s); };
  const auto delay = receipt.event_to_page_ms();
  return "(" + std::to_string(t.id.generation) + "," + text(t.id.rule) + "," + text(t.id.key) + "," + std::to_string(t.id.seq) + "," +
         text(std::string(to_string(t.kind))) + "," + (t.announced ? "true" : "false") + "," + timestamp(t.boundary) + "," +
         timestamp(t.began_at) + "," + number(t.value) + "," + std::to_string(t.version.value()) + "," + text(dump(t.labels)) + "," +
         text(dump(t.annotations)) + "," + text(dump(t.incomplete)) + "," + text(evidence_of(t)) + "," + text(receipt.target) + "," +
         text(std::string(to_string(receipt.status))) + "," + timestamp(receipt.at) + "," + std::to_string(receipt.attempts) + "," +
         text(receipt.detail) + "," + text(receipt.dedup_key) + "," + (delay ? std::to_string(*delay) : "NULL") + ")";
}

constexpr const char* kSelect =
    "SELECT generation::BIGINT AS generation, rule, key, seq::BIGINT AS seq, kind, announced, boundary, began_at, value::DOUBLE AS value, "
    "version::BIGINT AS version, labels, annotations, incomplete, evidence, target, status, sent_at, attempts::INTEGER AS attempts, "
    "detail, "
    "dedup_key, event_to_page_ms::BIGINT AS event_to_page_ms FROM (VALUES ";
constexpr const char* kNames =
    ") t(generation, rule, key, seq, kind, announced, boundary, began_at, value, version, labels, annotations, incomplete, evidence, "
    "target, "
    "status, sent_at, attempts, detail, dedup_key, event_to_page_ms)";

}  // namespace

PagesTable::PagesTable(env::ObjectStore& lake, std::string pages_root, std::string local_directory, env::Clock& clock, env::Random& random)
    : lake_(lake), table_(lake, std::move(pages_root)), local_directory_(std::move(local_directory)), clock_(clock), random_(random) {}

base::Result<void> PagesTable::prepare() {
  if (!sql_) {
    TRY(sql_, sql::Engine::open({.threads = 1, .memory_bytes = 128ll << 20, .spill_directory = ""}));
  }
  if (!snapshot_) {
    const std::int64_t now_ms = clock_.now().value() / 1000;
    TRY(snapshot_, delta::open_or_create(table_, metadata_of(random_, now_ms), now_ms));
  }
  return {};
}

base::Result<delta::AddFile> PagesTable::make_file(const std::vector<ReceiptObject>& objects) {
  std::string values;
  std::int64_t rows = 0;
  for (const auto& object : objects) {
    for (const auto& receipt : object.receipts) {
      values += (rows++ == 0 ? "" : ",") + row_of(receipt);
    }
  }
  const std::string local = local_directory_ + "/pages.parquet";
  TRY_VOID(sql_->query("COPY (" + std::string(kSelect) + values + kNames + ") TO " + sql::quote_literal(local) +
                       " (FORMAT parquet, COMPRESSION zstd)"));
  const std::string name = "part-" + delta::make_uuid(random_.next(), random_.next()) + ".parquet";
  auto add = delta::upload_file(table_, local, name, {}, rows, clock_.now().value() / 1000);
  std::error_code ignored;
  std::filesystem::remove(local, ignored);
  return add;
}

base::Result<bool> PagesTable::write() {
  TRY_VOID(prepare());
  const auto reached = snapshot_->txns.find(kAppId);
  const ReceiptPlace after = reached == snapshot_->txns.end() ? ReceiptPlace{} : ReceiptPlace::of(reached->second);
  TRY(const auto objects, read_receipts(lake_, table_.root(), after, kObjectsAtATime));
  if (objects.empty()) return false;
  delta::Commit commit;
  commit.timestamp_ms = clock_.now().value() / 1000;
  commit.operation = "WRITE";
  commit.blind_append = true;
  commit.headpond = R"({"format":1})";
  commit.txns = {{kAppId, objects.back().place.ordinal()}};
  TRY(auto add, make_file(objects));
  commit.adds.push_back(std::move(add));
  const auto put = table_.put(snapshot_->version.next(), commit);
  if (put) {
    TRY_VOID(delta::apply(*snapshot_, commit, table_.root()));
  } else if (put.error().kind == base::ErrorKind::kConflict || put.error().kind == base::ErrorKind::kUnknown) {
    // Ours by a lost reply, or another's: the transaction in the log says how far the table is.
    TRY_VOID(table_.refresh(*snapshot_));
    return true;
  } else {
    return std::unexpected(put.error());
  }
  return objects.size() == kObjectsAtATime;
}

}  // namespace headpond::notify
