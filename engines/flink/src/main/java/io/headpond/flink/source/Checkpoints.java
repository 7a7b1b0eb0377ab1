package io.headpond.flink.source;

import io.headpond.flink.lake.ObjectStore;
import java.io.IOException;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Which checkpoint a job resumes from when its JobManager is gone: of those below a generation's root that are complete (they have a
 * `_metadata`), the one with the highest number. A resumed job counts on behind the one it resumed from, whatever its job id, so that one is
 * the newest.
 */
public final class Checkpoints {
  private static final Pattern COMPLETE = Pattern.compile(".*/chk-(\\d+)/_metadata");

  private Checkpoints() {}

  /** Its folder. `root` ends with a slash. */
  public static Optional<String> newest(ObjectStore store, String root) throws IOException {
    String best = null;
    long number = -1;
    for (String path : store.list(root, "", Integer.MAX_VALUE)) {
      Matcher matcher = COMPLETE.matcher(path);
      if (!matcher.matches() || Long.parseLong(matcher.group(1)) <= number) continue;
      number = Long.parseLong(matcher.group(1));
      best = path.substring(0, path.lastIndexOf('/'));
    }
    return Optional.ofNullable(best);
  }

  /** Prints the newest checkpoint below a place, s3://…; exit code 1: there is none. */
  public static void main(String[] args) throws IOException {
    String place = args[0].replaceAll("/$", "");
    int slash = place.lastIndexOf('/');
    try (ObjectStore store = ObjectStore.open(place.substring(0, slash))) {
      Optional<String> newest = newest(store, place.substring(slash + 1) + "/");
      newest.ifPresent(path -> System.out.println(place.substring(0, slash) + "/" + path));
      System.exit(newest.isPresent() ? 0 : 1);
    }
  }
}
