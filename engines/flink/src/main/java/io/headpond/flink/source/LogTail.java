package io.headpond.flink.source;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.headpond.flink.JobDocument;
import io.headpond.flink.Outbox;
import io.headpond.flink.Refusal;
import io.headpond.flink.bronze.DeltaCommit;
import io.headpond.flink.bronze.LogCheckpoint;
import io.headpond.flink.lake.Generations;
import io.headpond.flink.lake.Lease;
import io.headpond.flink.lake.ObjectStore;
import io.headpond.flink.pager.CursorWriter;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Reads the next entries of the bronze log, while this job holds the branch. Threads: one at a time, except close(). */
final class LogTail {
  private static final Logger LOG = LoggerFactory.getLogger(LogTail.class);
  private static final int READS_AT_ONCE = 8;

  private final JobDocument job;
  private final SourceSettings settings;
  private final ObjectStore lake;
  private final Lease lease;
  private final CleanedLog cleaned;
  private final ExecutorService reads =
      Executors.newFixedThreadPool(READS_AT_ONCE, task -> {
        Thread thread = new Thread(task, "bronze-log");
        thread.setDaemon(true);
        return thread;
      });
  private boolean waiting;
  private volatile String refusal; // null: none
  private volatile boolean began;
  private boolean looked; // whether the log is whole in front of the first version asked for
  private volatile boolean closed;
  private long lastFoundNs = System.nanoTime();

  LogTail(JobDocument job, SourceSettings settings) {
    this.job = job;
    this.settings = settings;
    lake = ObjectStore.open(job.lake());
    cleaned = new CleanedLog(lake, job.bronze());
    lease = new Lease(lake, job.pages() + "/_leases/engine", "flink:" + UUID.randomUUID(), () -> System.nanoTime() / 1000);
  }

  /** What comes next: a part of the log that was deleted, or `commits`. */
  record Found(Gap gap, List<DeltaCommit> commits) {
    static final Found NOTHING = new Found(null, List.of());
  }

  /** Up to `room` versions from `next` on, those that are there. IOException: try again. Others: stop, the message says what to do. */
  synchronized Found poll(long next, int room) throws IOException {
    if (closed || !holds()) return Found.NOTHING;
    if (!began) begin();
    if (room <= 0) return Found.NOTHING;
    if (!looked && next <= job.startVersion()) {
      Optional<LogCheckpoint> known = cleaned.upTo(job.startVersion());
      if (known.isPresent() && known.get().version() >= next) return new Found(new Gap(known.get(), next - 1, List.of()), List.of());
    }
    List<DeltaCommit> out = new ArrayList<>();
    // The usual case is one GET that finds nothing or one version; more are read at once only behind two that were there.
    for (long version = next; version < next + Math.min(room, 2); ++version) {
      Optional<DeltaCommit> commit = read(version);
      if (commit.isEmpty()) break;
      out.add(commit.get());
    }
    if (out.size() == 2 && room > 2) out.addAll(readAhead(next + 2, room - 2));
    if (out.isEmpty()) {
      Optional<Gap> gap = lookForHole(next);
      looked = gap.isEmpty();
      return new Found(gap.orElse(null), out);
    }
    lastFoundNs = System.nanoTime();
    looked = true;
    return new Found(null, out);
  }

  /** This job holds the branch and reads its log. */
  boolean reading() {
    return began;
  }

  /** The job ends for this: `headpond status` is to show it, where no other engine runs the branch. */
  void refused(String message) {
    refusal = message;
  }

  /** Puts transitions of the engine itself into the outbox. */
  synchronized Void tell(List<ObjectNode> transitions, long version) throws IOException {
    Outbox.put(lake, job, Outbox.path(job, version), Outbox.object(transitions, null));
    return null;
  }

  private boolean holds() throws IOException {
    try {
      if (lease.held()) {
        lease.keep();
        return true;
      }
    } catch (Lease.Fenced e) {
      throw Refusal.of(e.getMessage());
    }
    if (lease.acquire()) return true;
    if (!waiting) LOG.warn("waiting: branch {} is held by {}; if that engine still runs, stop it first", job.branch(), lease.holder().orElse("nobody"));
    waiting = true;
    return false;
  }

  private void begin() throws IOException {
    OptionalLong newest = Generations.newest(lake, job.pages());
    if (newest.isEmpty() || newest.getAsLong() != job.generation()) {
      throw Refusal.of(
          "this job's state is of generation " + job.generation() + ", the newest claimed of branch " + job.branch() + " is "
              + (newest.isEmpty() ? "none" : newest.getAsLong()) + ": another state has taken over. Run it there, or deploy with --new-generation");
    }
    began = true;
    lastFoundNs = System.nanoTime();
  }

  /** An empty state in a generation that has counted before would give its numbers a second meaning. Asked before this job's first checkpoint. */
  void refuseForgottenState() throws IOException {
    try (ObjectStore store = ObjectStore.open(job.checkpoints())) {
      String root = job.checkpointRoot().substring(job.checkpoints().length() + 1) + "/";
      Optional<String> newest = Checkpoints.newest(store, root);
      if (newest.isPresent()) {
        throw Refusal.of(
            "generation " + job.generation() + " has a checkpoint, " + job.checkpoints() + "/" + newest.get() + ", but this job was started without one; start it from there"
                + " (flink run -s …), or deploy with --new-generation");
      }
    }
  }

  private Optional<DeltaCommit> read(long version) throws IOException {
    String path = DeltaCommit.logPath(job.bronze(), version);
    Optional<byte[]> text = lake.get(path);
    try {
      return text.map(bytes -> DeltaCommit.parse(bytes, version, path));
    } catch (IllegalArgumentException e) {
      throw Refusal.of(e.getMessage());
    }
  }

  private List<DeltaCommit> readAhead(long from, int count) throws IOException {
    List<Future<Optional<DeltaCommit>>> asked = new ArrayList<>();
    for (long version = from; version < from + count; ++version) {
      long v = version;
      asked.add(reads.submit(() -> read(v)));
    }
    List<DeltaCommit> out = new ArrayList<>();
    boolean hole = false;
    for (Future<Optional<DeltaCommit>> future : asked) {
      Optional<DeltaCommit> commit = result(future);
      hole = hole || commit.isEmpty();
      if (!hole) out.add(commit.get());
    }
    return out;
  }

  private static Optional<DeltaCommit> result(Future<Optional<DeltaCommit>> future) throws IOException {
    try {
      return future.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof IOException io) throw io;
      if (e.getCause() instanceof RuntimeException runtime) throw runtime;
      throw new IOException(e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException(e);
    }
  }

  /** The next version is overdue, or the first that this job asks for is not there: was it cleaned, or lost, while later ones are there? */
  private Optional<Gap> lookForHole(long next) throws IOException {
    if (looked && (System.nanoTime() - lastFoundNs) / 1_000_000 < settings.overdueMs()) return Optional.empty();
    String log = job.bronze() + "/_delta_log/", missing = DeltaCommit.logPath(job.bronze(), next);
    List<String> later = lake.list(log, missing, 8).stream().filter(path -> path.matches(".*/\\d{20}\\.json")).toList();
    lastFoundNs = System.nanoTime();
    if (later.isEmpty() || lake.get(missing).isPresent()) return Optional.empty();
    Optional<Gap> gap = cleaned.behind(Math.max(next - 1, job.startVersion()), next);
    if (gap.isPresent()) return gap;
    throw Refusal.of(
        missing + " is missing, though " + later.get(0) + " exists, and no checkpoint of the log leads over it: the log is damaged. Restore that entry from a copy and"
            + " resume from the last checkpoint; or deploy with --new-generation, which starts at the newest version");
  }

  void close() throws IOException {
    closed = true;
    reads.shutdownNow();
    try {
      synchronized (this) {
        if (refusal != null && lease.held()) CursorWriter.failed(lake, job, refusal);
        lease.release();
      }
    } finally {
      lake.close();
    }
  }
}
