package io.headpond.flink.bronze;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.headpond.flink.Json;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

/** Each test is one sentence of "Time" in docs/formats/bronze.md; the cases are those of src/bronze/table_clock_test.cpp. */
class TableClockTest {
  private TableClock clock = new TableClock();

  private void apply(String facts) {
    clock.apply(parse(facts));
    clock = TableClock.fromJson(clock.toJson()); // what a checkpoint keeps is all there is
  }

  private static CommitFacts parse(String members) {
    return CommitFacts.parse(Json.parse("{\"format\":1" + (members.isEmpty() ? "" : "," + members) + "}", "test"), "test");
  }

  private void refused(String facts, String why) {
    String message = assertThrows(IllegalStateException.class, () -> clock.apply(parse(facts))).getMessage();
    assertTrue(message.contains(why), message);
  }

  private static String naming(String ids) {
    return "\"partitions\":{\"logs@0\":[" + ids + "]}";
  }

  private static String clocks(String entries) {
    return "\"clocks\":{\"logs@0\":[" + entries + "]}";
  }

  private static String stalling(int id, String reason) {
    return "\"stalled\":{\"logs@0\":[[" + id + ",\"" + reason + "\"]]}";
  }

  private static String rows(int id, long first, long last) {
    return "\"batches\":[{\"txnId\":\"t\",\"writer\":\"w\",\"source\":\"logs@0\",\"files\":[],\"ranges\":[[" + id + ",0," + first + "," + last
        + ",1,0,0,0,\"0000000000000000\",\"0000000000000000\"]],\"seconds\":[]}]";
  }

  private TableClock.State state(int id) {
    return clock.partitions().get(new SourcePartition("logs@0", id));
  }

  @Test
  void namesNothingBeforeTheFirstNamingCommit() {
    apply("");
    assertEquals(OptionalLong.empty(), clock.smallestUnstalled());
  }

  @Test
  void aPartitionWithoutAClockHoldsTheMinimum() {
    apply(naming("0,1") + "," + clocks("[0,100,-1]"));
    assertEquals(OptionalLong.empty(), clock.smallestUnstalled());
    apply(clocks("[1,70,-1]"));
    assertEquals(OptionalLong.of(70), clock.smallestUnstalled());
  }

  @Test
  void aLaterPartitionStartsWithTheSmallestUnstalledClockOfTheVersionBefore() {
    apply(naming("0,1,2"));
    apply(clocks("[0,100,-1],[1,70,-1],[2,10,-1]"));
    apply(stalling(2, "no leader"));
    apply(naming("3") + "," + clocks("[0,500,-1],[1,500,-1]")); // this version's own clocks do not count
    assertEquals(70L, state(3).clockUs());
    assertEquals(-1, state(3).position());
    assertTrue(state(3).inForce());
    assertEquals(OptionalLong.of(70), clock.smallestUnstalled());
  }

  @Test
  void aLaterPartitionHasNoClockWhereTheVersionBeforeHadNone() {
    apply(naming("0"));
    apply(naming("1"));
    assertNull(state(1).clockUs());
  }

  @Test
  void aNewGenerationTakesTheOldSourceOutOfForce() {
    apply("\"topic\":{\"name\":\"logs\",\"id\":\"A\",\"generation\":0}," + naming("0,1"));
    apply(rows(0, 0, 9));
    apply(clocks("[0,100,9],[1,40,-1]"));
    apply("\"topic\":{\"name\":\"logs\",\"id\":\"B\",\"generation\":1},\"partitions\":{\"logs@1\":[0]}");
    assertFalse(state(0).inForce());
    assertFalse(state(1).inForce());
    assertEquals(40L, clock.partitions().get(new SourcePartition("logs@1", 0)).clockUs());
    apply("\"clocks\":{\"logs@1\":[[0,90,-1]]}");
    assertEquals(OptionalLong.of(90), clock.smallestUnstalled()); // partition 1 of the old source holds nothing any more
    assertEquals(9, state(0).position()); // but what was covered stays known
    refused(rows(0, 10, 10), "no longer in force");
  }

  @Test
  void anotherPartitionOfTheSameSourceTakesNothingOutOfForce() {
    apply(naming("0"));
    apply(naming("1"));
    assertTrue(state(0).inForce());
  }

  @Test
  void aStalledPartitionLeavesTheMinimum() {
    apply(naming("0,1") + "," + clocks("[0,100,-1],[1,10,-1]"));
    apply(stalling(1, "no owner"));
    assertEquals(OptionalLong.of(100), clock.smallestUnstalled());
    assertEquals(List.of("partition 1: no owner"), clock.stalled());
  }

  @Test
  void stalledLastsOverCommitsThatDoNotTouchThePartition() {
    apply(naming("0,1") + "," + clocks("[0,100,-1],[1,10,-1]"));
    apply(stalling(1, "no owner"));
    apply(rows(0, 0, 5));
    apply(clocks("[0,200,5],[1,10,-1]")); // the same clock again is no change
    assertNotNull(state(1).stalled());
  }

  @Test
  void aChangeOfPositionLiftsStalled() {
    apply(naming("0"));
    apply(stalling(0, "no owner"));
    apply(rows(0, 0, 0));
    assertNull(state(0).stalled());
  }

  @Test
  void aChangeOfClockLiftsStalled() {
    apply(naming("0"));
    apply(stalling(0, "no owner"));
    apply(clocks("[0,1,-1]"));
    assertNull(state(0).stalled());
    assertEquals(OptionalLong.of(1), clock.smallestUnstalled());
  }

  @Test
  void whatMovesInTheVeryVersionThatNamesItIsNotStalled() {
    apply(naming("0"));
    apply(rows(0, 0, 0) + "," + stalling(0, "no owner"));
    assertNull(state(0).stalled());
  }

  @Test
  void ifEveryPartitionInForceIsStalledNothingSettles() {
    apply(naming("0") + "," + clocks("[0,100,-1]"));
    apply(stalling(0, "no leader"));
    assertEquals(OptionalLong.empty(), clock.smallestUnstalled());
  }

  @Test
  void aClockNeverGoesBack() {
    apply(naming("0") + "," + clocks("[0,100,-1]"));
    refused(clocks("[0,99,-1]"), "goes back from 100 to 99");
  }

  @Test
  void aClockIsValidOnlyWhileItsPositionIsTheTables() {
    apply(naming("0"));
    apply(rows(0, 0, 9));
    refused(clocks("[0,50,8]"), "proven at offset 8, the table is at 9");
  }

  @Test
  void aClockMayBeProvenAtThePositionItsOwnCommitReaches() {
    apply(naming("0") + "," + rows(0, 0, 9) + "," + clocks("[0,50,9]"));
    assertEquals(50L, state(0).clockUs());
  }

  @Test
  void rangesFollowOneAnother() {
    apply(naming("0"));
    apply(rows(0, 0, 9));
    apply(rows(0, 10, 10));
    refused(rows(0, 12, 13), "offsets 12-13 do not follow offset 10");
  }

  @Test
  void aRangeIsNotCoveredTwice() {
    apply(naming("0"));
    apply(rows(0, 0, 9));
    refused(rows(0, 0, 9), "do not follow");
  }

  @Test
  void rowsOfAnUnnamedPartitionAreCorrupt() {
    apply(naming("0"));
    refused(rows(1, 0, 9), "never named");
  }

  @Test
  void aGenerationNeverGoesBack() {
    apply("\"topic\":{\"name\":\"logs\",\"id\":\"B\",\"generation\":1},\"partitions\":{\"logs@1\":[0]}");
    refused("\"topic\":{\"name\":\"logs\",\"id\":\"A\",\"generation\":0}," + naming("0"), "generation goes back from 1 to 0");
  }

  @Test
  void onlyTheTopicInForceNamesPartitions() {
    apply("\"topic\":{\"name\":\"logs\",\"id\":\"B\",\"generation\":1},\"partitions\":{\"logs@1\":[0]}");
    refused(naming("1"), "logs@0 partition 1 is not of the topic in force, logs@1");
  }
}
