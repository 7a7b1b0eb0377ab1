package io.headpond.flink.source;

/** What a reader says: exactly one of partials, a step, late rows, or the end of a version. Plain, for Flink's serializer. */
public class Item {
  public Partials partials;
  public String step; // JSON of Step
  public long late;
  public long end; // watermark of the version that this reader has finished; 0 = none

  public Item() {}

  static Item of(Partials partials) {
    Item item = new Item();
    item.partials = partials;
    return item;
  }

  static Item step(Step step) {
    Item item = new Item();
    item.step = io.headpond.flink.Json.text(step.toJson());
    return item;
  }

  static Item late(long rows) {
    Item item = new Item();
    item.late = rows;
    return item;
  }

  static Item end(long at) {
    Item item = new Item();
    item.end = at;
    return item;
  }
}
