package io.headpond.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class VersionTimeTest {
  private static final long LATENESS = 5_000_000, INTERVAL = 1_000_000, BASE = 1_795_000_000_000_000L;

  @Test
  void aBoundarysTimerGoesOffInTheVersionThatSettlesItAndNotBefore() {
    FoldTimes times = new FoldTimes(INTERVAL, LATENESS);
    for (long clock = BASE; clock < BASE + 3 * INTERVAL; clock += 250_500) {
      for (long boundary = BASE - 6 * INTERVAL; boundary <= BASE; boundary += INTERVAL) {
        boolean settled = boundary <= times.settled(clock);
        assertEquals(settled, VersionTime.timer(boundary, LATENESS) <= VersionTime.of(clock, 7), clock + " " + boundary);
      }
    }
  }

  @Test
  void everyVersionIsAStep() {
    assertTrue(VersionTime.of(null, 2) > VersionTime.of(null, 1));
    assertTrue(VersionTime.of(BASE, 0) > VersionTime.of(null, 2_000_000));
    assertTrue(VersionTime.of(BASE, 1) > VersionTime.of(BASE, 0));
    assertTrue(VersionTime.of(BASE + 1000, 0) > VersionTime.of(BASE, 2_000_000));
    assertFalse(VersionTime.rises(BASE, BASE + 999));
    assertTrue(VersionTime.rises(BASE, BASE + 1000));
    assertThrows(IllegalStateException.class, () -> VersionTime.of(BASE, 1 << 21));
  }

  @Test
  void timesFitBeyondTheYear2100() {
    long year2105 = 4_260_000_000_000_000L;
    assertTrue(VersionTime.of(year2105, 5) > VersionTime.of(BASE, 5));
  }

  @Test
  void boundariesAreMultiplesOfTheInterval() {
    FoldTimes times = new FoldTimes(2_000_000, LATENESS);
    assertEquals(BASE - 6_000_000, times.settled(BASE + 999_999));
    assertEquals(FoldTimes.NONE, times.settled(null));
  }
}
