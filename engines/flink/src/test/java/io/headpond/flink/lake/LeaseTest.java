package io.headpond.flink.lake;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.headpond.flink.Json;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LeaseTest {
  private static final long SECOND = 1_000_000;

  @TempDir Path directory;
  private long now = 0;

  private Lease lease(String holder) {
    return new Lease(new DirectoryStore(directory), "l", holder, () -> now);
  }

  @Test
  void oneHoldsItUntilItGivesItUp() throws Exception {
    Lease a = lease("flink:a"), b = lease("flink:b");
    assertTrue(a.acquire());
    assertFalse(b.acquire());
    assertEquals("flink:a", b.holder().orElseThrow());
    a.release();
    assertTrue(b.acquire());
  }

  @Test
  void aSuccessorWaitsLeaseAndGraceFromTheNewestObject() throws Exception {
    Lease a = lease("flink:a"), b = lease("flink:b");
    assertTrue(a.acquire());
    assertFalse(b.acquire());
    now += 11 * SECOND;
    assertFalse(b.acquire());
    now += SECOND;
    assertTrue(b.acquire());
    String message = assertThrows(Lease.Fenced.class, a::keep).getMessage();
    assertTrue(message.contains("held by flink:b"), message);
  }

  @Test
  void aRenewalStartsTheWaitAnew() throws Exception {
    Lease a = lease("flink:a"), b = lease("flink:b");
    assertTrue(a.acquire());
    assertFalse(b.acquire());
    now += 8 * SECOND;
    a.keep();
    now += 5 * SECOND;
    assertFalse(b.acquire());
    now += 12 * SECOND;
    assertTrue(b.acquire());
  }

  @Test
  void whatTheEmbeddedEngineWroteIsRespected() throws Exception {
    ObjectStore store = new DirectoryStore(directory);
    String embedded = "{\"format\":1,\"epoch\":4,\"holder\":\"embedded:x\",\"nonce\":\"n\",\"released\":false,\"lease_us\":3000000,\"grace_us\":2000000,\"at\":1}";
    store.put("l/000000000009.json", embedded.getBytes());
    Lease a = lease("flink:a");
    assertFalse(a.acquire());
    now += 5 * SECOND;
    assertTrue(a.acquire());
    var json = Json.parse(store.text("l/000000000010.json").orElseThrow(), "lease");
    assertEquals(5, json.get("epoch").asLong());
    assertFalse(json.get("released").asBoolean());
  }

  @Test
  void anAnswerThatWasLostIsFoundToBeOurs() throws Exception {
    ObjectStore real = new DirectoryStore(directory);
    Lease a = new Lease(new Forwarding(real) {
      @Override
      public boolean putIfAbsent(String path, byte[] bytes) throws IOException {
        super.putIfAbsent(path, bytes);
        throw new IOException("timed out");
      }
    }, "l", "flink:a", () -> now);
    assertTrue(a.acquire());
  }

  @Test
  void aRenewalThatArrivesAfterItsAnswerWasGivenUpIsOursToo() throws Exception {
    ObjectStore real = new DirectoryStore(directory);
    List<Runnable> onTheWay = new ArrayList<>();
    boolean[] slow = {false};
    Lease a = new Lease(new Forwarding(real) {
      @Override
      public boolean putIfAbsent(String path, byte[] bytes) throws IOException {
        if (!slow[0]) return super.putIfAbsent(path, bytes);
        slow[0] = false;
        onTheWay.add(() -> {
          try {
            real.putIfAbsent(path, bytes);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
        throw new IOException("timed out");
      }
    }, "l", "flink:a", () -> now);
    assertTrue(a.acquire());
    slow[0] = true;
    now += 5 * SECOND;
    assertThrows(IOException.class, a::keep);
    onTheWay.get(0).run();
    a.keep();
    assertFalse(lease("flink:b").acquire());
    now += 5 * SECOND;
    a.keep();
  }

  @Test
  void aConflictThatNobodyCausedIsAskedAgain() throws Exception {
    boolean[] busy = {false};
    Lease a = new Lease(new Forwarding(new DirectoryStore(directory)) {
      @Override
      public boolean putIfAbsent(String path, byte[] bytes) throws IOException {
        return !busy[0] && super.putIfAbsent(path, bytes);
      }
    }, "l", "flink:a", () -> now);
    assertTrue(a.acquire());
    busy[0] = true;
    now += 5 * SECOND;
    assertThrows(IOException.class, a::keep);
    busy[0] = false;
    a.keep();
    assertTrue(a.held());
  }

  @Test
  void aLeaseThatIsRenewedTwiceBehindAListingIsListedAgain() throws Exception {
    Lease a = lease("flink:a");
    assertTrue(a.acquire());
    int[] listings = {0};
    Lease b = new Lease(new Forwarding(new DirectoryStore(directory)) {
      @Override
      public List<String> list(String prefix, String after, int max) throws IOException {
        List<String> listed = super.list(prefix, after, max);
        for (int i = 0; i < 2 && listings[0] == 0; ++i) {
          now += 5 * SECOND;
          try {
            a.keep();
          } catch (Lease.Fenced e) {
            throw new IOException(e);
          }
        }
        ++listings[0];
        return listed;
      }
    }, "l", "flink:b", () -> now);
    assertFalse(b.acquire());
    assertEquals(2, listings[0]);
  }

  /** A store that another stands behind. */
  private abstract static class Forwarding implements ObjectStore {
    private final ObjectStore behind;

    Forwarding(ObjectStore behind) {
      this.behind = behind;
    }

    @Override
    public java.util.Optional<byte[]> get(String path) throws IOException {
      return behind.get(path);
    }

    @Override
    public void download(String path, Path to) throws IOException {
      behind.download(path, to);
    }

    @Override
    public void put(String path, byte[] bytes) throws IOException {
      behind.put(path, bytes);
    }

    @Override
    public boolean putIfAbsent(String path, byte[] bytes) throws IOException {
      return behind.putIfAbsent(path, bytes);
    }

    @Override
    public java.util.List<String> list(String prefix, String after, int max) throws IOException {
      return behind.list(prefix, after, max);
    }

    @Override
    public void remove(String path) throws IOException {
      behind.remove(path);
    }

    @Override
    public void close() {}
  }
}
