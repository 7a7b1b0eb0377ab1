package io.headpond.flink;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/** The one way this job reads and writes JSON. */
public final class Json {
  private static final ObjectMapper MAPPER = new ObjectMapper().configure(DeserializationFeature.FAIL_ON_TRAILING_TOKENS, true);

  private Json() {}

  public static ObjectNode object() {
    return MAPPER.createObjectNode();
  }

  public static ArrayNode array() {
    return MAPPER.createArrayNode();
  }

  /** `name` is for the message. Throws IllegalArgumentException. */
  public static JsonNode parse(String text, String name) {
    try {
      JsonNode node = MAPPER.readTree(text);
      if (!node.isObject()) throw new IllegalArgumentException(name + " is not a JSON object");
      return node;
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(name + " is not JSON: " + e.getOriginalMessage(), e);
    }
  }

  public static String text(Object value) {
    try {
      return MAPPER.writeValueAsString(value);
    } catch (JsonProcessingException e) {
      throw new UncheckedIOException(e);
    }
  }

  public static byte[] bytes(Object value) {
    return text(value).getBytes(StandardCharsets.UTF_8);
  }

  /** The member, which must be there. */
  public static JsonNode need(JsonNode object, String member, String name) {
    JsonNode value = object.get(member);
    if (value == null || value.isNull()) throw new IllegalArgumentException(name + " lacks " + member);
    return value;
  }
}
