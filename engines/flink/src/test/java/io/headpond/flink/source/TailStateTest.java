package io.headpond.flink.source;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.headpond.flink.bronze.DeltaCommit;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class TailStateTest {
  private static final long T = 1_795_000_000_000_000L;

  private TailState state = new TailState("{}");

  private Step take(String members) {
    Step step = state.take(commit(state.next, members));
    state = TailState.fromJson(state.toJson(-1)); // what a checkpoint keeps is all there is
    return step;
  }

  private static DeltaCommit commit(long version, String members) {
    String line = "{\"commitInfo\":{\"headpond\":{\"format\":1," + members + "}}}\n";
    String first = "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":[\"headpond\"]}}\n{\"metaData\":{\"schemaString\":\"{\\\"fields\\\":[]}\"}}\n";
    return DeltaCommit.parse((line + (version == 0 ? first : "")).getBytes(StandardCharsets.UTF_8), version, "v" + version);
  }

  private static String clocks(long a, long b) {
    return "\"clocks\":{\"logs@0\":[[0," + a + ",-1],[1," + b + ",-1]]}";
  }

  @Test
  void theBoundaryIsTheRunningMaximumOfTheSmallestUnstalledClock() {
    assertNull(take("\"partitions\":{\"logs@0\":[0,1]}").toUs());
    Step first = take(clocks(T + 5_000_000, T));
    assertNull(first.fromUs());
    assertEquals(T, first.toUs());
    Step stalled = take("\"stalled\":{\"logs@0\":[[1,\"no owner\"]]}");
    assertEquals(T, stalled.fromUs());
    assertEquals(T + 5_000_000, stalled.toUs());
    assertEquals("[\"partition 1: no owner\"]", stalled.incomplete());
    // It comes back behind the boundary: that stands.
    Step back = take(clocks(T + 5_000_000, T + 1_000_000));
    assertEquals(T + 5_000_000, back.toUs());
    assertNull(back.incomplete());
    assertTrue(back.at() > stalled.at());
  }

  @Test
  void whenAllAreStalledTheBoundaryStandsAndVersionsStillStep() {
    take("\"partitions\":{\"logs@0\":[0,1]}," + clocks(T, T));
    Step stalled = take("\"stalled\":{\"logs@0\":[[0,\"x\"],[1,\"x\"]]}");
    assertEquals(T, stalled.toUs());
    assertTrue(stalled.at() > state.open.get(0L).at());
  }

  @Test
  void aCheckpointKeepsTheStepsThatSomeReaderHasNotFinished() {
    take("\"partitions\":{\"logs@0\":[0,1]}");
    take(clocks(T, T));
    take(clocks(T + 10, T));
    TailState restored = TailState.fromJson(state.toJson(0));
    assertEquals(3, restored.next);
    assertEquals(state.open.tailMap(1L), restored.open);
  }

  @Test
  void whatLiesBeforeTheStartIsReplayedAndSettledBeforeIt() {
    state.replay(commit(0, "\"partitions\":{\"logs@0\":[0,1]}," + clocks(T, T)));
    Step step = take(clocks(T + 1_000_000, T));
    assertEquals(1, step.version());
    assertEquals(T, step.fromUs(), "boundaries before the start are nobody's: their rows are not there");
    assertEquals(T, step.toUs());
  }

  @Test
  void aContradictionStops() {
    take("\"partitions\":{\"logs@0\":[0,1]}," + clocks(T, T));
    assertThrows(IllegalStateException.class, () -> take(clocks(T - 1, T)));
  }
}
