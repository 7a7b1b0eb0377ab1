package io.headpond.flink.source;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.headpond.flink.Failpoints;
import io.headpond.flink.JobDocument;
import io.headpond.flink.Json;
import io.headpond.flink.Refusal;
import io.headpond.flink.bronze.DeltaCommit;
import io.headpond.flink.bronze.SourcePartition;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The one that reads the log. It holds the branch's engine lease, computes each version's settled boundaries once, and gives every reader its
 * part of every version, in order, a bounded number ahead of the slowest.
 *
 * <p>What a reader had not finished at a checkpoint comes back in two halves: the files from the reader's own state, or from
 * addSplitsBack(), and the steps from here, to each reader that registers.
 *
 * <p>Threads: Flink's coordinator thread; `log` is used by its worker thread only.
 */
final class BronzeEnumerator implements SplitEnumerator<Bundle, String> {
  private static final Logger LOG = LoggerFactory.getLogger(BronzeEnumerator.class);

  private final SplitEnumeratorContext<Bundle> context;
  private final SourceSettings settings;
  private final TailState state;
  private final LogTail log;
  private final PipelineWatch watch;
  private final long startVersion;
  private final boolean fresh;

  private final Map<Integer, Long> finished = new HashMap<>(); // by reader
  private final Map<Integer, TreeMap<Long, Bundle>> returned = new HashMap<>();
  private final TreeMap<Long, Long> finishedAt = new TreeMap<>(); // by checkpoint that is not complete yet
  private volatile long next;
  private volatile int room;

  BronzeEnumerator(SplitEnumeratorContext<Bundle> context, JobDocument job, SourceSettings settings, TailState state, boolean fresh) {
    this.context = context;
    this.settings = settings;
    this.state = state;
    this.startVersion = job.startVersion();
    this.fresh = fresh;
    if (!state.program.equals(Json.text(job.program())))
      throw Refusal.of("this checkpoint belongs to other rules; a rule edit needs a new generation on Flink: deploy with --new-generation, or restore the rules");
    this.log = new LogTail(job, settings);
    watch = new PipelineWatch(job, state.watch, System.nanoTime() / 1000);
    next = state.next;
  }

  @Override
  public void start() {
    try {
      if (fresh) log.refuseForgottenState();
    } catch (IOException e) {
      throw new UncheckedIOException("the lake does not answer", e);
    }
    limit();
    context.callAsync(() -> log.poll(next, room), this::took, 0, settings.pollMs());
    tell(1); // what a restored checkpoint holds
  }

  private void tell(long checkpoint) {
    List<ObjectNode> transitions = watch.toTell(checkpoint);
    if (transitions.isEmpty()) return;
    context.callAsync(() -> log.tell(transitions, state.next - 1), (done, error) -> {
      if (error == null) watch.told(transitions); // else with the next checkpoint
      else LOG.warn("the lake does not answer: {}", error.getMessage());
    });
  }

  /** How many versions may be read now. Those up to the start are only replayed. */
  private void limit() {
    if (state.next <= startVersion) {
      room = (int) Math.min(64, startVersion - state.next + 1);
      return;
    }
    boolean all = context.registeredReaders().size() == context.currentParallelism();
    room = all ? (int) Math.max(0, settings.versionsAheadMax() - (state.next - 1 - finishedByAll())) : 0;
  }

  private void took(LogTail.Found found, Throwable error) {
    if (error instanceof IOException) {
      LOG.warn("the lake does not answer, trying again: {}", error.getMessage());
      return;
    }
    if (error instanceof SuppressRestartsException e) throw refused(e);
    if (error instanceof RuntimeException e) throw e;
    if (error != null) throw new IllegalStateException(error);
    if (found.gap() != null && found.gap().after() >= state.next - 1) cross(found.gap());
    List<DeltaCommit> commits = found.commits();
    for (DeltaCommit commit : commits) {
      if (commit.version() != state.next || (commit.version() > startVersion && room == 0)) break; // readers were lost meanwhile
      try {
        if (commit.version() <= startVersion) state.replay(commit);
        else give(state.take(commit), commit.files(), Map.of());
      } catch (IllegalStateException e) {
        throw refused(Refusal.of("bronze version " + commit.version() + ": " + e.getMessage() + "; run `headpond audit`"));
      }
    }
    boolean any = found.gap() != null || !commits.isEmpty();
    if (log.reading() && (room > 0 || any))
      watch.looked(any, state.next - 1, System.nanoTime() / 1000, System.currentTimeMillis() * 1000);
    next = state.next;
    limit();
  }

  private SuppressRestartsException refused(SuppressRestartsException refusal) {
    log.refused(refusal.getCause().getMessage());
    return refusal;
  }

  /** Needs all readers where it has rows: else it is found again. */
  private void cross(Gap gap) {
    if (gap.to().version() <= startVersion) {
      state.replay(gap.to());
      return;
    }
    if (context.registeredReaders().size() < context.currentParallelism()) return;
    Map<SourcePartition, Long> positions = state.positionsBefore(gap);
    LOG.warn(
        "the log was cleaned behind version {}: going on at version {} by the checkpoint there, {} files beyond the positions of this state",
        gap.after(), gap.to().version(), gap.files().size());
    for (TailState.Leap leap : state.leap(gap, settings.gapFilesMax())) give(leap.step(), leap.files(), positions);
  }

  private void give(Step step, List<DeltaCommit.DataFile> files, Map<SourcePartition, Long> after) {
    int readers = context.currentParallelism();
    List<List<DeltaCommit.DataFile>> parts = new ArrayList<>();
    long[] load = new long[readers];
    for (int r = 0; r < readers; ++r) parts.add(new ArrayList<>());
    int turn = (int) (step.version() % readers);
    for (DeltaCommit.DataFile file : files.stream().sorted(Comparator.comparingLong(f -> -f.bytes())).toList()) {
      int lightest = turn;
      for (int i = 1; i < readers; ++i) {
        int r = (turn + i) % readers;
        if (load[r] < load[lightest]) lightest = r;
      }
      load[lightest] += file.bytes();
      parts.get(lightest).add(file);
    }
    for (int r = 0; r < readers; ++r) assign(r, step, parts.get(r), after);
    Failpoints.reach(Failpoints.VERSION_GIVEN);
  }

  private void assign(int reader, Step step, List<DeltaCommit.DataFile> files, Map<SourcePartition, Long> after) {
    context.assignSplit(new Bundle(step.version(), step, reader == 0, files, state.columns, after), reader);
  }

  private long finishedByAll() {
    long beginning = state.open.isEmpty() ? state.next - 1 : state.open.firstKey() - 1;
    long smallest = Long.MAX_VALUE;
    for (int r = 0; r < context.currentParallelism(); ++r) smallest = Math.min(smallest, Math.max(beginning, finished.getOrDefault(r, beginning)));
    return smallest;
  }

  @Override
  public void addReader(int reader) {
    finished.remove(reader);
    TreeMap<Long, Bundle> bundles = returned.getOrDefault(reader, new TreeMap<>());
    returned.remove(reader);
    for (Step step : state.open.values()) {
      Bundle bundle = bundles.get(step.version());
      if (bundle == null) assign(reader, step, List.of(), Map.of());
      else assign(reader, step, bundle.files(), bundle.after());
    }
    limit();
  }

  @Override
  public void addSplitsBack(List<Bundle> bundles, int reader) {
    var files = returned.computeIfAbsent(reader, r -> new TreeMap<>());
    for (Bundle bundle : bundles) files.merge(bundle.version(), bundle, Bundle::joined);
    finished.remove(reader);
    limit();
  }

  @Override
  public void handleSourceEvent(int reader, SourceEvent event) {
    if (event instanceof Lost lost) throw refused(Refusal.of(lost.message()));
    if (event instanceof Finished done) finished.merge(reader, done.version(), Math::max);
    limit();
  }

  @Override
  public void handleSplitRequest(int reader, String host) {}

  @Override
  public String snapshotState(long checkpoint) {
    long everywhere = finishedByAll();
    finishedAt.put(checkpoint, everywhere);
    state.watch = watch.snapshot(checkpoint);
    Failpoints.reach(Failpoints.TAIL_SNAPSHOT);
    return Json.text(state.toJson(everywhere));
  }

  @Override
  public void notifyCheckpointComplete(long checkpoint) {
    Long everywhere = finishedAt.get(checkpoint);
    finishedAt.headMap(checkpoint, true).clear();
    if (everywhere != null) state.open.headMap(everywhere, true).clear();
    tell(checkpoint);
    Failpoints.reach(Failpoints.TAIL_COMPLETE);
  }

  @Override
  public void close() throws IOException {
    log.close();
  }
}
