package io.headpond.flink.bronze;

/** A partition of a source, "logs@0" partition 3. */
public record SourcePartition(String source, int partition) implements Comparable<SourcePartition> {
  @Override
  public int compareTo(SourcePartition other) {
    int bySource = source.compareTo(other.source);
    return bySource != 0 ? bySource : Integer.compare(partition, other.partition);
  }

  @Override
  public String toString() {
    return source + " partition " + partition;
  }
}
