package io.headpond.flink.bronze;

import com.fasterxml.jackson.databind.JsonNode;
import io.headpond.flink.Json;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * What a fold of the log up to a version knows, for whom its entries are gone: _headpond/checkpoints/VERSION.json of docs/formats/bronze.md.
 * Beside it stands the Delta checkpoint of that version, with the live files.
 */
public record LogCheckpoint(long version, TableClock clock, List<DeltaCommit.Column> schema) {
  public static final int FORMAT = 1;

  /** The folder of all of them. */
  public static String folder(String tableRoot) {
    return tableRoot + "/_headpond/checkpoints/";
  }

  public static String path(String tableRoot, long version) {
    return "%s%020d.json".formatted(folder(tableRoot), version);
  }

  public static String filesPath(String tableRoot, long version) {
    return "%s/_delta_log/%020d.checkpoint.parquet".formatted(tableRoot, version);
  }

  /** Throws IllegalArgumentException with what is wrong and what to do. */
  public static LogCheckpoint parse(byte[] text, String name) {
    JsonNode json = Json.parse(new String(text, StandardCharsets.UTF_8), name);
    int format = Json.need(json, "format", name).asInt();
    if (format > FORMAT) {
      throw new IllegalArgumentException(
          name + ": written in checkpoint format " + format + ", this Headpond reads up to " + FORMAT + "; install Headpond "
              + json.path("needs").asText("the version that wrote it") + " or later");
    }
    DeltaCommit.checkProtocol(Json.need(json, "protocol", name), name);
    List<DeltaCommit.Column> schema = DeltaCommit.columns(Json.need(json, "metaData", name), name);
    try {
      return new LogCheckpoint(json.required("version").longValue(), TableClock.fromCheckpoint(json.required("table")), schema);
    } catch (RuntimeException e) {
      throw new IllegalArgumentException(name + ": cannot be read (" + e.getMessage() + "); restore it from a copy", e);
    }
  }
}
