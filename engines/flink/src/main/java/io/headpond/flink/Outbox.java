package io.headpond.flink;

import com.fasterxml.jackson.databind.JsonNode;
import io.headpond.flink.lake.ObjectStore;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.UUID;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Objects of `pages/<branch>/_outbox/`, whose names sort by the time of their making: docs/formats/pages.md. */
public final class Outbox {
  private static final Logger LOG = LoggerFactory.getLogger(Outbox.class);
  private static final int FORMAT = 1;

  private Outbox() {}

  public static String path(JobDocument job, long version) {
    return "%s/_outbox/%010d-%020d-%s.json".formatted(job.pages(), job.generation(), version, UUID.randomUUID());
  }

  /** Puts one object, and rings, so that the notifier need not list all the time; a ring that is lost costs a few seconds. */
  public static void put(ObjectStore lake, JobDocument job, String path, byte[] bytes) throws IOException {
    lake.put(path, bytes);
    try {
      lake.put(job.pages() + "/_bell", UUID.randomUUID().toString().getBytes(StandardCharsets.US_ASCII));
    } catch (IOException e) {
      LOG.warn("the bell is not rung: {}", e.getMessage());
    }
  }

  /** `settledUs`: the smallest settled boundary of all fold groups, null where it is not known. */
  public static byte[] object(List<? extends JsonNode> transitions, Long settledUs) {
    var object = Json.object().put("format", FORMAT);
    if (settledUs != null) object.put("settled_us", settledUs);
    object.putArray("transitions").addAll(transitions);
    return Json.bytes(object);
  }
}
