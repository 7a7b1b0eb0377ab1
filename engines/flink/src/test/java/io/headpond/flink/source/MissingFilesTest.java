package io.headpond.flink.source;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.headpond.flink.lake.ObjectStore;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MissingFilesTest {
  @TempDir Path folder;

  private static ObjectStore.NoSuchObject none(String path) {
    return new ObjectStore.NoSuchObject(path, null);
  }

  @Test
  void aFileIsBelievedToBeGoneOnlyAfterManyAnswers() {
    MissingFiles missing = new MissingFiles(7);
    for (int i = 1; i < MissingFiles.ANSWERS_MAX; ++i) missing.answered(none("bronze/a.parquet"));
    missing.answered(none("bronze/b.parquet")); // another one: a was there after all
    for (int i = 1; i < MissingFiles.ANSWERS_MAX; ++i) missing.answered(none("bronze/a.parquet"));
    SuppressRestartsException refusal = assertThrows(SuppressRestartsException.class, () -> missing.answered(none("bronze/a.parquet")));
    String said = refusal.getCause().getMessage();
    assertTrue(said.startsWith("bronze version 7: its data file bronze/a.parquet is gone, the lake has said so 12 times"), said);
    assertTrue(said.contains("Restore the file from a copy"), said);
  }

  @Test
  void onlyAFileThatIsNotThereIsMissing() throws Exception {
    ObjectStore lake = ObjectStore.open(folder.resolve("lake").toString());
    assertThrows(NoSuchFileException.class, () -> lake.download("b/a.parquet", folder.resolve("x"))); // no lake: not mounted, perhaps
    Files.createDirectories(folder.resolve("lake/b"));
    ObjectStore.NoSuchObject none = assertThrows(ObjectStore.NoSuchObject.class, () -> lake.download("b/a.parquet", folder.resolve("x")));
    assertEquals("b/a.parquet", none.path());
    Files.write(folder.resolve("lake/b/a.parquet"), new byte[] {1});
    assertThrows(NoSuchFileException.class, () -> lake.download("b/a.parquet", folder.resolve("none/x"))); // the local folder
    lake.download("b/a.parquet", folder.resolve("x"));
  }
}
