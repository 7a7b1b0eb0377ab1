package io.headpond.flink.source;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.headpond.flink.Json;

/**
 * What every stage must know of a bronze version; computed once, by the enumerator.
 *
 * @param at its watermark (VersionTime)
 * @param fromUs running maximum of the smallest unstalled clock before this version; null: there was none yet
 * @param toUs the same behind it
 * @param incomplete JSON array of the stalled partitions, or null
 */
public record Step(long version, long at, Long fromUs, Long toUs, String incomplete, long rows) {
  public ObjectNode toJson() {
    return Json.object().put("version", version).put("at", at).put("from_us", fromUs).put("to_us", toUs).put("incomplete", incomplete).put("rows", rows);
  }

  public static Step fromJson(JsonNode json) {
    return new Step(
        json.get("version").asLong(), json.get("at").asLong(), optionalLong(json.get("from_us")), optionalLong(json.get("to_us")),
        json.get("incomplete").isNull() ? null : json.get("incomplete").asText(), json.get("rows").asLong());
  }

  static Long optionalLong(JsonNode node) {
    return node == null || node.isNull() ? null : node.asLong();
  }
}
