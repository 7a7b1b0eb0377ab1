package io.headpond.flink.source;

import io.headpond.flink.Refusal;
import io.headpond.flink.bronze.LiveFiles;
import io.headpond.flink.bronze.LogCheckpoint;
import io.headpond.flink.lake.ObjectStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/** Where a reader of bronze goes on when entries of the log were deleted: docs/formats/bronze.md, "Reading a cleaned log". Threads: one at a time. */
final class CleanedLog {
  private static final int LISTED_MAX = 10_000;

  private final ObjectStore lake;
  private final String bronze;

  CleanedLog(ObjectStore lake, String bronze) {
    this.lake = lake;
    this.bronze = bronze;
  }

  /** The newest checkpoint that is not beyond `limit`. */
  Optional<LogCheckpoint> upTo(long limit) throws IOException {
    OptionalLong newest = versions().stream().mapToLong(v -> v).filter(v -> v <= limit).max();
    return newest.isPresent() ? read(newest.getAsLong()) : Optional.empty();
  }

  /** How to go on behind version `after` though `missing` is not there. Empty: older entries are, so it was lost, not cleaned. */
  Optional<Gap> behind(long after, long missing) throws IOException {
    OptionalLong oldest = oldestEntry();
    if (oldest.isEmpty() || oldest.getAsLong() < missing) return Optional.empty();
    OptionalLong to = versions().stream().mapToLong(v -> v).filter(v -> v > after && v >= oldest.getAsLong() - 1).min();
    if (to.isEmpty()) return Optional.empty();
    Optional<LogCheckpoint> checkpoint = read(to.getAsLong());
    if (checkpoint.isEmpty()) throw new IOException(LogCheckpoint.path(bronze, to.getAsLong()) + " was removed this moment");
    return Optional.of(new Gap(checkpoint.get(), after, files(to.getAsLong(), after)));
  }

  private List<Long> versions() throws IOException {
    return lake.list(LogCheckpoint.folder(bronze), "", LISTED_MAX).stream().filter(path -> path.matches(".*/\\d{20}\\.json")).map(CleanedLog::version).toList();
  }

  private OptionalLong oldestEntry() throws IOException {
    List<String> listed = lake.list(bronze + "/_delta_log/", bronze + "/_delta_log/0", 1000);
    return listed.stream().filter(path -> path.matches(".*/\\d{20}\\.json")).mapToLong(CleanedLog::version).min();
  }

  private static long version(String path) {
    return Long.parseLong(path.substring(path.lastIndexOf('/') + 1, path.length() - ".json".length()));
  }

  private Optional<LogCheckpoint> read(long version) throws IOException {
    String path = LogCheckpoint.path(bronze, version);
    Optional<byte[]> text = lake.get(path);
    try {
      return text.map(bytes -> LogCheckpoint.parse(bytes, path));
    } catch (IllegalArgumentException e) {
      throw Refusal.of(e.getMessage());
    }
  }

  private List<LiveFiles.LiveFile> files(long version, long after) throws IOException {
    String path = LogCheckpoint.filesPath(bronze, version);
    Path folder = Files.createTempDirectory("headpond-log-"), local = folder.resolve("checkpoint.parquet");
    try {
      lake.download(path, local);
      return LiveFiles.beyond(local, after, path);
    } catch (IllegalArgumentException e) {
      throw Refusal.of(e.getMessage());
    } catch (SQLException e) {
      throw Refusal.of(path + ": cannot be read (" + e.getMessage() + "); restore it from a copy");
    } finally {
      Files.deleteIfExists(local);
      Files.delete(folder);
    }
  }

}
