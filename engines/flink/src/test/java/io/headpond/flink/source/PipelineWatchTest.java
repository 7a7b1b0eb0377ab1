package io.headpond.flink.source;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.headpond.flink.JobDocument;
import io.headpond.flink.Json;
import java.util.List;
import org.junit.jupiter.api.Test;

class PipelineWatchTest {
  private static final long SECOND = 1_000_000, NOW = 1_795_000_000 * SECOND;
  private static final JobDocument JOB = new JobDocument("t", "p", "l", "b", 30, "pages/p", "c", 2, 0, -1, Json.object());

  private PipelineWatch watch = new PipelineWatch(JOB, null, 0);

  private void look(boolean found, long version, long second) {
    watch.looked(found, version, second * SECOND, NOW + second * SECOND);
  }

  private List<String> told(long checkpoint) {
    return watch.toTell(checkpoint).stream().map(t -> t.get("kind").asText() + " " + t.get("seq").asLong() + " " + (t.get("began_at").asLong() - NOW) / SECOND).toList();
  }

  @Test
  void firesOnceAfterThirtySecondsAndResolvesWithTheNextVersion() {
    look(true, 4, 1);
    look(false, 4, 30);
    look(false, 4, 31);
    look(false, 4, 50);
    watch.snapshot(7);
    assertEquals(List.of("firing 1 31"), told(7));
    look(true, 5, 60);
    watch.snapshot(8);
    assertEquals(List.of("firing 1 31", "resolved 2 31"), told(8));
  }

  @Test
  void isToldOnlyFromACompleteCheckpointAndAgainUntilItWasWritten() {
    look(false, 4, 31);
    assertEquals(List.of(), told(6));
    watch.snapshot(7);
    assertEquals(List.of(), told(6));
    watch.told(watch.toTell(7));
    assertEquals(List.of(), told(9));
  }

  @Test
  void aRestoredOneGoesOnBehindItsSeq() {
    look(false, 4, 31);
    watch = new PipelineWatch(JOB, Json.parse(Json.text(watch.snapshot(7)), "state"), 40 * SECOND);
    assertEquals(List.of("firing 1 31"), told(1));
    look(true, 5, 41);
    assertTrue(Json.text(watch.snapshot(2)).contains("\"seq\":2"));
  }

  @Test
  void aTableWithoutVersionsIsNotLate() {
    look(false, -1, 100);
    watch.snapshot(1);
    assertEquals(List.of(), told(1));
  }
}
