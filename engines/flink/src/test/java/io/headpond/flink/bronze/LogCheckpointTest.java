package io.headpond.flink.bronze;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

class LogCheckpointTest {
  static final String TEXT = """
      {"format":1,"needs":"0.1.0","version":86,"committed_at":5,"files":2,"rows":9,
       "table":{"topics":[{"name":"logs","id":"a","generation":0},{"name":"logs","id":"b","generation":1}],
         "partitions":{"logs@0":[{"partition":0,"position":41,"clock":7,"in_force":false,"ends_in_row":true}],
                       "logs@1":[{"partition":0,"position":3,"clock":100,"proven_at":3},{"partition":1,"position":-1,"clock":90,"stalled":"no leader"}]}},
       "protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["headpond"]},
       "metaData":{"schemaString":"{\\"fields\\":[{\\"name\\":\\"ts\\",\\"type\\":\\"timestamp\\"}]}"}}""";

  private static LogCheckpoint parse(String text) {
    return LogCheckpoint.parse(text.getBytes(StandardCharsets.UTF_8), "c.json");
  }

  @Test
  void holdsWhatAFoldOfTheLogKnows() {
    LogCheckpoint checkpoint = parse(TEXT);
    assertEquals(86, checkpoint.version());
    assertEquals(List.of(new DeltaCommit.Column("ts", "timestamp")), checkpoint.schema());
    TableClock clock = checkpoint.clock();
    assertEquals("logs@1", clock.topic().source());
    assertEquals(OptionalLong.of(100), clock.smallestUnstalled(), "one is out of force, one is stalled");
    assertEquals(List.of("partition 1: no leader"), clock.stalled());
    assertEquals("{logs@0 partition 0=41, logs@1 partition 0=3, logs@1 partition 1=-1}", clock.positions().toString());
  }

  @Test
  void theNextCommitFollowsIt() {
    TableClock clock = parse(TEXT).clock();
    String next = "{\"commitInfo\":{\"headpond\":{\"format\":1,\"batches\":[{\"source\":\"logs@1\",\"ranges\":[[0,0,4,9,6,60,0,0,\"0\",\"0\"]]}],\"clocks\":{\"logs@1\":[[0,120,9]]}}}}";
    clock.apply(DeltaCommit.parse(next.getBytes(StandardCharsets.UTF_8), 87, "n").facts());
    assertEquals(OptionalLong.of(120), clock.smallestUnstalled());
  }

  @Test
  void aNewerFormatAndAnotherTableStop() {
    assertTrue(assertThrows(IllegalArgumentException.class, () -> parse(TEXT.replace("\"format\":1", "\"format\":2"))).getMessage().contains("install Headpond 0.1.0"));
    assertTrue(assertThrows(IllegalArgumentException.class, () -> parse(TEXT.replace("[\"headpond\"]", "[\"x\"]"))).getMessage().contains("was not written by this Headpond"));
    assertTrue(assertThrows(IllegalArgumentException.class, () -> parse(TEXT.replace("\"position\"", "\"place\""))).getMessage().contains("restore it from a copy"));
  }
}
