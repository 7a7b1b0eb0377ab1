package io.headpond.flink.source;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.headpond.flink.Json;
import io.headpond.flink.bronze.DeltaCommit;
import io.headpond.flink.bronze.SourcePartition;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class BundleTest {
  private static final Step STEP = new Step(7, 9, 1L, 2L, null, 3);
  private static final Map<SourcePartition, Long> AFTER = new TreeMap<>(Map.of(new SourcePartition("logs@0", 1), 41L));
  private static final List<DeltaCommit.DataFile> FILES = List.of(new DeltaCommit.DataFile("f", 1, 2));

  private static Bundle again(Bundle bundle) {
    return Bundle.fromJson(Json.parse(Json.text(bundle.toJson()), "a bundle"));
  }

  @Test
  void aCheckpointKeepsWhichRowsCount() {
    Bundle kept = again(new Bundle(7, STEP, true, FILES, List.of(), AFTER).withoutStep());
    assertEquals(AFTER, kept.after());
    Bundle whole = kept.joined(new Bundle(7, STEP, true, List.of(), List.of(), Map.of()));
    assertEquals(new Bundle(7, STEP, true, FILES, List.of(), AFTER), whole);
  }

  @Test
  void oneThatWasWrittenBeforeThereWereGapsIsRead() {
    Bundle old = Bundle.fromJson(Json.parse("{\"version\":7,\"leader\":false,\"files\":[[\"f\",1,2]],\"columns\":[]}", "a bundle"));
    assertEquals(new Bundle(7, null, false, FILES, List.of(), Map.of()), old);
  }
}
