package io.headpond.flink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import io.headpond.flink.lake.ObjectStore;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OutboxTest {
  private static final JobDocument JOB = new JobDocument("t", "p", "l", "b", 30, "pages/p", "c", 2, 0, -1, Json.object());
  private static final byte[] BYTES = {1, 2, 3};

  @TempDir Path directory;

  private String put(long version) throws Exception {
    String path = Outbox.path(JOB, version);
    try (ObjectStore lake = ObjectStore.open(directory.toString())) {
      Outbox.put(lake, JOB, path, BYTES);
      assertArrayEquals(BYTES, lake.get(path).orElseThrow());
    }
    return path;
  }

  @Test
  void eachObjectHasANameOfItsOwnAndRingsTheBell() throws Exception {
    String first = put(7);
    String bell = Files.readString(directory.resolve("pages/p/_bell"));
    assertNotEquals(first, put(7));
    assertNotEquals(bell, Files.readString(directory.resolve("pages/p/_bell")));
    assertEquals("pages/p/_outbox/0000000002-00000000000000000007-", first.substring(0, first.indexOf("7-") + 2));
  }

  @Test
  void aBellThatCannotBeRungCostsNoObject() throws Exception {
    Files.createDirectories(directory.resolve("pages/p/_bell/in-its-way"));
    put(8);
  }
}
