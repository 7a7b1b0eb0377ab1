package io.headpond.flink.pager;

import io.headpond.rules.RuleCore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/**
 * RuleCalls PROGRAM CALLS: makes the calls of tests/oracle/rule_calls.cpp through JNI and compares each answer, state byte by byte. Prints the
 * nanoseconds a call took; exit code 1 with the first line that differs.
 */
public final class RuleCalls {
  private static final long GENERATION = 3, CLAIMED_AT_US = 1_795_000_030_000_000L;
  private static final int ROUNDS = 15;

  private record Call(int fold, String key, byte[] state, long[] partials, long from, long to, int flags, long version, String answer) {
    static Call of(String line) {
      String[] f = line.split("\t", 9);
      long[] partials = f[3].isEmpty() ? new long[0] : Arrays.stream(f[3].split(",")).mapToLong(Long::parseLong).toArray();
      return new Call(Integer.parseInt(f[0]), f[1], HexFormat.of().parseHex(f[2]), partials, us(f[4]), us(f[5]), Integer.parseInt(f[6]), Long.parseLong(f[7]), f[8]);
    }

    private static long us(String text) {
      return text.equals("-") ? Long.MIN_VALUE : Long.parseLong(text);
    }

    Advanced make(long core) {
      return Advanced.decode(RuleCore.advance(core, fold, key, state, partials, from, to, flags, version, null));
    }
  }

  private RuleCalls() {}

  private static String text(Advanced made) {
    StringBuilder out = new StringBuilder(HexFormat.of().formatHex(made.state()));
    out.append('\t').append(made.timerUs() == null ? "-" : made.timerUs()).append('\t').append(made.missed());
    made.transitions().forEach(t -> out.append('\t').append(t));
    return out.toString();
  }

  public static void main(String[] args) throws Exception {
    long core = RuleCore.open(Files.readAllBytes(Path.of(args[0])), GENERATION, CLAIMED_AT_US);
    List<Call> calls = new ArrayList<>();
    for (String line : Files.readAllLines(Path.of(args[1]))) {
      Call call = Call.of(line);
      String got = text(call.make(core));
      if (!got.equals(call.answer())) {
        System.out.println("call " + calls.size() + ": through JNI\n  " + got + "\nin C++\n  " + call.answer());
        System.exit(1);
      }
      calls.add(call);
    }
    double best = Double.MAX_VALUE;
    long bytes = 0;
    for (int round = 0; round < ROUNDS; ++round) {
      long began = System.nanoTime();
      for (Call call : calls) bytes += call.make(core).state().length;
      best = Math.min(best, (System.nanoTime() - began) / (double) calls.size());
    }
    if (bytes == 0) System.exit(1);
    System.out.println(best);
  }
}
