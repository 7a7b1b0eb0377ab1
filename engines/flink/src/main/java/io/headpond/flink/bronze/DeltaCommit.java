package io.headpond.flink.bronze;

import com.fasterxml.jackson.databind.JsonNode;
import io.headpond.flink.Json;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * One entry of the bronze table's log. `files`: those that bring rows (a rewrite brings none). `schema`: the table's columns from here on;
 * null: unchanged.
 */
public record DeltaCommit(long version, CommitFacts facts, List<DataFile> files, List<Column> schema) {
  public record DataFile(String path, long bytes, long rows) {}

  public record Column(String name, String type) {}

  public static String logPath(String tableRoot, long version) {
    return "%s/_delta_log/%020d.json".formatted(tableRoot, version);
  }

  /** Throws IllegalArgumentException with what is wrong and what to do. */
  public static DeltaCommit parse(byte[] text, long version, String name) {
    JsonNode headpond = null, protocol = null, metadata = null;
    List<DataFile> files = new ArrayList<>();
    for (String line : new String(text, StandardCharsets.UTF_8).split("\n")) {
      if (line.isBlank()) continue;
      JsonNode action = Json.parse(line, name);
      if (action.has("commitInfo")) headpond = action.get("commitInfo").get("headpond");
      if (action.has("protocol")) protocol = action.get("protocol");
      if (action.has("metaData")) metadata = action.get("metaData");
      JsonNode add = action.get("add");
      if (add != null && add.path("dataChange").asBoolean()) files.add(dataFile(add, name));
    }
    if (protocol != null) checkProtocol(protocol, name);
    if (version == 0 && (protocol == null || metadata == null))
      throw new IllegalArgumentException(name + ": no protocol or no metaData; restore this log entry from a copy");
    if (headpond == null) {
      throw new IllegalArgumentException(
          name + ": another program committed to this table (no commitInfo.headpond); only `headpond ingest` may write it; run `headpond audit`"
              + " and restore the table to the version before");
    }
    return new DeltaCommit(version, CommitFacts.parse(headpond, name), files, metadata == null ? null : columns(metadata, name));
  }

  private static DataFile dataFile(JsonNode add, String name) {
    String path = Json.need(add, "path", name + ": an add").asText();
    long rows = add.hasNonNull("stats") ? Json.parse(add.get("stats").asText(), name + ": stats of " + path).path("numRecords").asLong() : 0;
    return new DataFile(unescaped(path), add.path("size").asLong(), rows);
  }

  /** The log percent-encodes what a URI may not hold. */
  static String unescaped(String path) {
    return path.indexOf('%') < 0 ? path : java.net.URI.create(path).getPath();
  }

  static void checkProtocol(JsonNode protocol, String name) {
    JsonNode features = protocol.path("writerFeatures");
    boolean ours = protocol.path("minReaderVersion").asInt() == 1 && protocol.path("minWriterVersion").asInt() == 7 && features.size() == 1
        && features.get(0).asText().equals("headpond");
    if (!ours) {
      throw new IllegalArgumentException(
          name + ": the table has protocol " + protocol + ", a bronze table has reader 1 / writer 7 with the feature headpond: it was not written"
              + " by this Headpond; point bronze.location at the table that it wrote, or install the Headpond that wrote this one");
    }
  }

  static List<Column> columns(JsonNode metadata, String name) {
    List<Column> out = new ArrayList<>();
    for (JsonNode field : Json.parse(Json.need(metadata, "schemaString", name).asText(), name + ": schemaString").path("fields"))
      out.add(new Column(field.get("name").asText(), field.get("type").asText()));
    return out;
  }
}
