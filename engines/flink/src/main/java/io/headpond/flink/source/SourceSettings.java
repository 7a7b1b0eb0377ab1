package io.headpond.flink.source;

import java.io.Serializable;

/**
 * @param pollMs between two looks for the next version
 * @param overdueMs without a version before the log is listed for a hole
 * @param versionsAheadMax that readers may lie behind the enumerator
 * @param downloadBytesMax of files that a reader holds on its disk at once
 */
public record SourceSettings(long pollMs, long overdueMs, int versionsAheadMax, long downloadBytesMax) implements Serializable {
  public static SourceSettings usual() {
    return new SourceSettings(50, 10_000, 16, 256L << 20);
  }
}
