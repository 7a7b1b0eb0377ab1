package io.headpond.flink.lake;

import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * The lake as the job sees it: paths below its root, without a leading slash. One request a call. Threads: any.
 *
 * <p>IOException: the outcome is not known, or the store is not reachable; the caller may try again.
 */
public interface ObjectStore extends AutoCloseable {
  /** Empty: there is no such object. */
  Optional<byte[]> get(String path) throws IOException;

  /** The store has answered that there is no such object. */
  final class NoSuchObject extends IOException {
    private final String path;

    public NoSuchObject(String path, Throwable cause) {
      super(path + ": there is no such object", cause);
      this.path = path;
    }

    public String path() {
      return path;
    }
  }

  /** Into a new local file. NoSuchObject: there is none. */
  void download(String path, Path to) throws IOException;

  void put(String path, byte[] bytes) throws IOException;

  /** False: there is one already (perhaps ours, from an attempt whose answer was lost). */
  boolean putIfAbsent(String path, byte[] bytes) throws IOException;

  /** Up to `max` paths that begin with `prefix` and sort behind `after` (empty: from the first), in order. */
  List<String> list(String prefix, String after, int max) throws IOException;

  void remove(String path) throws IOException;

  @Override
  void close();

  default Optional<String> text(String path) throws IOException {
    return get(path).map(bytes -> new String(bytes, StandardCharsets.UTF_8));
  }

  /** `lake`: s3://bucket/prefix, with endpoint and credentials from the usual AWS_ environment; or a directory. */
  static ObjectStore open(String lake) {
    if (!lake.contains("://")) return new DirectoryStore(Path.of(lake));
    URI uri = URI.create(lake);
    return switch (uri.getScheme()) {
      case "s3", "s3a" -> S3Store.open(uri.getHost(), uri.getPath().replaceAll("^/|/$", ""));
      case "file" -> new DirectoryStore(Path.of(uri));
      default -> throw new IllegalArgumentException("the lake " + lake + " is neither s3://… nor a directory: the Flink pager reads no other store yet");
    };
  }
}
