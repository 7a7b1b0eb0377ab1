package io.headpond.flink.pager;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.headpond.flink.JobDocument;
import io.headpond.flink.Json;
import io.headpond.flink.lake.ObjectStore;
import java.io.IOException;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Tells `headpond status` how far this branch is: docs/formats/cursor.md. Others only look at it; a lost one is written anew. */
public final class CursorWriter {
  private static final Logger LOG = LoggerFactory.getLogger(CursorWriter.class);
  private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSSSSS'Z'").withZone(ZoneOffset.UTC);

  private final ObjectStore lake;
  private final JobDocument job;
  private final long everyNs;
  private boolean published;
  private long publishedNs, rows, durable = -1;

  CursorWriter(ObjectStore lake, JobDocument job, long everySeconds) {
    this.lake = lake;
    this.job = job;
    everyNs = everySeconds * 1_000_000_000;
    publishedNs = System.nanoTime();
  }

  /** The job has ended for good and nobody else runs the branch: what it last said stays, with why it goes no further. */
  public static void failed(ObjectStore lake, JobDocument job, String message) throws IOException {
    String path = job.bronzePath("_headpond/cursors/" + job.branch() + ".json");
    var before = lake.text(path);
    var cursor = before.isPresent() ? (ObjectNode) Json.parse(before.get(), path) : head(job).put("version", -1).put("durable_version", -1).put("promise_s", job.promiseS());
    lake.put(path, Json.bytes(cursor.put("engine", "flink").put("state", "failed").put("message", message).put("updated_at", TIME.format(Instant.now()))));
  }

  private static ObjectNode head(JobDocument job) {
    return Json.object().put("format", 1).put("needs", "0.1.0").put("branch", job.branch()).put("kind", "pager").put("engine", "flink");
  }

  void rows(long more) {
    rows += more;
  }

  void durable(long version) {
    durable = version;
  }

  void publishIfDue(long version, Long settledUs, Map<String, Long> figures) {
    double seconds = (System.nanoTime() - publishedNs) / 1e9;
    if (published && System.nanoTime() - publishedNs < everyNs) return;
    var cursor = head(job);
    cursor.put("state", "running").put("message", "").put("version", version).put("durable_version", durable).put("updated_at", TIME.format(Instant.now()));
    if (settledUs != null) cursor.put("complete_until", TIME.format(Instant.EPOCH.plusNanos(Math.multiplyExact(settledUs, 1000L))));
    cursor.put("promise_s", job.promiseS());
    var all = cursor.putObject("figures");
    figures.forEach(all::put);
    all.put("rows_per_s", published ? rows / seconds : 0);
    try {
      lake.put(job.bronzePath("_headpond/cursors/" + job.branch() + ".json"), Json.bytes(cursor));
    } catch (IOException e) {
      LOG.warn("the cursor is not published: {}", e.getMessage());
    }
    published = true;
    publishedNs = System.nanoTime();
    rows = 0;
  }
}
