package io.headpond.flink.source;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.headpond.flink.Json;
import io.headpond.flink.bronze.DeltaCommit;
import io.headpond.flink.bronze.SourcePartition;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.connector.source.SourceSplit;

/**
 * One reader's part of a version: perhaps no files, and always the step, which lets it go on. In a checkpoint a bundle only says which files
 * are not folded yet: `step` is null, and the enumerator sends it again.
 *
 * @param leader this reader tells the version's step to the stages behind
 * @param after of rows in `files` only those beyond these offsets count; partitions that are not named, in full
 */
public record Bundle(
    long version, Step step, boolean leader, List<DeltaCommit.DataFile> files, List<DeltaCommit.Column> columns, Map<SourcePartition, Long> after)
    implements SourceSplit {
  @Override
  public String splitId() {
    return Long.toString(version);
  }

  Bundle withoutStep() {
    return new Bundle(version, null, false, files, columns, after);
  }

  /** With what another holds of the same version. */
  Bundle joined(Bundle more) {
    List<DeltaCommit.DataFile> all = new ArrayList<>(files);
    all.addAll(more.files);
    return new Bundle(version, more.step != null ? more.step : step, leader || more.leader, all, more.columns, after.isEmpty() ? more.after : after);
  }

  ObjectNode toJson() {
    ObjectNode out = Json.object().put("version", version).put("leader", leader);
    if (step != null) out.set("step", step.toJson());
    out.set("files", filesJson(files));
    out.set("columns", columnsJson(columns));
    if (after.isEmpty()) return out;
    ArrayNode positions = out.putArray("after");
    after.forEach((partition, offset) -> positions.addArray().add(partition.source()).add(partition.partition()).add(offset));
    return out;
  }

  static Bundle fromJson(JsonNode json) {
    JsonNode step = json.get("step");
    Map<SourcePartition, Long> after = new TreeMap<>();
    json.path("after").forEach(p -> after.put(new SourcePartition(p.get(0).asText(), p.get(1).asInt()), p.get(2).asLong()));
    return new Bundle(
        json.get("version").asLong(), step == null ? null : Step.fromJson(step), json.get("leader").asBoolean(), files(json.get("files")), columns(json.get("columns")), after);
  }

  private static ArrayNode filesJson(List<DeltaCommit.DataFile> files) {
    ArrayNode out = Json.array();
    files.forEach(file -> out.addArray().add(file.path()).add(file.bytes()).add(file.rows()));
    return out;
  }

  private static List<DeltaCommit.DataFile> files(JsonNode json) {
    List<DeltaCommit.DataFile> out = new ArrayList<>();
    json.forEach(f -> out.add(new DeltaCommit.DataFile(f.get(0).asText(), f.get(1).asLong(), f.get(2).asLong())));
    return out;
  }

  static ArrayNode columnsJson(List<DeltaCommit.Column> columns) {
    ArrayNode out = Json.array();
    columns.forEach(column -> out.addArray().add(column.name()).add(column.type()));
    return out;
  }

  static List<DeltaCommit.Column> columns(JsonNode json) {
    List<DeltaCommit.Column> out = new ArrayList<>();
    json.forEach(c -> out.add(new DeltaCommit.Column(c.get(0).asText(), c.get(1).asText())));
    return out;
  }
}
