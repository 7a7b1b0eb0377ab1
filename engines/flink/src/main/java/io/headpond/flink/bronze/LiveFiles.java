package io.headpond.flink.bronze;

import com.fasterxml.jackson.databind.JsonNode;
import io.headpond.flink.Json;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Properties;
import org.duckdb.DuckDBDriver;

/** The files of a Delta checkpoint (Parquet, one part). */
public final class LiveFiles {
  /** Of a file without statistics: before all others. */
  public static final long NOT_KNOWN = Long.MIN_VALUE;

  /** @param firstArrivalUs of its rows */
  public record LiveFile(DeltaCommit.DataFile file, long firstArrivalUs) {}

  private LiveFiles() {}

  /** Those that hold rows of versions beyond `after`, by their first arrival. Throws IllegalArgumentException with what is wrong and what to do. */
  public static List<LiveFile> beyond(Path checkpoint, long after, String name) throws SQLException {
    String path = checkpoint.toString().replace("'", "''");
    String sql = "SELECT add.path, add.size, add.stats, map_extract(add.tags, 'headpond.versions')[1] FROM read_parquet('" + path + "') WHERE add IS NOT NULL";
    List<LiveFile> out = new ArrayList<>();
    try (Connection database = new DuckDBDriver().connect("jdbc:duckdb:", new Properties()); Statement statement = database.createStatement()) {
      statement.execute("SET threads=1");
      statement.execute("SET memory_limit='128MB'");
      try (ResultSet rows = statement.executeQuery(sql)) {
        while (rows.next()) {
          if (lastVersion(rows.getString(4), rows.getString(1), name) > after) out.add(file(rows.getString(1), rows.getLong(2), rows.getString(3), name));
        }
      }
    }
    out.sort(Comparator.comparingLong(LiveFile::firstArrivalUs));
    return out;
  }

  private static long lastVersion(String versions, String file, String name) {
    if (versions != null && versions.matches("\\d+-\\d+")) return Long.parseLong(versions.substring(versions.indexOf('-') + 1));
    throw new IllegalArgumentException(name + ": file " + file + " has no tag headpond.versions; restore the checkpoint from a copy");
  }

  private static LiveFile file(String path, long bytes, String stats, String name) {
    JsonNode known = stats == null ? Json.object() : Json.parse(stats, name + ": stats of " + path);
    JsonNode first = known.path("minValues").path("arrival");
    long firstUs = first.isTextual() ? ChronoUnit.MICROS.between(Instant.EPOCH, Instant.parse(first.asText())) : NOT_KNOWN;
    return new LiveFile(new DeltaCommit.DataFile(DeltaCommit.unescaped(path), bytes, known.path("numRecords").asLong()), firstUs);
  }
}
