#include "decode/row_cells.h"

namespace headpond::decode {

base::Result<void> RowCells::prepare(const Field& ts, const std::vector<Field>& fields, Options options) {
  if (options.patterns_of_all) severity_for_pattern_ = INT64_MIN;
  fields_ = fields;
  ts_slot_ = static_cast<std::uint16_t>(fields.size());
  best_.resize(fields.size() + 2);
  for (std::size_t i = 0; i < fields.size(); ++i) {
    TRY_VOID(check_default(fields[i]));
    if (fields[i].name == "severity_number" && (fields[i].type == columns::Type::kInt32 || fields[i].type == columns::Type::kInt64))
      severity_slot_ = static_cast<std::uint16_t>(i);
  }
  TRY_VOID(check_sources(ts));
  for (const auto& field : fields) TRY_VOID(check_sources(field));
  return {};
}

base::Result<void> RowCells::check_sources(const Field& field) {
  if (field.from.size() <= kSourcesMax) return {};
  return base::fail(base::ErrorKind::kInvalid, "column " + field.name + ": more than " + std::to_string(kSourcesMax) + " places in `from`");
}

base::Result<void> RowCells::check_default(const Field& field) {
  if (!field.default_value) return {};
  columns::Column probe;
  probe.type = field.type;
  probe.valid.resize(1);
  probe.ints.resize(1);
  probe.doubles.resize(1);
  probe.strings.resize(1);
  if (set_cell(probe, 0, default_scalar(field), times_)) return {};
  return base::fail(base::ErrorKind::kInvalid,
                    "column " + field.name + ": the default '" + *field.default_value + "' does not fit its type");
}

}  // namespace headpond::decode
