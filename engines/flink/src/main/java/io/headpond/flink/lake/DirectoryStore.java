package io.headpond.flink.lake;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Stream;

/** A lake in a directory of this machine. */
final class DirectoryStore implements ObjectStore {
  private final Path root;

  DirectoryStore(Path root) {
    this.root = root;
  }

  @Override
  public Optional<byte[]> get(String path) throws IOException {
    try {
      return Optional.of(Files.readAllBytes(root.resolve(path)));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  @Override
  public void download(String path, Path to) throws IOException {
    Path from = root.resolve(path);
    try {
      Files.copy(from, to);
    } catch (NoSuchFileException e) {
      if (Files.exists(from) || !Files.isDirectory(root)) throw e; // the local folder; or a lake that is not mounted
      throw new NoSuchObject(path, e);
    }
  }

  @Override
  public void put(String path, byte[] bytes) throws IOException {
    Path staged = stage(path, bytes);
    Files.move(staged, root.resolve(path), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  @Override
  public boolean putIfAbsent(String path, byte[] bytes) throws IOException {
    Path staged = stage(path, bytes);
    try {
      Files.createLink(root.resolve(path), staged);
      return true;
    } catch (FileAlreadyExistsException e) {
      return false;
    } finally {
      Files.delete(staged);
    }
  }

  private Path stage(String path, byte[] bytes) throws IOException {
    Path target = root.resolve(path);
    Files.createDirectories(target.getParent());
    return Files.write(target.resolveSibling("." + UUID.randomUUID() + ".tmp"), bytes);
  }

  @Override
  public List<String> list(String prefix, String after, int max) throws IOException {
    Path folder = root.resolve(prefix.substring(0, prefix.lastIndexOf('/') + 1));
    if (!Files.isDirectory(folder)) return List.of();
    try (Stream<Path> files = Files.walk(folder)) {
      return files.filter(Files::isRegularFile)
          .filter(file -> !file.getFileName().toString().endsWith(".tmp"))
          .map(file -> root.relativize(file).toString())
          .filter(path -> path.startsWith(prefix) && path.compareTo(after) > 0)
          .sorted()
          .limit(max)
          .toList();
    }
  }

  @Override
  public void remove(String path) throws IOException {
    Files.deleteIfExists(root.resolve(path));
  }

  @Override
  public void close() {}
}
