#include "delta/upload.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace headpond::delta {

base::Result<AddFile> upload_file(Table& table, const std::string& local_path, const std::string& relative_path,
                                  PartitionValues partition_values, std::int64_t rows, std::int64_t now_ms) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(local_path.c_str(), "rb"), std::fclose);
  if (!file) return base::fail(base::ErrorKind::kInvalid, "cannot read " + local_path + ": " + std::strerror(errno));
  TRY(auto stream, table.store().open_write(table.path(relative_path)));
  AddFile add{.path = relative_path,
              .partition_values = std::move(partition_values),
              .size = 0,
              .modification_ms = now_ms,
              .data_change = true,
              .stats = "{\"numRecords\":" + std::to_string(rows) + "}",
              .tags = {}};
  std::string buffer(1 << 20, '\0');
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
    TRY_VOID(stream->append(std::string_view(buffer).substr(0, n)));
    add.size += static_cast<std::int64_t>(n);
  }
  if (std::ferror(file.get())) return base::fail(base::ErrorKind::kInvalid, "cannot read " + local_path + ": " + std::strerror(errno));
  TRY_VOID(stream->close());
  return add;
}

}  // namespace headpond::delta
