package io.headpond.flink.pager;

import io.headpond.flink.Failpoints;
import io.headpond.flink.FoldTimes;
import io.headpond.flink.JobDocument;
import io.headpond.flink.Json;
import io.headpond.flink.Outbox;
import io.headpond.flink.lake.ObjectStore;
import io.headpond.flink.source.Step;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * Writes each version's transitions, as soon as they are complete and in any case before a checkpoint is, as one object under
 * `pages/<branch>/_outbox/`: at least once; `headpond notify` applies each identity once. Parallelism 1.
 */
public final class OutboxOperator extends AbstractStreamOperator<Void> implements OneInputStreamOperator<Outcome, Void> {
  private static final long serialVersionUID = 1;
  private static final long HEARTBEAT_NS = 10_000_000_000L, GIVE_UP_NS = 60_000_000_000L, NOT_SETTLED = Long.MIN_VALUE;

  private final String jobText;
  private final long cursorSeconds;

  private transient JobDocument job;
  private transient ObjectStore lake;
  private transient CursorWriter cursor;
  private transient TreeMap<Long, List<Outcome>> waiting; // transitions by the watermark of their version
  private transient TreeMap<Long, Step> steps;
  private transient Map<Long, Long> versionAt; // by checkpoint
  private transient ListState<Long> counts; // open episodes, late rows, missed rows; version, settled (not in the oldest savepoints)
  private transient long open, late, missed;
  private transient long version, lastWriteNs;
  private transient Long settled; // everywhere, by that version; null: nothing is

  public OutboxOperator(String jobText, long cursorSeconds) {
    this.jobText = jobText;
    this.cursorSeconds = cursorSeconds;
  }

  @Override
  public void initializeState(StateInitializationContext context) throws Exception {
    counts = context.getOperatorStateStore().getListState(new ListStateDescriptor<>("counts", Types.LONG));
    List<Long> stored = new ArrayList<>();
    counts.get().forEach(stored::add);
    version = -1;
    if (stored.size() < 3) return;
    open = stored.get(0);
    late = stored.get(1);
    missed = stored.get(2);
    if (stored.size() < 5) return;
    version = stored.get(3);
    settled = stored.get(4) == NOT_SETTLED ? null : stored.get(4);
  }

  @Override
  public void open() {
    job = JobDocument.parse(jobText);
    lake = ObjectStore.open(job.lake());
    cursor = new CursorWriter(lake, job, cursorSeconds);
    waiting = new TreeMap<>();
    steps = new TreeMap<>();
    versionAt = new HashMap<>();
    cursor.durable(version);
    lastWriteNs = System.nanoTime();
    publishAgain();
  }

  /** The last version before a silence is told too, and after a restart in one. */
  private void publishAgain() {
    var time = getProcessingTimeService();
    time.registerTimer(time.getCurrentProcessingTime() + cursorSeconds * 1000, now -> {
      publish();
      publishAgain();
    });
  }

  private void publish() {
    if (version < 0) return;
    cursor.publishIfDue(version, settled, Map.of("firing", open, "late_rows", late, "missed_rows", missed, "generation", job.generation()));
  }

  @Override
  public void processElement(StreamRecord<Outcome> record) {
    Outcome outcome = record.getValue();
    open += outcome.opened;
    late += outcome.late;
    missed += outcome.missed;
    if (outcome.step != null) steps.put(outcome.at, Step.fromJson(Json.parse(outcome.step, "a step")));
    if (outcome.transition != null) waiting.computeIfAbsent(outcome.at, at -> new ArrayList<>()).add(outcome);
  }

  /** A version is complete. */
  @Override
  public void processWatermark(Watermark mark) throws Exception {
    Step step = steps.get(mark.getTimestamp());
    if (step == null) return;
    version = step.version();
    settled = settledEverywhere(step);
    List<Outcome> complete = drain(mark.getTimestamp());
    if (!complete.isEmpty() || (settled != null && System.nanoTime() - lastWriteNs >= HEARTBEAT_NS)) write(version, complete, settled);
    steps.headMap(mark.getTimestamp(), true).clear();
    cursor.rows(step.rows());
    publish();
  }

  private Long settledEverywhere(Step step) {
    if (step.toUs() == null) return null;
    return job.foldTimes().stream().mapToLong(fold -> fold.settled(step.toUs())).min().orElse(FoldTimes.NONE);
  }

  private List<Outcome> drain(long upTo) {
    var head = waiting.headMap(upTo, true);
    List<Outcome> out = head.values().stream().flatMap(List::stream).toList();
    head.clear();
    return out;
  }

  private void write(long ofVersion, List<Outcome> outcomes, Long settledUs) throws IOException, InterruptedException {
    String path = Outbox.path(job, ofVersion);
    byte[] bytes = Outbox.object(outcomes.stream().map(outcome -> Json.parse(outcome.transition, "a transition")).toList(), settledUs);
    Failpoints.reach(Failpoints.BEFORE_OUTBOX);
    long giveUp = System.nanoTime() + GIVE_UP_NS;
    for (long waitMs = 50; ; waitMs = Math.min(2 * waitMs, 2000)) {
      try {
        Outbox.put(lake, job, path, bytes);
        lastWriteNs = System.nanoTime();
        Failpoints.reach(Failpoints.AFTER_OUTBOX);
        return;
      } catch (IOException e) {
        if (System.nanoTime() >= giveUp) throw e; // the job begins again at its checkpoint
        LOG.warn("{}; trying again in {} ms", e.getMessage(), waitMs);
        Thread.sleep(waitMs);
      }
    }
  }

  @Override
  public void prepareSnapshotPreBarrier(long checkpoint) throws Exception {
    if (waiting.isEmpty()) return;
    long ofVersion = waiting.lastEntry().getValue().get(0).version;
    write(ofVersion, drain(Long.MAX_VALUE), null);
  }

  @Override
  public void snapshotState(StateSnapshotContext context) throws Exception {
    counts.update(List.of(open, late, missed, version, settled == null ? NOT_SETTLED : settled));
    versionAt.put(context.getCheckpointId(), version);
    Failpoints.reach(Failpoints.IN_SNAPSHOT);
  }

  @Override
  public void notifyCheckpointComplete(long checkpoint) throws Exception {
    super.notifyCheckpointComplete(checkpoint);
    Long durable = versionAt.remove(checkpoint);
    versionAt.keySet().removeIf(other -> other < checkpoint);
    if (durable != null) cursor.durable(durable);
    Failpoints.reach(Failpoints.CHECKPOINT_COMPLETE);
  }

  @Override
  public void close() throws Exception {
    super.close();
    if (lake != null) lake.close();
  }
}
