package io.headpond.flink.pager;

import com.fasterxml.jackson.databind.JsonNode;
import io.headpond.flink.FoldTimes;
import io.headpond.flink.JobDocument;
import io.headpond.flink.Json;
import io.headpond.flink.VersionTime;
import io.headpond.flink.source.Partials;
import io.headpond.flink.source.Step;
import io.headpond.rules.RuleCore;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.functions.co.KeyedBroadcastProcessFunction;
import org.apache.flink.util.Collector;

/**
 * One (fold group, key): its state is the bytes of the C++ rule core, and each version that has rows of it, or settles a boundary it waits for,
 * advances it once, when all readers have finished that version. What src/pager/evaluator.cpp does for all keys of a version, this does for one.
 */
public final class RuleFunction extends KeyedBroadcastProcessFunction<String, Partials, Facts, Outcome> {
  private static final long serialVersionUID = 1;
  private static final int FOLD_ID = 16; // characters of the id in front of the key
  private static final int STALLED = 1, ANNOUNCE = 2;
  private static final long[] NO_ROWS = {};

  private final String jobText;

  private transient long core;
  private transient long claimedAtUs;
  private transient List<FoldTimes> folds;
  private transient Map<String, Integer> foldOf;
  private transient boolean[][] presence;
  private transient TreeMap<Long, Step> steps; // by watermark; sent again after a restore
  private transient ValueState<byte[]> state;
  private transient ValueState<Long> due; // boundary, µs
  private transient MapState<Long, long[]> waiting; // partials by the watermark of their version

  public RuleFunction(String jobText) {
    this.jobText = jobText;
  }

  @Override
  public void open(OpenContext context) {
    JobDocument job = JobDocument.parse(jobText);
    core = RuleCore.open(job.programBytes(), job.generation(), job.claimedAtUs());
    claimedAtUs = job.claimedAtUs();
    folds = job.foldTimes();
    foldOf = new HashMap<>();
    presence = new boolean[folds.size()][];
    for (int f = 0; f < folds.size(); ++f) {
      foldOf.put(RuleCore.foldId(core, f), f);
      JsonNode measures = job.program().path("folds").path(f).path("measures");
      presence[f] = new boolean[measures.size()];
      for (int m = 0; m < measures.size(); ++m) presence[f][m] = measures.path(m).path("kind").asText().equals("presence");
    }
    steps = new TreeMap<>();
    state = getRuntimeContext().getState(new ValueStateDescriptor<>("state", PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO));
    due = getRuntimeContext().getState(new ValueStateDescriptor<>("due", Types.LONG));
    waiting = getRuntimeContext().getMapState(new MapStateDescriptor<>("waiting", Types.LONG, PrimitiveArrayTypeInfo.LONG_PRIMITIVE_ARRAY_TYPE_INFO));
  }

  @Override
  public void processElement(Partials partials, ReadOnlyContext context, Collector<Outcome> out) throws Exception {
    long[] before = waiting.get(partials.at);
    waiting.put(partials.at, before == null ? partials.values : merged(before, partials.values, presence[fold(partials.key)]));
    context.timerService().registerEventTimeTimer(partials.at);
  }

  @Override
  public void processBroadcastElement(Facts facts, Context context, Collector<Outcome> out) {
    boolean first = getRuntimeContext().getTaskInfo().getIndexOfThisSubtask() == 0; // one of us tells the outbox
    Outcome outcome = new Outcome();
    outcome.late = facts.late;
    if (facts.step != null) {
      Step step = Step.fromJson(Json.parse(facts.step, "a step"));
      steps.headMap(context.currentWatermark(), false).clear();
      steps.put(step.at(), step);
      outcome.step = facts.step;
      outcome.at = step.at();
      outcome.version = step.version();
    }
    if (first) out.collect(outcome);
  }

  @Override
  public void onTimer(long timestamp, OnTimerContext context, Collector<Outcome> out) throws Exception {
    long now = context.timerService().currentWatermark();
    Step step = steps.get(now);
    if (step == null) throw new IllegalStateException("no version has the watermark " + now + "; this is a bug of headpond");
    String key = context.getCurrentKey();
    FoldTimes times = folds.get(fold(key));
    long[] rows = waiting.get(now);
    Long boundary = due.value();
    boolean isDue = boundary != null && step.toUs() != null && boundary <= times.settled(step.toUs());
    if (rows == null && !isDue) return; // a second timer of this version, or one that was put off
    if (rows != null) waiting.remove(now);
    Long next = advance(key, rows == null ? NO_ROWS : rows, step, times, out);
    due.update(next);
    if (next != null) context.timerService().registerEventTimeTimer(VersionTime.timer(next, times.latenessUs()));
  }

  /** Returns the boundary at which the key must be looked at again without rows; null: none. */
  private Long advance(String key, long[] rows, Step step, FoldTimes times, Collector<Outcome> out) throws Exception {
    int fold = fold(key);
    String name = key.substring(FOLD_ID);
    long from = times.settled(step.fromUs()), to = times.settled(step.toUs());
    int stalled = step.incomplete() != null ? STALLED : 0;
    // The first boundary of this generation's own time. What is open just before it is sent.
    long firstSent = -Math.floorDiv(-claimedAtUs, times.intervalUs()) * times.intervalUs();
    byte[] bytes = state.value() == null ? new byte[0] : state.value();
    if (to != FoldTimes.NONE && to >= firstSent && (from == FoldTimes.NONE || from < firstSent)) {
      long before = firstSent - times.intervalUs();
      Advanced settled = Advanced.decode(RuleCore.advance(core, fold, name, bytes, rows, from, before, stalled, step.version(), step.incomplete()));
      emit(settled.transitions(), settled.missed(), step, true, out);
      if (settled.state().length > 0) emit(Advanced.transitions(RuleCore.openChanges(core, fold, name, settled.state(), step.version())), 0, step, false, out);
      bytes = settled.state();
      rows = NO_ROWS;
      from = before;
    }
    Advanced advanced = Advanced.decode(RuleCore.advance(core, fold, name, bytes, rows, from, to, stalled | ANNOUNCE, step.version(), step.incomplete()));
    emit(advanced.transitions(), advanced.missed(), step, true, out);
    if (advanced.state().length == 0) {
      state.clear();
      return null;
    }
    state.update(advanced.state());
    boolean beforeClaim = to == FoldTimes.NONE || to < firstSent;
    if (!beforeClaim) return advanced.timerUs();
    return advanced.timerUs() == null ? firstSent : Math.min(firstSent, advanced.timerUs());
  }

  private static void emit(List<String> transitions, long missed, Step step, boolean counts, Collector<Outcome> out) {
    for (String text : transitions) {
      JsonNode transition = Json.parse(text, "a transition");
      Outcome outcome = new Outcome();
      outcome.transition = text;
      outcome.version = step.version();
      outcome.at = step.at();
      if (counts && !transition.path("settles_announcement").asBoolean()) outcome.opened = transition.path("kind").asText().equals("firing") ? 1 : -1;
      out.collect(outcome);
    }
    if (missed == 0) return;
    Outcome outcome = new Outcome();
    outcome.missed = missed;
    out.collect(outcome);
  }

  private int fold(String key) {
    Integer fold = foldOf.get(key.substring(0, FOLD_ID));
    if (fold == null) throw new IllegalStateException("no rule counts by " + key + " any more; restore the rules this state belongs to");
    return fold;
  }

  /** Two readers' partials of one key and version, slice by slice. */
  static long[] merged(long[] a, long[] b, boolean[] presence) {
    int width = 1 + presence.length;
    long[] out = new long[a.length + b.length];
    int i = 0, j = 0, at = 0;
    while (i < a.length || j < b.length) {
      boolean both = i < a.length && j < b.length && a[i] == b[j];
      boolean left = j >= b.length || (i < a.length && a[i] <= b[j]);
      System.arraycopy(left ? a : b, left ? i : j, out, at, width);
      for (int m = 0; both && m < presence.length; ++m) {
        long x = a[i + 1 + m], y = b[j + 1 + m];
        out[at + 1 + m] = presence[m] ? Math.max(x, y) : x + y;
      }
      if (left) i += width;
      if (both || !left) j += width;
      at += width;
    }
    return Arrays.copyOf(out, at);
  }

  @Override
  public void close() {
    if (core != 0) RuleCore.close(core);
    core = 0;
  }
}
