package io.headpond.flink.pager;

/** What the keyed stage tells the outbox: a step, a transition, or counts. Plain, for Flink's serializer. */
public class Outcome {
  public String step; // JSON of source.Step, or null
  public String transition; // JSON as in docs/formats/pages.md, or null
  public long version, at; // of the transition: its version and that one's watermark
  public int opened; // +1 an episode began, −1 one ended
  public long late, missed;

  public Outcome() {}
}
