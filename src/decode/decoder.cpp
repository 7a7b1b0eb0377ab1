#include "decode/decoder.h"

#include "decode/json_decoder.h"
#include "decode/otlp_decoder.h"
#include "decode/row_cells.h"

namespace headpond::decode {
namespace {

class RawDecoder final : public Decoder {
 public:
  base::Result<void> prepare(const Field& ts, const std::vector<Field>& fields) { return cells_.prepare(ts, fields, {}); }
  Decoded decode(columns::Batch& batch, const columns::Batch::Row& row) override {
    cells_.begin(batch, row.index);
    return cells_.finish();
  }

 private:
  RowCells cells_;
};

base::Result<std::unique_ptr<Decoder>> open_raw(const Field& ts, const std::vector<Field>& fields) {
  auto decoder = std::make_unique<RawDecoder>();
  TRY_VOID(decoder->prepare(ts, fields));
  return decoder;
}

}  // namespace

Decoded Decoder::decode_next(columns::Batch&, std::size_t) {
  HP_ASSERT(false);  // more() was false
}

void Decoder::move_to(columns::Batch&, std::string_view) {
  HP_ASSERT(false);
}

base::Result<std::unique_ptr<Decoder>> Decoder::open(Encoding encoding, const Field& ts, const std::vector<Field>& fields,
                                                     Options options) {
  switch (encoding) {
    case Encoding::kJson: return open_json(ts, fields, options);
    case Encoding::kRaw: return open_raw(ts, fields);
    case Encoding::kOtlpProto: return open_otlp_proto(ts, fields, options);
    case Encoding::kOtlpJson: return open_otlp_json(ts, fields, options);
  }
  HP_ASSERT(false);
}

std::vector<columns::ColumnSpec> extra_columns(Encoding encoding, Options options) {
  if (encoding == Encoding::kJson && options.rest) return {{"rest", columns::Type::kString, true}};
  if (encoding != Encoding::kOtlpProto && encoding != Encoding::kOtlpJson) return {};
  return {
      {"resource", columns::Type::kString, true}, {"scope", columns::Type::kString, true}, {"attributes", columns::Type::kString, true}};
}

}  // namespace headpond::decode
