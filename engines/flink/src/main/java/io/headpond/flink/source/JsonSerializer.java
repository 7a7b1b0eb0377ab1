package io.headpond.flink.source;

import com.fasterxml.jackson.databind.JsonNode;
import io.headpond.flink.Json;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.function.Function;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/** Bytes of what has a JSON form. */
final class JsonSerializer<T> implements SimpleVersionedSerializer<T> {
  interface Codec<A, B> extends Function<A, B>, Serializable {}

  private final Codec<T, JsonNode> write;
  private final Codec<JsonNode, T> read;

  JsonSerializer(Codec<T, JsonNode> write, Codec<JsonNode, T> read) {
    this.write = write;
    this.read = read;
  }

  @Override
  public int getVersion() {
    return 1;
  }

  @Override
  public byte[] serialize(T value) {
    return Json.bytes(write.apply(value));
  }

  @Override
  public T deserialize(int version, byte[] bytes) {
    return read.apply(Json.parse(new String(bytes, StandardCharsets.UTF_8), "a checkpoint's part"));
  }
}
