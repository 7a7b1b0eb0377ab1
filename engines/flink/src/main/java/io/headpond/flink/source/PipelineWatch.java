package io.headpond.flink.source;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.headpond.flink.JobDocument;
import io.headpond.flink.Json;
import java.util.ArrayList;
import java.util.List;

/**
 * The page headpond/PipelineLate: no version for 30 s of this engine's own clock means that no ingester lives; one page instead of one false
 * absence a host. docs/formats/pager.md, "Pipeline late". Its seq comes from no log, so a transition is told only when the checkpoint that holds it
 * is complete. Part of the enumerator's state. Threads: one at a time.
 */
final class PipelineWatch {
  static final long LATE_AFTER_US = 30_000_000;

  private record Told(ObjectNode transition, long checkpoint) {}

  private final JobDocument job;
  private long seq, sinceUs, seenUs; // odd seq: firing; seenUs by the monotonic clock
  private final List<Told> untold = new ArrayList<>(); // checkpoint 0: in none yet

  PipelineWatch(JobDocument job, JsonNode stored, long monotonicUs) {
    this.job = job;
    seenUs = monotonicUs;
    if (stored == null) return;
    seq = stored.get("seq").asLong();
    sinceUs = stored.get("since_us").asLong();
    stored.get("untold").forEach(transition -> untold.add(new Told((ObjectNode) transition, 1)));
  }

  /** A look at the log: `found` versions or not; `version` is the last one there was. */
  void looked(boolean found, long version, long monotonicUs, long nowUs) {
    if (found) seenUs = monotonicUs;
    boolean late = !found && version >= 0 && monotonicUs - seenUs >= LATE_AFTER_US;
    if (late != (seq % 2 == 0) || (!late && !found)) return;
    ++seq;
    if (late) sinceUs = nowUs;
    untold.add(new Told(transition(late, version, nowUs), 0));
  }

  private ObjectNode transition(boolean firing, long version, long nowUs) {
    ObjectNode t = Json.object().put("generation", job.generation()).put("rule", "headpond/PipelineLate").put("key", "{}").put("seq", seq);
    t.put("kind", firing ? "firing" : "resolved").put("announced", false).put("settles_announcement", false).put("send", true);
    t.put("boundary", nowUs).put("began_at", sinceUs).put("value", LATE_AFTER_US / 1e6).put("version", version);
    t.putObject("labels").put("alertname", "PipelineLate").put("severity", "page").put("branch", job.branch());
    t.putObject("annotations").put("summary",
        "pipeline late: no new version of bronze for 30s after version " + version + "; no ingester lives, rules are not evaluated");
    t.putArray("incomplete");
    t.put("window", 0).put("limit", 0).put("evidence_first", -1).put("evidence_last", -1).putArray("samples");
    return t.put("sql", "headpond status");
  }

  ObjectNode snapshot(long checkpoint) {
    untold.replaceAll(told -> told.checkpoint() == 0 ? new Told(told.transition(), checkpoint) : told);
    ObjectNode out = Json.object().put("seq", seq).put("since_us", sinceUs);
    var list = out.putArray("untold");
    untold.forEach(told -> list.add(told.transition()));
    return out;
  }

  /** Those that a complete checkpoint holds; told again until told(). */
  List<ObjectNode> toTell(long checkpoint) {
    return untold.stream().filter(told -> told.checkpoint() != 0 && told.checkpoint() <= checkpoint).map(Told::transition).toList();
  }

  void told(List<ObjectNode> transitions) {
    untold.removeIf(told -> transitions.contains(told.transition()));
  }
}
