package io.headpond.flink.bronze;

import com.fasterxml.jackson.databind.JsonNode;
import io.headpond.flink.Json;
import java.util.ArrayList;
import java.util.List;

/** What a bronze commit states about itself: commitInfo.headpond of docs/formats/bronze.md, as far as a reader needs it. */
public record CommitFacts(
    Topic topic, List<SourcePartition> partitions, List<Clock> clocks, List<Stalled> stalled, List<Range> ranges) {
  public static final int FORMAT = 1;

  /** Null where the commit names none. */
  public record Topic(String name, int generation) {
    public String source() {
      return name + "@" + generation;
    }
  }

  public record Clock(SourcePartition partition, long clockUs, long position) {}

  public record Stalled(SourcePartition partition, String reason) {}

  public record Range(SourcePartition partition, long first, long last) {}

  /** `name` is for messages. Throws IllegalArgumentException with what is wrong and what to do. */
  public static CommitFacts parse(JsonNode object, String name) {
    int format = Json.need(object, "format", name + ": commitInfo.headpond").asInt();
    if (format > FORMAT) {
      throw new IllegalArgumentException(
          name + ": written in bronze format " + format + ", this Headpond reads up to " + FORMAT + "; install Headpond "
              + object.path("needs").asText("the version that wrote it") + " or later");
    }
    try {
      return new CommitFacts(topic(object), partitions(object), clocks(object), stalled(object), ranges(object));
    } catch (RuntimeException e) {
      throw new IllegalArgumentException(
          name + ": commitInfo.headpond cannot be read (" + e.getMessage() + "); restore this log entry from a copy", e);
    }
  }

  private static Topic topic(JsonNode object) {
    JsonNode topic = object.get("topic");
    return topic == null ? null : new Topic(topic.required("name").asText(), topic.required("generation").asInt());
  }

  private static List<SourcePartition> partitions(JsonNode object) {
    List<SourcePartition> out = new ArrayList<>();
    object.path("partitions").fields().forEachRemaining(
        source -> source.getValue().forEach(id -> out.add(new SourcePartition(source.getKey(), integer(id)))));
    return out;
  }

  private interface Entry {
    void take(SourcePartition partition, JsonNode entry);
  }

  /** Calls `each` for {"source": [[partition, …], …]}. */
  private static void forEach(JsonNode object, String key, int size, Entry each) {
    object.path(key).fields().forEachRemaining(source -> source.getValue().forEach(entry -> {
      require(entry, size, key);
      each.take(new SourcePartition(source.getKey(), integer(entry.get(0))), entry);
    }));
  }

  private static void require(JsonNode entry, int size, String what) {
    if (!entry.isArray() || entry.size() != size) throw new IllegalArgumentException(what + " has another shape");
  }

  private static int integer(JsonNode node) {
    if (!node.isIntegralNumber()) throw new IllegalArgumentException("not a whole number: " + node);
    return node.intValue();
  }

  private static List<Clock> clocks(JsonNode object) {
    List<Clock> out = new ArrayList<>();
    forEach(object, "clocks", 3, (p, e) -> out.add(new Clock(p, e.get(1).longValue(), e.get(2).longValue())));
    return out;
  }

  private static List<Stalled> stalled(JsonNode object) {
    List<Stalled> out = new ArrayList<>();
    forEach(object, "stalled", 2, (p, e) -> out.add(new Stalled(p, e.get(1).asText())));
    return out;
  }

  private static List<Range> ranges(JsonNode object) {
    List<Range> out = new ArrayList<>();
    for (JsonNode batch : object.path("batches")) {
      String source = batch.required("source").asText();
      for (JsonNode range : batch.required("ranges")) {
        require(range, 10, "a range");
        out.add(new Range(new SourcePartition(source, integer(range.get(0))), range.get(2).longValue(), range.get(3).longValue()));
      }
    }
    return out;
  }
}
