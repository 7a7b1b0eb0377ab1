package io.headpond.flink;

/** Slices and lateness of a fold group, both whole milliseconds. */
public record FoldTimes(long intervalUs, long latenessUs) {
  public static final long NONE = Long.MIN_VALUE;

  /** The last boundary that is settled once the smallest clock has been at `clockUs`; NONE for none. */
  public long settled(Long clockUs) {
    return clockUs == null ? NONE : Math.floorDiv(clockUs - latenessUs, intervalUs) * intervalUs;
  }
}
