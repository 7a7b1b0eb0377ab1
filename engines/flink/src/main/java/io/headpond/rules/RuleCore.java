package io.headpond.rules;

/** The C++ rule core in this JVM; contract: docs/formats/jni.md. */
public final class RuleCore {
  static {
    System.loadLibrary("headpond_rules");
  }

  private RuleCore() {}

  public static native long open(byte[] programJson, long generation, long claimedAtUs);

  public static native void close(long core);

  public static native String foldSql(long core, String source);

  public static native int[] foldShape(long core);

  public static native String keyJson(long core, int fold, String[] values);

  public static native String foldId(long core, int fold);

  public static native byte[] advance(
      long core, int fold, String key, byte[] state, long[] partials, long from, long to, int flags, long version, String incompleteJson);

  public static native byte[] openChanges(long core, int fold, String key, byte[] state, long version);
}
