package io.headpond.flink.pager;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * What the rule core answers, decoded: docs/formats/jni.md.
 *
 * @param state empty: forget the key
 * @param timerUs the next boundary to look at the key without rows; null: none
 */
record Advanced(byte[] state, Long timerUs, long missed, List<String> transitions) {
  static Advanced decode(byte[] answer) {
    ByteBuffer in = ByteBuffer.wrap(answer).order(ByteOrder.LITTLE_ENDIAN);
    byte[] state = new byte[in.getInt()];
    in.get(state);
    boolean hasTimer = in.get() != 0;
    long timer = in.getLong();
    long missed = in.getLong();
    return new Advanced(state, hasTimer ? timer : null, missed, texts(in));
  }

  static List<String> transitions(byte[] answer) {
    return texts(ByteBuffer.wrap(answer).order(ByteOrder.LITTLE_ENDIAN));
  }

  private static List<String> texts(ByteBuffer in) {
    int count = in.getInt();
    List<String> out = new ArrayList<>(count);
    for (int i = 0; i < count; ++i) {
      byte[] text = new byte[in.getInt()];
      in.get(text);
      out.add(new String(text, StandardCharsets.UTF_8));
    }
    return out;
  }
}
