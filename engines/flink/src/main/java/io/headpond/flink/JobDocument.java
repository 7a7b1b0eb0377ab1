package io.headpond.flink;

import com.fasterxml.jackson.databind.JsonNode;
import io.headpond.flink.lake.ObjectStore;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/** What `headpond deploy` wrote for this branch: build/deploy/<branch>/job.json. Format: docs/formats/job.md. */
public record JobDocument(
    String topology,
    String branch,
    String lake,
    String bronze,
    double promiseS,
    String pages,
    String checkpoints,
    long generation,
    long claimedAtUs,
    long startVersion,
    JsonNode program) {
  public static final int FORMAT = 1, PROGRAM_FORMAT = 1;
  private static final Set<String> MEASURES = Set.of("count", "presence");

  /** A path of this machine, or an object of a lake: s3://bucket/key. */
  public static String read(String place) throws IOException {
    int slash = place.lastIndexOf('/');
    if (!place.contains("://")) return Files.readString(Path.of(place));
    try (ObjectStore store = ObjectStore.open(place.substring(0, slash))) {
      return new String(
          store.get(place.substring(slash + 1)).orElseThrow(() -> new IOException("there is no " + place + "; run headpond deploy")), StandardCharsets.UTF_8);
    }
  }

  /** Throws IllegalArgumentException with what this engine cannot run and what to do. */
  public static JobDocument parse(String text) {
    JsonNode json = Json.parse(text, "the job document");
    int format = json.path("format").asInt();
    if (format != FORMAT)
      throw new IllegalArgumentException("the job document has format " + format + ", this job reads " + FORMAT + "; deploy with the headpond this job came with");
    if (!json.path("kind").asText().equals("pager") || !json.path("engine").asText().equals("flink"))
      throw new IllegalArgumentException("the job document is not of a pager on flink; give this job the one of such a branch");
    JsonNode pager = Json.need(json, "pager", "the job document");
    JobDocument job =
        new JobDocument(
            json.path("topology").asText(), text(json, "branch"), text(json, "lake"), text(json, "bronze"), json.path("promise_s").asDouble(),
            text(pager, "pages"), text(pager, "checkpoints"), Json.need(pager, "generation", "pager").asLong(), Json.need(pager, "claimed_at_us", "pager").asLong(),
            pager.path("start_version").asLong(-1), Json.need(pager, "program", "pager"));
    checkProgram(job.program);
    return job;
  }

  private static String text(JsonNode object, String member) {
    return Json.need(object, member, "the job document").asText();
  }

  private static void checkProgram(JsonNode program) {
    int format = program.path("format").asInt();
    if (format != PROGRAM_FORMAT)
      throw new IllegalArgumentException("the rules have format " + format + ", this job runs " + PROGRAM_FORMAT + "; deploy the job jar of the headpond that compiled them");
    for (JsonNode fold : program.path("folds")) {
      if (fold.path("interval_us").asLong() % 1000 != 0 || fold.path("lateness_us").asLong() % 1000 != 0)
        throw new IllegalArgumentException("interval and lateness must be whole milliseconds on Flink; write them so, or use engine: embedded");
      for (JsonNode measure : fold.path("measures")) {
        if (!MEASURES.contains(measure.path("kind").asText()))
          throw new IllegalArgumentException("Flink cannot run a rule that measures " + measure.path("kind").asText() + " the same way yet; use engine: embedded");
      }
    }
    if (program.path("folds").isEmpty()) throw new IllegalArgumentException("the branch has no rules; write one, there is nothing to run");
  }

  public byte[] programBytes() {
    return Json.bytes(program);
  }

  /** Where this generation's checkpoints lie. */
  public String checkpointRoot() {
    return "%s/%s/g%010d".formatted(checkpoints, branch, generation);
  }

  public String bronzePath(String path) {
    return bronze + "/" + path;
  }

  /** Times of the fold groups, in the order of the program. */
  public List<FoldTimes> foldTimes() {
    return java.util.stream.StreamSupport.stream(program.path("folds").spliterator(), false)
        .map(fold -> new FoldTimes(fold.path("interval_us").asLong(), fold.path("lateness_us").asLong()))
        .toList();
  }
}
