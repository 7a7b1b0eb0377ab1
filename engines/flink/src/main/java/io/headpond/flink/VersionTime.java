package io.headpond.flink;

/**
 * How versions are told to Flink's event time. The watermark of version v is
 *
 * <pre>W(v) = floor(M(v) in ms) · 2^21 + versions since that last rose</pre>
 *
 * with M(v) the running maximum of the smallest unstalled clock. It rises with every version, so that each is a step of its own, and a
 * boundary's timer at ceil(T + lateness in ms) · 2^21 goes off in the very version that settles it.
 */
public final class VersionTime {
  private static final int BITS = 21;
  private static final long VERSIONS_MAX = 1L << BITS;

  private VersionTime() {}

  /** `clockUs`: null while nothing is settled. */
  public static long of(Long clockUs, long versionsSinceRise) {
    if (versionsSinceRise >= VERSIONS_MAX)
      throw new IllegalStateException("the smallest clock of the table stands still since " + VERSIONS_MAX + " versions; see `headpond status`: a partition is behind");
    return ((clockUs == null ? 0 : Math.floorDiv(clockUs, 1000L)) << BITS) + versionsSinceRise;
  }

  public static long timer(long boundaryUs, long latenessUs) {
    return Math.max(0, -Math.floorDiv(-(boundaryUs + latenessUs), 1000L)) << BITS;
  }

  /** Does a clock at `after` rise above `before` as far as watermarks tell them apart? */
  public static boolean rises(Long before, Long after) {
    return after != null && (before == null || Math.floorDiv(after, 1000L) > Math.floorDiv(before, 1000L));
  }
}
