package io.headpond.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class JobDocumentTest {
  private static final String GOOD =
      "{\"format\":1,\"topology\":\"t\",\"branch\":\"p\",\"kind\":\"pager\",\"engine\":\"flink\",\"lake\":\"s3://l\",\"bronze\":\"b\",\"promise_s\":30,\"pager\":{\"pages\":\"pages/p\","
          + "\"checkpoints\":\"s3://l/pager\",\"generation\":2,\"claimed_at_us\":5,\"start_version\":-1,\"program\":{\"format\":1,\"folds\":[{\"interval_us\":1000000,\"lateness_us\":5000000,"
          + "\"measures\":[{\"kind\":\"count\"}]}]}}}";

  private static void refused(String from, String to, String why) {
    String message = assertThrows(IllegalArgumentException.class, () -> JobDocument.parse(GOOD.replace(from, to))).getMessage();
    assertTrue(message.contains(why), message);
  }

  @Test
  void readsWhatDeployWrote() {
    JobDocument job = JobDocument.parse(GOOD);
    assertEquals(2, job.generation());
    assertEquals("s3://l/pager/p/g0000000002", job.checkpointRoot());
    assertEquals(new FoldTimes(1_000_000, 5_000_000), job.foldTimes().get(0));
  }

  @Test
  void refusesWhatItCannotRunTheSameWay() {
    refused("\"kind\":\"count\"", "\"kind\":\"distinct\"", "measures distinct");
    refused("\"program\":{\"format\":1", "\"program\":{\"format\":2", "the rules have format 2");
    refused("{\"format\":1,\"topology\"", "{\"format\":7,\"topology\"", "job document has format 7");
    refused("\"engine\":\"flink\"", "\"engine\":\"embedded\"", "not of a pager on flink");
    refused("1000000", "1000001", "whole milliseconds");
    refused("\"claimed_at_us\":5,", "", "lacks claimed_at_us");
  }
}
