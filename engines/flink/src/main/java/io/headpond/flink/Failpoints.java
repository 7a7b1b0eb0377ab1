package io.headpond.flink;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Named moments at which a test ends this process, as env/failpoints.h has them for the binary: HEADPOND_FAILPOINT=name:count halts the JVM the
 * count-th time it reaches `name`; HEADPOND_FAILPOINT_LOG names a file that gets a line for each reached point. Without these, nothing. Threads: any.
 */
public final class Failpoints {
  public static final String BUNDLE_EMITTED = "flink.bundle_emitted";
  public static final String BEFORE_OUTBOX = "flink.before_outbox";
  public static final String AFTER_OUTBOX = "flink.after_outbox";
  public static final String IN_SNAPSHOT = "flink.in_snapshot";
  public static final String CHECKPOINT_COMPLETE = "flink.checkpoint_complete";
  public static final String VERSION_GIVEN = "flink.version_given";
  public static final String TAIL_SNAPSHOT = "flink.tail_snapshot";
  public static final String TAIL_COMPLETE = "flink.tail_complete";

  private static final int KILLED = 137;
  private static final String LOG = System.getenv("HEADPOND_FAILPOINT_LOG");
  private static final String NAME;
  private static final AtomicInteger LEFT;

  static {
    String armed = System.getenv().getOrDefault("HEADPOND_FAILPOINT", "");
    int colon = armed.indexOf(':');
    NAME = colon < 0 ? armed : armed.substring(0, colon);
    LEFT = new AtomicInteger(colon < 0 ? 1 : Integer.parseInt(armed.substring(colon + 1)));
  }

  private Failpoints() {}

  public static void reach(String name) {
    if (LOG != null) note(name);
    if (name.equals(NAME) && LEFT.decrementAndGet() == 0) {
      if (LOG != null) note("killed:" + name);
      Runtime.getRuntime().halt(KILLED);
    }
  }

  private static void note(String line) {
    try {
      Files.writeString(Path.of(LOG), line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw new IllegalStateException("HEADPOND_FAILPOINT_LOG=" + LOG + " cannot be written: " + e.getMessage(), e);
    }
  }
}
