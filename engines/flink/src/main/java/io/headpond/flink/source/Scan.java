package io.headpond.flink.source;

import com.fasterxml.jackson.databind.JsonNode;
import io.headpond.flink.bronze.DeltaCommit.Column;
import io.headpond.flink.bronze.SourcePartition;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The relation that stands behind FROM when bronze files are read by DuckDB: bronze::scan_expression of src/bronze/view.cpp. */
final class Scan {
  private Scan() {}

  /** Of rows of partitions in `after` only those beyond its offset. */
  static String expression(List<Path> files, List<Column> columns, Map<SourcePartition, Long> after) {
    List<String> shown = new ArrayList<>(), empty = new ArrayList<>();
    for (Column column : columns) {
      String name = quoted(column.name(), '"');
      // A cast to TIMESTAMP would ask the time zone library about every row; the epoch is in UTC already.
      shown.add(column.type().equals("timestamp") ? "make_timestamp(epoch_us(" + name + ")) AS " + name : name);
      empty.add("NULL::" + storedType(column.type()) + " AS " + name);
    }
    List<String> paths = files.stream().map(path -> quoted(path.toString(), '\'')).toList();
    return "(SELECT " + String.join(", ", shown) + " FROM (SELECT * FROM (SELECT " + String.join(", ", empty) + ") WHERE false UNION ALL BY NAME SELECT * FROM read_parquet(["
        + String.join(", ", paths) + "], hive_partitioning=true, hive_types={'ingest_date': DATE}, union_by_name=true))" + beyond(after) + ")";
  }

  private static String beyond(Map<SourcePartition, Long> after) {
    if (after.isEmpty()) return "";
    List<String> rows = new ArrayList<>();
    after.forEach((p, offset) -> rows.add("(" + quoted(p.source(), '\'') + ", " + p.partition() + ", " + offset + ")"));
    return " AS bronze WHERE NOT EXISTS (SELECT 1 FROM (VALUES " + String.join(", ", rows)
        + ") AS had(of_source, of_partition, upto) WHERE of_source = bronze.source AND of_partition = bronze.kafka_partition AND bronze.kafka_offset <= upto)";
  }

  private static String quoted(String text, char quote) {
    String q = String.valueOf(quote);
    return q + text.replace(q, q + q) + q;
  }

  private static String storedType(String delta) {
    return switch (delta) {
      case "string" -> "VARCHAR";
      case "long" -> "BIGINT";
      case "integer" -> "INTEGER";
      case "double" -> "DOUBLE";
      case "boolean" -> "BOOLEAN";
      case "timestamp" -> "TIMESTAMP WITH TIME ZONE";
      case "date" -> "DATE";
      case "binary" -> "BLOB";
      default -> delta;
    };
  }

  /** The table's columns, and those the rules name but this table does not have yet: null in every row. */
  static List<Column> withColumnsOf(JsonNode program, List<Column> table) {
    Map<String, String> missing = new LinkedHashMap<>();
    for (JsonNode fold : program.path("folds")) {
      for (JsonNode column : fold.path("by")) missing.put(column.path("name").asText(), deltaType(column.path("type").asText()));
      for (JsonNode measure : fold.path("measures")) addColumns(measure.path("predicate"), missing);
    }
    table.forEach(column -> missing.remove(column.name()));
    List<Column> all = new ArrayList<>(table);
    missing.forEach((name, type) -> all.add(new Column(name, type)));
    return all;
  }

  private static void addColumns(JsonNode predicate, Map<String, String> out) {
    if (predicate.has("column")) out.putIfAbsent(predicate.get("column").asText(), typeOf(predicate));
    if (predicate.has("other_column")) out.putIfAbsent(predicate.get("other_column").asText(), typeOf(predicate));
    predicate.path("children").forEach(child -> addColumns(child, out));
  }

  /** What a column must be for this predicate to bind. */
  private static String typeOf(JsonNode predicate) {
    if (predicate.path("kind").asText().equals("truth")) return "boolean";
    JsonNode literal = predicate.path("literals").path(0);
    if (literal.isIntegralNumber()) return "long";
    if (literal.isNumber()) return "double";
    return literal.isBoolean() ? "boolean" : "string";
  }

  private static String deltaType(String ruleType) {
    return switch (ruleType) {
      case "int32" -> "integer";
      case "int64" -> "long";
      case "bool" -> "boolean";
      default -> ruleType;
    };
  }
}
