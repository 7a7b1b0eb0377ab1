package io.headpond.flink.pager;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import org.junit.jupiter.api.Test;

class RuleFunctionTest {
  @Test
  void partialsOfTwoReadersAddUpSliceBySlice() {
    long none = Long.MIN_VALUE;
    long[] a = {1, 2, none, 5, 1, 5}, b = {0, 1, none, 5, 3, 4, 7, 1, none};
    assertArrayEquals(new long[] {0, 1, none, 1, 2, none, 5, 4, 5, 7, 1, none}, RuleFunction.merged(a, b, new boolean[] {false, true}));
    assertArrayEquals(a, RuleFunction.merged(a, new long[0], new boolean[] {false, true}));
  }
}
