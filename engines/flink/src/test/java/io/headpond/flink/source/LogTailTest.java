package io.headpond.flink.source;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.headpond.flink.JobDocument;
import io.headpond.flink.Json;
import io.headpond.flink.bronze.DeltaCommit;
import io.headpond.flink.bronze.LogCheckpoint;
import io.headpond.flink.lake.ObjectStore;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Properties;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.duckdb.DuckDBDriver;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LogTailTest {
  private static final SourceSettings EAGER = new SourceSettings(1, 0, 16, 1 << 20, 64);

  @TempDir Path directory;
  private ObjectStore lake;

  @BeforeEach
  void open() throws Exception {
    lake = ObjectStore.open(directory.toString());
    claim(2);
    for (long version = 0; version < 5; ++version) commit(version, 1);
  }

  private void claim(long generation) throws Exception {
    lake.put("pages/p/_generations/%010d.json".formatted(generation), Json.bytes(Json.object().put("format", 1).put("generation", generation).put("claimed_at", 0)));
  }

  private void commit(long version, int format) throws Exception {
    String text = "{\"commitInfo\":{\"headpond\":{\"format\":" + format + "}}}\n";
    if (version == 0)
      text += "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":[\"headpond\"]}}\n{\"metaData\":{\"schemaString\":\"{\\\"fields\\\":[]}\"}}\n";
    lake.put(DeltaCommit.logPath("b", version), text.getBytes(StandardCharsets.UTF_8));
  }

  private LogTail tail(long generation) {
    return tail(generation, -1);
  }

  private LogTail tail(long generation, long startVersion) {
    var program = Json.object().put("format", 1);
    JobDocument job = new JobDocument("t", "p", directory.toString(), "b", 30, "pages/p", directory + "/checkpoints", generation, 0, startVersion, program);
    return new LogTail(job, EAGER);
  }

  /** A checkpoint at `version`, each version before it having brought a file; entries before it are gone. */
  private void clean(long version) throws Exception {
    StringBuilder adds = new StringBuilder();
    for (long v = 0; v <= version; ++v)
      adds.append(v == 0 ? "" : ", ").append("({'path': 'ingest_date=2026-11-18/%d%%20.parquet', 'size': 9, 'stats': '{\"numRecords\":3,\"minValues\":{\"arrival\":\"2026-11-18T10:00:%02d.000001Z\"}}', 'tags': MAP {'headpond.versions': '%d-%d'}})"
          .formatted(v, 59 - v, v, v));
    Path parquet = directory.resolve(LogCheckpoint.filesPath("b", version));
    try (var database = new DuckDBDriver().connect("jdbc:duckdb:", new Properties()); var statement = database.createStatement()) {
      statement.execute("COPY (SELECT add FROM (VALUES " + adds + ") AS v(add) UNION ALL SELECT NULL) TO '" + parquet + "' (FORMAT parquet)");
    }
    String facts = "{\"format\":1,\"version\":" + version + ",\"table\":{\"partitions\":{}},\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":[\"headpond\"]},\"metaData\":{\"schemaString\":\"{\\\"fields\\\":[]}\"}}";
    lake.put(LogCheckpoint.path("b", version), facts.getBytes(StandardCharsets.UTF_8));
    for (long v = 0; v < version; ++v) lake.remove(DeltaCommit.logPath("b", v));
  }

  @Test
  void whereTheLogWasCleanedItGoesOnByTheCheckpointWithTheFilesBeyond() throws Exception {
    clean(3);
    LogTail tail = tail(2);
    LogTail.Found found = tail.poll(2, 16);
    assertEquals(List.of(), found.commits());
    assertEquals(3, found.gap().to().version());
    assertEquals("ingest_date=2026-11-18/3 .parquet", found.gap().files().get(0).file().path(), "as it is in the store");
    assertEquals("3, 2", String.join(", ", found.gap().files().stream().map(f -> f.file().path().substring(23, 24)).toList()), "by first arrival, those of versions beyond 1");
    assertEquals(List.of(4L), versions(tail.poll(4, 16)));
    tail.close();
  }

  @Test
  void whoNeedsNothingOfWhatIsGoneReadsTheLog() throws Exception {
    clean(3);
    LogTail tail = tail(2);
    assertEquals(List.of(3L, 4L), versions(tail.poll(3, 16)));
    tail.close();
  }

  @Test
  void aNewJobBeginsAtTheCheckpointInFrontOfItsStartAndCrossesWhatIsGoneBehindIt() throws Exception {
    clean(3);
    LogTail behind = tail(2, 4), before = tail(2, 1);
    LogTail.Found found = behind.poll(0, 16);
    assertEquals("3, 0", found.gap().to().version() + ", " + found.gap().files().size());
    behind.close();
    found = before.poll(0, 16);
    assertEquals("3, 1, 2", found.gap().to().version() + ", " + found.gap().after() + ", " + found.gap().files().size());
    before.close();
  }

  @Test
  void anEntryThatIsMissingAmongOthersWasNotCleaned() throws Exception {
    clean(2);
    lake.remove(DeltaCommit.logPath("b", 3));
    LogTail tail = tail(2);
    assertTrue(refusal(() -> tail.poll(3, 16)).contains("no checkpoint of the log leads over it"));
    tail.close();
  }

  private static String refusal(org.junit.jupiter.api.function.Executable poll) {
    return assertThrows(SuppressRestartsException.class, poll).getCause().getMessage();
  }

  private static List<Long> versions(LogTail.Found found) {
    return found.commits().stream().map(DeltaCommit::version).toList();
  }

  @Test
  void givesWhatIsThereUpToTheRoom() throws Exception {
    LogTail tail = tail(2);
    assertEquals(List.of(0L, 1L, 2L), versions(tail.poll(0, 3)));
    assertEquals(List.of(3L, 4L), versions(tail.poll(3, 16)));
    assertEquals(List.of(), versions(tail.poll(5, 16)));
    assertEquals(List.of(), versions(tail.poll(0, 0)));
    tail.close();
  }

  @Test
  void aHoleInTheLogStopsAndSaysWhatToDo() throws Exception {
    commit(7, 1);
    LogTail tail = tail(2);
    String message = refusal(() -> tail.poll(5, 16));
    assertTrue(message.contains("00000000000000000005.json is missing, though") && message.contains("00000000000000000007.json exists"), message);
    tail.close();
  }

  @Test
  void whyTheJobEndedStandsInTheCursorOfABranchThatIsItsOwn() throws Exception {
    String path = "b/_headpond/cursors/p.json";
    lake.put(path, "{\"branch\":\"p\",\"state\":\"running\",\"version\":4,\"durable_version\":3}".getBytes(StandardCharsets.UTF_8));
    LogTail holder = tail(2), other = tail(2);
    holder.poll(0, 1);
    other.poll(0, 1);
    other.refused("it cannot go on");
    other.close();
    assertEquals("running", Json.parse(lake.text(path).get(), path).get("state").asText(), "the branch is another job's");
    holder.refused("the log has a hole");
    holder.close();
    var cursor = Json.parse(lake.text(path).get(), path);
    assertEquals("failed: the log has a hole at 4, durable 3",
        "%s: %s at %d, durable %d".formatted(cursor.get("state").asText(), cursor.get("message").asText(), cursor.get("version").asLong(), cursor.get("durable_version").asLong()));
  }

  @Test
  void aNewerFormatStops() throws Exception {
    commit(5, 9);
    LogTail tail = tail(2);
    assertTrue(refusal(() -> tail.poll(5, 16)).contains("written in bronze format 9"));
    tail.close();
  }

  @Test
  void aStateThatIsNotOfTheNewestGenerationIsRefused() throws Exception {
    LogTail tail = tail(1);
    assertTrue(refusal(() -> tail.poll(0, 1)).contains("the newest claimed of branch p is 2"));
    tail.close();
  }

  @Test
  void anEmptyStateInAGenerationThatHasACheckpointIsRefused() throws Exception {
    lake.put("checkpoints/p/g0000000002/abc/chk-9/_metadata", new byte[] {1});
    lake.put("checkpoints/p/g0000000002/abd/chk-10/_metadata", new byte[] {1});
    lake.put("checkpoints/p/g0000000002/abd/chk-11/part", new byte[] {1});
    LogTail tail = tail(2);
    assertTrue(refusal(tail::refuseForgottenState).contains("chk-10"));
    tail.close();
  }

  @Test
  void anEmptyStateInANewGenerationIsNot() throws Exception {
    LogTail tail = tail(2);
    tail.refuseForgottenState();
    assertEquals(1, versions(tail.poll(0, 1)).size());
    tail.close();
  }

  @Test
  void whoDoesNotHoldTheBranchReadsNothing() throws Exception {
    LogTail first = tail(2), second = tail(2);
    assertEquals(1, versions(first.poll(0, 1)).size());
    assertEquals(0, versions(second.poll(0, 1)).size());
    first.close();
    assertEquals(1, versions(second.poll(0, 1)).size());
    second.close();
  }
}
