package io.headpond.flink.bronze;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.headpond.flink.Json;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;

/**
 * The fold of all facts up to a version: "Time" of docs/formats/bronze.md, as src/bronze/table_clock.cpp has it.
 *
 * <p>Threads: one at a time.
 */
public final class TableClock {
  /** One partition's state of affairs. */
  public static final class State {
    boolean inForce = true;
    long position = -1;
    Long clockUs; // null: holds the minimum
    String stalled; // the reason; null: it is not

    public boolean inForce() {
      return inForce;
    }

    public long position() {
      return position;
    }

    public Long clockUs() {
      return clockUs;
    }

    public String stalled() {
      return stalled;
    }
  }

  private final Map<SourcePartition, State> partitions = new TreeMap<>();
  private CommitFacts.Topic topic;

  public Map<SourcePartition, State> partitions() {
    return partitions;
  }

  public CommitFacts.Topic topic() {
    return topic;
  }

  /** The smallest clock of those in force that are not stalled. Empty: one has none yet, none is in force, or all are stalled. */
  public OptionalLong smallestUnstalled() {
    OptionalLong smallest = OptionalLong.empty();
    for (State state : partitions.values()) {
      if (!state.inForce || state.stalled != null) continue;
      if (state.clockUs == null) return OptionalLong.empty();
      if (smallest.isEmpty() || state.clockUs < smallest.getAsLong()) smallest = OptionalLong.of(state.clockUs);
    }
    return smallest;
  }

  /** Of those in force, as pages say it: "partition 7: no leader". */
  public List<String> stalled() {
    List<String> out = new ArrayList<>();
    partitions.forEach((partition, state) -> {
      if (state.inForce && state.stalled != null) out.add("partition " + partition.partition() + ": " + state.stalled);
    });
    return out;
  }

  /** Applies the next version. Throws IllegalStateException when it contradicts what was; discard the object then. */
  public void apply(CommitFacts facts) {
    namePartitions(facts);
    // Named first, so that what moves in this very version is not stalled.
    for (var stalled : facts.stalled()) known(stalled.partition(), "is stalled").stalled = stalled.reason();
    facts.ranges().forEach(this::applyRange);
    facts.clocks().forEach(this::applyClock);
  }

  private State known(SourcePartition partition, String what) {
    State state = partitions.get(partition);
    if (state == null) throw new IllegalStateException(partition + " " + what + " but was never named");
    return state;
  }

  private void namePartitions(CommitFacts facts) {
    if (facts.topic() != null) {
      if (topic != null && facts.topic().generation() < topic.generation())
        throw new IllegalStateException("generation goes back from " + topic.generation() + " to " + facts.topic().generation());
      topic = facts.topic();
    }
    // The partitions of the table's first naming have no clock; one that appears later starts with the smallest unstalled clock so far.
    OptionalLong start = partitions.isEmpty() ? OptionalLong.empty() : smallestUnstalled();
    Set<String> before = new HashSet<>(), named = new HashSet<>();
    partitions.keySet().forEach(partition -> before.add(partition.source()));
    for (SourcePartition partition : facts.partitions()) {
      if (topic != null && !partition.source().equals(topic.source()))
        throw new IllegalStateException(partition + " is not of the topic in force, " + topic.source());
      State state = new State();
      state.clockUs = start.isPresent() ? start.getAsLong() : null;
      if (partitions.putIfAbsent(partition, state) != null) throw new IllegalStateException(partition + " is named for the first time twice");
      named.add(partition.source());
    }
    if (before.containsAll(named)) return;
    partitions.forEach((partition, state) -> state.inForce = state.inForce && named.contains(partition.source()));
  }

  private void applyRange(CommitFacts.Range range) {
    State state = known(range.partition(), "has rows");
    if (!state.inForce) throw new IllegalStateException(range.partition() + " has rows but is of a generation no longer in force");
    if (range.first() != state.position + 1 || range.last() < range.first())
      throw new IllegalStateException(
          range.partition() + ": offsets " + range.first() + "-" + range.last() + " do not follow offset " + state.position);
    state.position = range.last();
    state.stalled = null;
  }

  private void applyClock(CommitFacts.Clock clock) {
    State state = known(clock.partition(), "has a clock");
    if (clock.position() != state.position)
      throw new IllegalStateException(
          clock.partition() + ": its clock was proven at offset " + clock.position() + ", the table is at " + state.position);
    if (state.clockUs != null && clock.clockUs() < state.clockUs)
      throw new IllegalStateException(clock.partition() + ": its clock goes back from " + state.clockUs + " to " + clock.clockUs());
    if (state.clockUs == null || state.clockUs != clock.clockUs()) state.stalled = null;
    state.clockUs = clock.clockUs();
  }

  public ObjectNode toJson() {
    ObjectNode out = Json.object();
    if (topic != null) out.putObject("topic").put("name", topic.name()).put("generation", topic.generation());
    ArrayNode list = out.putArray("partitions");
    partitions.forEach((partition, state) ->
        list.addArray().add(partition.source()).add(partition.partition()).add(state.inForce).add(state.position).add(state.clockUs).add(state.stalled));
    return out;
  }

  /** The member `table` of a checkpoint of the log. */
  public static TableClock fromCheckpoint(JsonNode table) {
    TableClock clock = new TableClock();
    for (JsonNode topic : table.path("topics")) clock.topic = new CommitFacts.Topic(topic.required("name").asText(), topic.required("generation").asInt());
    table.required("partitions").fields().forEachRemaining(source -> source.getValue().forEach(p -> {
      State state = new State();
      state.inForce = p.path("in_force").asBoolean(true);
      state.position = p.required("position").longValue();
      state.clockUs = p.has("clock") ? p.get("clock").longValue() : null;
      state.stalled = p.has("stalled") ? p.get("stalled").asText() : null;
      clock.partitions.put(new SourcePartition(source.getKey(), p.required("partition").intValue()), state);
    }));
    return clock;
  }

  /** Last covered offset of each partition. */
  public Map<SourcePartition, Long> positions() {
    Map<SourcePartition, Long> out = new TreeMap<>();
    partitions.forEach((partition, state) -> out.put(partition, state.position));
    return out;
  }

  public static TableClock fromJson(JsonNode json) {
    TableClock clock = new TableClock();
    JsonNode topic = json.get("topic");
    if (topic != null) clock.topic = new CommitFacts.Topic(topic.get("name").asText(), topic.get("generation").asInt());
    for (JsonNode p : json.get("partitions")) {
      State state = new State();
      state.inForce = p.get(2).asBoolean();
      state.position = p.get(3).asLong();
      state.clockUs = p.get(4).isNull() ? null : p.get(4).asLong();
      state.stalled = p.get(5).isNull() ? null : p.get(5).asText();
      clock.partitions.put(new SourcePartition(p.get(0).asText(), p.get(1).asInt()), state);
    }
    return clock;
  }
}
