package io.headpond.flink.source;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.headpond.flink.bronze.DeltaCommit;
import io.headpond.flink.bronze.LiveFiles;
import io.headpond.flink.bronze.LogCheckpoint;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Stream;
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

  /** A gap behind version `after`, to version 90 with the clock at `clockUs`; a file for each first arrival. */
  private static Gap gap(long after, long clockUs, Long... arrivals) {
    String facts = "{\"format\":1,\"version\":90,\"table\":{\"topics\":[{\"name\":\"logs\",\"generation\":0}],\"partitions\":{\"logs@0\":[{\"partition\":0,\"position\":70,\"clock\":" + clockUs
        + "},{\"partition\":1,\"position\":-1,\"stalled\":\"x\"}]}},\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":[\"headpond\"]},\"metaData\":{\"schemaString\":\"{\\\"fields\\\":[]}\"}}";
    LogCheckpoint to = LogCheckpoint.parse(facts.getBytes(StandardCharsets.UTF_8), "c");
    return new Gap(to, after, Stream.of(arrivals).map(at -> new LiveFiles.LiveFile(new DeltaCommit.DataFile("f" + at, 1, 2), at)).toList());
  }

  @Test
  void aGapIsOneStepWithTheClocksBehindIt() {
    take("\"partitions\":{\"logs@0\":[0,1]}," + clocks(T, T));
    Gap gap = gap(0, T + 9_000_000, T + 1, T + 2);
    assertEquals("{logs@0 partition 0=-1, logs@0 partition 1=-1}", state.positionsBefore(gap).toString());
    Step before = state.open.get(0L);
    List<TailState.Leap> leaps = state.leap(gap, 100);
    state = TailState.fromJson(state.toJson(-1));
    assertEquals(1, leaps.size());
    Step step = leaps.get(0).step();
    assertEquals(List.of(90L, T, T + 9_000_000, 4L, "[\"partition 1: x\"]"), List.of(step.version(), step.fromUs(), step.toUs(), step.rows(), step.incomplete()));
    assertTrue(step.at() > before.at());
    assertEquals(2, leaps.get(0).files().size());
    assertEquals(91, state.next);
    assertEquals(70, state.clock.positions().values().iterator().next());
  }

  @Test
  void aLargeGapIsStepsWhoseBoundariesNoFileStillToComeCanChange() {
    take("\"partitions\":{\"logs@0\":[0,1]}," + clocks(T, T));
    List<TailState.Leap> leaps = state.leap(gap(0, T + 9_000_000, T - 5, T + 1_000_000, T + 2_000_000, T + 20_000_000, T + 30_000_000), 1);
    assertEquals(List.of(1L, 2L, 3L, 4L, 90L), leaps.stream().map(leap -> leap.step().version()).toList());
    assertEquals(List.of(T + 1_000_000, T + 2_000_000, T + 9_000_000, T + 9_000_000, T + 9_000_000), leaps.stream().map(leap -> leap.step().toUs()).toList());
    for (int i = 1; i < leaps.size(); ++i) {
      assertEquals(leaps.get(i - 1).step().toUs(), leaps.get(i).step().fromUs());
      assertTrue(leaps.get(i).step().at() > leaps.get(i - 1).step().at());
    }
  }

  @Test
  void aGapWhoseClocksAreBehindSettlesNothingAndAnEmptyOneIsStillAStep() {
    take("\"partitions\":{\"logs@0\":[0,1]}," + clocks(T, T));
    List<TailState.Leap> leaps = state.leap(gap(0, T - 7), 1);
    assertEquals("1 " + T, leaps.size() + " " + leaps.get(0).step().toUs());
  }

  @Test
  void aJobThatBeginsInAGapSettlesNothingBeforeItsFirstRow() {
    Gap gap = gap(40, T + 9_000_000, T, T + 5);
    assertTrue(state.positionsBefore(gap).isEmpty());
    assertEquals(T, state.leap(gap, 100).get(0).step().fromUs());
  }

  @Test
  void aContradictionStops() {
    take("\"partitions\":{\"logs@0\":[0,1]}," + clocks(T, T));
    assertThrows(IllegalStateException.class, () -> take(clocks(T - 1, T)));
  }
}
