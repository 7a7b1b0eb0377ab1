package io.headpond.flink;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.UUID;

/** Objects of `pages/<branch>/_outbox/`, whose names sort by the time of their making: docs/formats/pages.md. */
public final class Outbox {
  private static final int FORMAT = 1;

  private Outbox() {}

  public static String path(JobDocument job, long version) {
    return "%s/_outbox/%010d-%020d-%s.json".formatted(job.pages(), job.generation(), version, UUID.randomUUID());
  }

  /** `settledUs`: the smallest settled boundary of all fold groups, null where it is not known. */
  public static byte[] object(List<? extends JsonNode> transitions, Long settledUs) {
    var object = Json.object().put("format", FORMAT);
    if (settledUs != null) object.put("settled_us", settledUs);
    object.putArray("transitions").addAll(transitions);
    return Json.bytes(object);
  }
}
