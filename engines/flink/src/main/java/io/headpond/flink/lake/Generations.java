package io.headpond.flink.lake;

import io.headpond.flink.Json;
import java.io.IOException;
import java.util.List;
import java.util.OptionalLong;

/** Claims of generations of state: docs/formats/pages.md. */
public final class Generations {
  private Generations() {}

  /** Empty: none was claimed. */
  public static OptionalLong newest(ObjectStore store, String pages) throws IOException {
    List<String> listed = store.list(pages + "/_generations/", "", Integer.MAX_VALUE);
    if (listed.isEmpty()) return OptionalLong.empty();
    String path = listed.get(listed.size() - 1);
    String text = store.text(path).orElseThrow(() -> new IOException(path + " cannot be read"));
    return OptionalLong.of(Json.need(Json.parse(text, path), "generation", path).asLong());
  }
}
