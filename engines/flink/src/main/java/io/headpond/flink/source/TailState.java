package io.headpond.flink.source;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.headpond.flink.Json;
import io.headpond.flink.bronze.DeltaCommit;
import io.headpond.flink.bronze.LiveFiles;
import io.headpond.flink.bronze.LogCheckpoint;
import io.headpond.flink.bronze.SourcePartition;
import io.headpond.flink.bronze.TableClock;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
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

  /** A step over a part of the log that was deleted, and its files. */
  record Leap(Step step, List<DeltaCommit.DataFile> files) {}

  /** What this state has of each partition. Empty: everything in the gap is new to it. */
  Map<SourcePartition, Long> positionsBefore(Gap gap) {
    return gap.after() == next - 1 ? clock.positions() : Map.of();
  }

  /** Stands behind `to`, whose versions are evaluated elsewhere, or were before. */
  void replay(LogCheckpoint to) {
    clock = to.clock();
    columns = to.schema();
    next = to.version() + 1;
    OptionalLong smallest = clock.smallestUnstalled();
    if (smallest.isPresent() && (smallestUs == null || smallest.getAsLong() > smallestUs)) smallestUs = smallest.getAsLong();
  }

  /**
   * Goes over a gap, with up to `filesMax` files at a time. The steps are named by versions of the gap, the last one by its end. Behind each
   * but the last, what is settled is bound by the first arrival in the files still to come: no row that counts is missing. Where nothing is
   * stalled, the boundaries therefore settle as they would have version by version.
   */
  List<Leap> leap(Gap gap, int filesMax) {
    List<LiveFiles.LiveFile> files = gap.files();
    long first = gap.after() + 1;
    // A job that begins here: what settled before the first row is nobody's.
    if (next != first && !files.isEmpty() && files.get(0).firstArrivalUs() != LiveFiles.NOT_KNOWN) smallestUs = files.get(0).firstArrivalUs();
    long stepsMax = gap.to().version() - first + 1;
    int size = (int) Math.max(filesMax, (files.size() + stepsMax - 1) / stepsMax), at = 0;
    Long start = smallestUs;
    replay(gap.to());
    Long end = smallestUs;
    String stalled = clock.stalled().isEmpty() ? null : Json.text(clock.stalled());
    List<Leap> out = new ArrayList<>();
    do {
      int upTo = Math.min(at + size, files.size());
      boolean last = upTo == files.size();
      smallestUs = last ? end : settledBefore(files.get(upTo).firstArrivalUs(), start, end);
      sinceRise = io.headpond.flink.VersionTime.rises(start, smallestUs) ? 0 : sinceRise + 1;
      List<DeltaCommit.DataFile> part = files.subList(at, upTo).stream().map(LiveFiles.LiveFile::file).toList();
      long rows = part.stream().mapToLong(DeltaCommit.DataFile::rows).sum();
      Step step = new Step(last ? gap.to().version() : first + out.size(), io.headpond.flink.VersionTime.of(smallestUs, sinceRise), start, smallestUs, stalled, rows);
      open.put(step.version(), step);
      out.add(new Leap(step, part));
      start = smallestUs;
      at = upTo;
    } while (at < files.size());
    return out;
  }

  private static Long settledBefore(long arrivalUs, Long start, Long end) {
    if (end == null || arrivalUs == LiveFiles.NOT_KNOWN) return start;
    long bound = Math.min(arrivalUs, end);
    return start == null || bound > start ? Long.valueOf(bound) : start;
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
