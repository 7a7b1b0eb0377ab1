package io.headpond.flink.source;

import io.headpond.flink.Refusal;
import io.headpond.flink.lake.ObjectStore;

/**
 * Believes a lake that says of a data file again and again that there is none: no file of a bronze table may be deleted, so a restart would
 * ask for it for ever. Anything else the lake answers in between (or that it does not answer) is no word on the file, and asked again.
 *
 * <p>Of one version. Threads: one at a time.
 */
final class MissingFiles {
  /** With the waits of BronzeReader some forty seconds. */
  static final int ANSWERS_MAX = 12;

  private final long version;
  private String path = "";
  private int answers;

  MissingFiles(long version) {
    this.version = version;
  }

  /** Throws a refusal when the lake has said so often enough. */
  void answered(ObjectStore.NoSuchObject answer) {
    answers = answer.path().equals(path) ? answers + 1 : 1;
    path = answer.path();
    if (answers < ANSWERS_MAX) return;
    throw Refusal.of(
        "bronze version " + version + ": its data file " + path + " is gone, the lake has said so " + answers
            + " times; its rows are lost to this branch. Restore the file from a copy (or the bucket's older versions) and resume from the last checkpoint (flink run -s …);"
            + " `headpond audit` names all that are missing. Or deploy with --new-generation, which begins at a newer version");
  }
}
