package io.headpond.flink.pager;

/** What every key must know of a version, or late rows of one. Plain, for Flink's serializer. */
public class Facts {
  public String step; // JSON of source.Step, or null
  public long late;

  public Facts() {}

  public Facts(String step, long late) {
    this.step = step;
    this.late = late;
  }
}
