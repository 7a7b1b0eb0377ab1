package io.headpond.flink.source;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.headpond.flink.bronze.DeltaCommit.Column;
import io.headpond.flink.bronze.SourcePartition;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.duckdb.DuckDBDriver;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ScanTest {
  private static final List<Column> COLUMNS = List.of(new Column("source", "string"), new Column("kafka_partition", "integer"), new Column("kafka_offset", "long"));

  @TempDir Path directory;

  private List<String> rows(Map<SourcePartition, Long> after) throws Exception {
    try (Connection database = new DuckDBDriver().connect("jdbc:duckdb:", new Properties()); Statement statement = database.createStatement()) {
      Path file = Files.createDirectories(directory.resolve("ingest_date=2026-11-18")).resolve("1.parquet");
      statement.execute(
          "COPY (SELECT s AS source, p::INTEGER AS kafka_partition, o AS kafka_offset FROM (VALUES ('a@0'), ('it''s@1')) AS v(s), range(2) AS q(p), range(3) AS r(o)) TO '"
              + file + "' (FORMAT parquet)");
      List<String> out = new ArrayList<>();
      String sql = "SELECT source || '/' || kafka_partition || '/' || kafka_offset FROM " + Scan.expression(List.of(file), COLUMNS, after) + " ORDER BY 1";
      try (ResultSet result = statement.executeQuery(sql)) {
        while (result.next()) out.add(result.getString(1));
      }
      return out;
    }
  }

  @Test
  void withoutPositionsEveryRowCounts() throws Exception {
    assertEquals(12, rows(Map.of()).size());
  }

  @Test
  void ofAPartitionThatIsKnownOnlyRowsBehindItsPositionCount() throws Exception {
    Map<SourcePartition, Long> after =
        Map.of(new SourcePartition("a@0", 0), 1L, new SourcePartition("a@0", 1), -1L, new SourcePartition("it's@1", 1), 7L);
    assertEquals(List.of("a@0/0/2", "a@0/1/0", "a@0/1/1", "a@0/1/2", "it's@1/0/0", "it's@1/0/1", "it's@1/0/2"), rows(after));
  }
}
