package io.headpond.flink.source;

import io.headpond.flink.Failpoints;
import io.headpond.flink.JobDocument;
import io.headpond.flink.lake.ObjectStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.Comparator;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.Stream;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Folds its part of each version, in order of version, on a thread of its own, a few versions ahead of what is handed on. What it was given
 * and has not handed on is its state.
 */
final class BronzeReader implements SourceReader<Item, Bundle> {
  private static final Logger LOG = LoggerFactory.getLogger(BronzeReader.class);
  private static final int FOLDED_AHEAD_MAX = 2;

  private record Done(Bundle bundle, Folder.Folded folded, Throwable error) {}

  private final SourceReaderContext context;
  private final JobDocument job;
  private final SourceSettings settings;
  private final TreeMap<Long, Bundle> pending = new TreeMap<>(); // mailbox thread only
  private final LinkedBlockingQueue<Bundle> toFold = new LinkedBlockingQueue<>(); // bounded by the enumerator
  private final ArrayBlockingQueue<Done> folded = new ArrayBlockingQueue<>(FOLDED_AHEAD_MAX);
  private CompletableFuture<Void> available = new CompletableFuture<>(); // guarded by this
  private Thread worker;

  BronzeReader(SourceReaderContext context, JobDocument job, SourceSettings settings) {
    this.context = context;
    this.job = job;
    this.settings = settings;
  }

  @Override
  public void start() {
    worker = new Thread(this::work, "bronze-fold-" + context.getIndexOfSubtask());
    worker.setDaemon(true);
    worker.setContextClassLoader(getClass().getClassLoader());
    worker.start();
  }

  private void work() {
    Path scratch = null;
    try {
      scratch = Files.createTempDirectory("headpond-fold-");
      try (ObjectStore lake = ObjectStore.open(job.lake()); Folder folder = new Folder(job, lake, settings.downloadBytesMax(), scratch)) {
        folder.warmUp();
        while (true) {
          Bundle bundle = toFold.take();
          hand(new Done(bundle, fold(folder, bundle), null));
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt(); // close()
    } catch (Throwable e) {
      try {
        hand(new Done(null, null, e));
      } catch (InterruptedException closed) {
        Thread.currentThread().interrupt();
      }
    } finally {
      if (scratch != null) remove(scratch);
    }
  }

  /**
   * A lake that does not answer is asked again, one that knows no such file for a while; what else is wrong fails the job, which begins again
   * at its checkpoint.
   */
  private Folder.Folded fold(Folder folder, Bundle bundle) throws InterruptedException, SQLException {
    MissingFiles missing = new MissingFiles(bundle.version());
    for (long waitMs = 100; ; waitMs = Math.min(waitMs * 2, 10_000)) {
      try {
        return folder.fold(bundle);
      } catch (IOException e) {
        if (e instanceof ObjectStore.NoSuchObject none) missing.answered(none);
        LOG.warn("version {}: {}; trying again in {} ms", bundle.version(), e.getMessage(), waitMs);
        Thread.sleep(waitMs);
      }
    }
  }

  private void hand(Done done) throws InterruptedException {
    folded.put(done);
    synchronized (this) {
      available.complete(null);
    }
  }

  private static void remove(Path folder) {
    try (Stream<Path> paths = Files.walk(folder)) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) Files.deleteIfExists(path);
    } catch (IOException e) {
      LOG.warn("cannot remove {}: {}", folder, e.getMessage());
    }
  }

  @Override
  public InputStatus pollNext(ReaderOutput<Item> output) throws Exception {
    Done done = folded.poll();
    if (done == null) return InputStatus.NOTHING_AVAILABLE;
    if (done.error() instanceof SuppressRestartsException refusal) {
      context.sendSourceEventToCoordinator(new Lost(refusal.getCause().getMessage())); // it ends the job, and says so in the branch's cursor
      return InputStatus.NOTHING_AVAILABLE;
    }
    if (done.error() != null) throw new IOException("folding bronze failed: " + done.error().getMessage(), done.error());
    Step step = done.bundle().step();
    if (done.bundle().leader()) output.collect(Item.step(step));
    for (Partials partials : done.folded().partials()) output.collect(Item.of(partials));
    if (done.folded().late() > 0) output.collect(Item.late(done.folded().late()));
    output.collect(Item.end(step.at()));
    pending.remove(step.version());
    context.sendSourceEventToCoordinator(new Finished(step.version()));
    Failpoints.reach(Failpoints.BUNDLE_EMITTED);
    return folded.isEmpty() ? InputStatus.NOTHING_AVAILABLE : InputStatus.MORE_AVAILABLE;
  }

  @Override
  public synchronized CompletableFuture<Void> isAvailable() {
    if (folded.isEmpty() && available.isDone()) available = new CompletableFuture<>();
    // Put between the look and the exchange: then nobody will complete the new one.
    if (!folded.isEmpty()) available.complete(null);
    return available;
  }

  /** A step may come after files of its version that a checkpoint kept; two readers' files may come together when the job was rescaled. */
  @Override
  public void addSplits(List<Bundle> bundles) {
    for (Bundle bundle : bundles) {
      Bundle whole = pending.merge(bundle.version(), bundle, Bundle::joined);
      if (bundle.step() != null) toFold.add(whole);
    }
  }

  @Override
  public List<Bundle> snapshotState(long checkpoint) {
    return pending.values().stream().filter(bundle -> !bundle.files().isEmpty()).map(Bundle::withoutStep).toList();
  }

  @Override
  public void notifyNoMoreSplits() {}

  @Override
  public void close() {
    if (worker != null) worker.interrupt();
  }
}
