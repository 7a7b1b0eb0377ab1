package io.headpond.flink;

import org.apache.flink.runtime.execution.SuppressRestartsException;

/** What a restart would not mend: the job fails at once, and its message says what to do. */
public final class Refusal {
  private Refusal() {}

  public static SuppressRestartsException of(String message) {
    return new SuppressRestartsException(new IllegalStateException(message));
  }
}
