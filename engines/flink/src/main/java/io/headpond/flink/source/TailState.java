package io.headpond.flink.source;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.headpond.flink.Json;
import io.headpond.flink.bronze.DeltaCommit;
import io.headpond.flink.bronze.TableClock;
import java.util.List;
import java.util.OptionalLong;
import java.util.TreeMap;

/**
 * How far the bronze log is read, and the steps that some reader may not have finished. It is the enumerator's state, whatever the
 * parallelism. Threads: one at a time.
 */
final class TailState {
  private static final int FORMAT = 1;

  final String program; // rules this state belongs to
  long next = 0; // version to read
  TableClock clock = new TableClock();
  List<DeltaCommit.Column> columns = List.of();
  Long smallestUs; // running maximum of the smallest unstalled clock; null: nothing settles yet
  long sinceRise = 0;
  JsonNode watch; // of PipelineWatch, as last stored; null: nothing yet
  final TreeMap<Long, Step> open = new TreeMap<>();

  TailState(String program) {
    this.program = program;
  }

  /** Takes in a version that is evaluated elsewhere, or was before. */
  void replay(DeltaCommit commit) {
    clock.apply(commit.facts());
    if (commit.schema() != null) columns = commit.schema();
    next = commit.version() + 1;
    OptionalLong smallest = clock.smallestUnstalled();
    if (smallest.isPresent() && (smallestUs == null || smallest.getAsLong() > smallestUs)) smallestUs = smallest.getAsLong();
  }

  /** Takes in the next version. Throws IllegalStateException when it contradicts what was. */
  Step take(DeltaCommit commit) {
    Long before = smallestUs;
    replay(commit);
    sinceRise = io.headpond.flink.VersionTime.rises(before, smallestUs) ? 0 : sinceRise + 1;
    List<String> stalled = clock.stalled();
    long rows = commit.files().stream().mapToLong(DeltaCommit.DataFile::rows).sum();
    Step step =
        new Step(commit.version(), io.headpond.flink.VersionTime.of(smallestUs, sinceRise), before, smallestUs, stalled.isEmpty() ? null : Json.text(stalled), rows);
    open.put(step.version(), step);
    return step;
  }

  /** `finished`: the newest version that all readers have finished. */
  ObjectNode toJson(long finished) {
    ObjectNode out = Json.object().put("format", FORMAT).put("program", program).put("next", next).put("smallest_us", smallestUs).put("since_rise", sinceRise);
    out.set("clock", clock.toJson());
    out.set("columns", Bundle.columnsJson(columns));
    out.set("pipeline", watch);
    ArrayNode steps = out.putArray("open");
    open.tailMap(finished, false).values().forEach(step -> steps.add(step.toJson()));
    return out;
  }

  static TailState fromJson(JsonNode json) {
    if (json.path("format").asInt() != FORMAT)
      throw new IllegalArgumentException("the checkpoint has format " + json.path("format") + ", this job reads " + FORMAT + "; restore it with the job jar that wrote it");
    TailState state = new TailState(json.get("program").asText());
    state.next = json.get("next").asLong();
    state.smallestUs = Step.optionalLong(json.get("smallest_us"));
    state.sinceRise = json.get("since_rise").asLong();
    state.watch = json.hasNonNull("pipeline") ? json.get("pipeline") : null;
    state.clock = TableClock.fromJson(json.get("clock"));
    state.columns = Bundle.columns(json.get("columns"));
    json.get("open").forEach(s -> {
      Step step = Step.fromJson(s);
      state.open.put(step.version(), step);
    });
    return state;
  }
}
