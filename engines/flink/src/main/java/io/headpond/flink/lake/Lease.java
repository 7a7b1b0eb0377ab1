package io.headpond.flink.lake;

import com.fasterxml.jackson.databind.JsonNode;
import io.headpond.flink.Json;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.LongSupplier;

/**
 * The right to be the one engine of a branch for a few seconds at a time: docs/formats/pages.md, "Lease"; src/lease/lease.h is the same in
 * C++. Threads: one at a time.
 */
public final class Lease {
  private static final int FORMAT = 1;
  private static final long LEASE_US = 10_000_000, GRACE_US = 2_000_000;

  private final ObjectStore store;
  private final String root, holder;
  private final LongSupplier monotonicUs;
  private boolean held;
  private long number, epoch, validUntil;
  private long seenSince = -1;

  /** Somebody else has it. */
  public static final class Fenced extends Exception {
    Fenced(String message) {
      super(message);
    }
  }

  private record Seen(long number, long epoch, String holder, boolean released, long waitUs) {}

  public Lease(ObjectStore store, String root, String holder, LongSupplier monotonicUs) {
    this.store = store;
    this.root = root;
    this.holder = holder;
    this.monotonicUs = monotonicUs;
  }

  public boolean held() {
    return held;
  }

  private String path(long n) {
    return "%s/%012d.json".formatted(root, n);
  }

  /** Who has it now, for messages; empty: nobody. */
  public Optional<String> holder() throws IOException {
    return newest().filter(seen -> !seen.released()).map(Seen::holder);
  }

  private Optional<Seen> newest() throws IOException {
    String path;
    Optional<String> text;
    do { // one that is gone was renewed twice since it was listed
      List<String> listed = store.list(root + "/", "", Integer.MAX_VALUE);
      if (listed.isEmpty()) return Optional.empty();
      path = listed.get(listed.size() - 1);
      text = store.text(path);
    } while (text.isEmpty());
    JsonNode json = Json.parse(text.get(), path);
    if (json.path("format").asInt() != FORMAT) throw new IllegalArgumentException(path + " is not a lease of format " + FORMAT + "; install the headpond that wrote it");
    long n = Long.parseLong(path.substring(root.length() + 1, path.length() - ".json".length()));
    return Optional.of(
        new Seen(n, json.path("epoch").asLong(), json.path("holder").asText(), json.path("released").asBoolean(),
            json.path("lease_us").asLong() + json.path("grace_us").asLong()));
  }

  /** Takes it if it is free; false: someone else's, call again soon. */
  public boolean acquire() throws IOException {
    if (held) return true;
    Optional<Seen> seen = newest();
    long now = monotonicUs.getAsLong();
    if (seen.isPresent()) {
      Seen s = seen.get();
      if (s.number() != number || seenSince < 0) seenSince = now;
      number = s.number();
      boolean free = s.released() || s.holder().equals(holder) || now - seenSince >= s.waitUs();
      if (!free) return false;
    }
    epoch = seen.map(s -> s.epoch() + 1).orElse(1L);
    held = putNext(false);
    seenSince = -1;
    return held;
  }

  /** Renews when a third is gone. */
  public void keep() throws IOException, Fenced {
    if (held && (validUntil - monotonicUs.getAsLong()) * 3 > LEASE_US * 2) return;
    held = held && putNext(false);
    if (!held)
      throw new Fenced("another engine has taken over this branch (" + root + " is held by " + holder().orElse("nobody now") + "); this job stops. Run only one, or move the branch with headpond deploy");
  }

  /** Gives it up, so that a successor need not wait. */
  public void release() throws IOException {
    if (!held) return;
    held = false;
    putNext(true);
  }

  private boolean putNext(boolean released) throws IOException {
    long before = monotonicUs.getAsLong();
    var json = Json.object().put("format", FORMAT).put("epoch", epoch).put("holder", holder).put("nonce", UUID.randomUUID().toString());
    json.put("released", released).put("lease_us", LEASE_US).put("grace_us", GRACE_US).put("at", System.currentTimeMillis() * 1000);
    byte[] bytes = Json.bytes(json);
    String path = path(number + 1);
    IOException unknown = put(path, bytes);
    if (unknown != null) {
      Optional<byte[]> there = store.get(path);
      if (there.isPresent() && !Arrays.equals(there.get(), bytes)) {
        if (!isOurs(there.get())) return false;
        ++number; // a put of ours before this one, whose reply never came
        return putNext(released);
      }
      if (there.isEmpty()) {
        // It is gone, so others have gone on; or it never was: a busy store says "conflict" to what it wants to be asked again.
        if (!store.list(root + "/", path, 1).isEmpty()) return false;
        throw unknown;
      }
    }
    // A holder that slept through takeovers may have filled a number that was long removed: anything behind it means it lost.
    if (!store.list(root + "/", path, 1).isEmpty()) return false;
    ++number;
    validUntil = before + LEASE_US;
    // Two objects stay: the newest is never removed, so the chain never seems to begin anew.
    if (number > 2) store.remove(path(number - 2));
    return true;
  }

  /** Null: put. Else there may be one, perhaps this one: the answer of a put that won may be lost. */
  private IOException put(String path, byte[] bytes) {
    try {
      return store.putIfAbsent(path, bytes) ? null : new IOException(path + " could not be put; the store says that there is one");
    } catch (IOException e) {
      return e;
    }
  }

  /** This holder wrote it in this epoch; a successor, also one of the same name, begins another. */
  private boolean isOurs(byte[] text) {
    JsonNode json = Json.parse(new String(text, StandardCharsets.UTF_8), root);
    return json.path("holder").asText().equals(holder) && json.path("epoch").asLong() == epoch;
  }
}
