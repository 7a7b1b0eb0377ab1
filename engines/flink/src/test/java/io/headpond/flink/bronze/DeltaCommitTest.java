package io.headpond.flink.bronze;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

class DeltaCommitTest {
  private static final String FACTS = "{\"commitInfo\":{\"headpond\":{\"format\":1}}}\n";
  private static final String PROTOCOL = "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":[\"headpond\"]}}\n";
  private static final String METADATA =
      "{\"metaData\":{\"id\":\"x\",\"schemaString\":\"{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":[{\\\"name\\\":\\\"ts\\\",\\\"type\\\":\\\"timestamp\\\"}]}\"}}\n";

  private static DeltaCommit parse(long version, String text) {
    return DeltaCommit.parse(text.getBytes(StandardCharsets.UTF_8), version, "v");
  }

  private static void refused(long version, String text, String why) {
    String message = assertThrows(IllegalArgumentException.class, () -> parse(version, text)).getMessage();
    assertTrue(message.contains(why), message);
  }

  @Test
  void readsFilesThatBringRowsAndNotThoseOfARewrite() {
    String adds =
        "{\"add\":{\"path\":\"ingest_date=2026-11-18/a.parquet\",\"size\":10,\"dataChange\":true,\"stats\":\"{\\\"numRecords\\\":3}\"}}\n"
            + "{\"add\":{\"path\":\"b.parquet\",\"size\":10,\"dataChange\":false}}\n{\"remove\":{\"path\":\"c.parquet\",\"dataChange\":true}}\n";
    DeltaCommit commit = parse(4, FACTS + adds);
    assertEquals(List.of(new DeltaCommit.DataFile("ingest_date=2026-11-18/a.parquet", 10, 3)), commit.files());
    assertNull(commit.schema());
  }

  @Test
  void readsTheSchemaOfTheFirstCommit() {
    assertEquals(List.of(new DeltaCommit.Column("ts", "timestamp")), parse(0, FACTS + PROTOCOL + METADATA).schema());
  }

  @Test
  void refusesAForeignCommit() {
    refused(3, "{\"commitInfo\":{\"operation\":\"WRITE\"}}\n", "another program committed");
  }

  @Test
  void refusesANewerFormatAndNamesTheVersionThatReadsIt() {
    refused(3, "{\"commitInfo\":{\"headpond\":{\"format\":2,\"needs\":\"9.1.0\"}}}\n", "install Headpond 9.1.0 or later");
  }

  @Test
  void refusesAForeignProtocol() {
    refused(0, FACTS + PROTOCOL.replace("headpond\"]", "headpond\",\"x\"]") + METADATA, "a bronze table has reader 1 / writer 7");
  }

  @Test
  void refusesAFirstCommitWithoutMetadata() {
    refused(0, FACTS + PROTOCOL, "no protocol or no metaData");
  }

  @Test
  void refusesATornEntry() {
    refused(3, FACTS + "{\"add\":{\"path\":", "not JSON");
  }
}
