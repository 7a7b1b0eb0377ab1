package io.headpond.flink.source;

import java.io.Serializable;

/**
 * @param pollMs between two looks for the next version
 * @param overdueMs without a version before the log is listed for a hole
 * @param versionsAheadMax that readers may lie behind the enumerator
 * @param downloadBytesMax of files that a reader holds on its disk at once
 * @param gapFilesMax a step over a cleaned part of the log: what its partials take in memory, and a split in a message
 */
public record SourceSettings(long pollMs, long overdueMs, int versionsAheadMax, long downloadBytesMax, int gapFilesMax) implements Serializable {
  public static final int GAP_FILES_MAX = 1024;

  public static SourceSettings usual(int gapFilesMax) {
    return new SourceSettings(50, 10_000, 16, 256L << 20, gapFilesMax);
  }
}
