package io.headpond.flink.source;

/** What one reader's rows of a version say of one key. Plain, for Flink's serializer. */
public class Partials {
  public String key; // fold id, then the key's JSON
  public long at; // watermark of the version
  public long[] values; // {slice, value of each measure}*, slices rising

  public Partials() {}

  public Partials(String key, long at, long[] values) {
    this.key = key;
    this.at = at;
    this.values = values;
  }
}
