import { expect, it } from "vitest";
import { fromHalf, toHalf } from "../src/half.ts";

const largest = 0x7bff;

it("every f16 comes back to its bits", () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = fromHalf(bits);
    if (Number.isNaN(value)) expect(fromHalf(toHalf(value))).toBeNaN();
    else expect(toHalf(value)).toBe(bits);
  }
});

it("what lies between two goes to the nearer one, and from the middle to the even one", () => {
  for (let low = 0; low < largest; low++) {
    const [a, b] = [fromHalf(low), fromHalf(low + 1)];
    const middle = (a + b) / 2;
    expect(toHalf(middle)).toBe(low % 2 === 0 ? low : low + 1);
    expect(toHalf(middle - (b - a) / 64)).toBe(low);
    expect(toHalf(middle + (b - a) / 64)).toBe(low + 1);
    expect(toHalf(-middle)).toBe(0x8000 | toHalf(middle));
  }
});

it("from 65520 on it is an infinity", () => {
  expect([65504, 65519.99, 65520, 3e38, Number.POSITIVE_INFINITY].map(toHalf)).toEqual([
    0x7bff, 0x7bff, 0x7c00, 0x7c00, 0x7c00,
  ]);
  expect(toHalf(-65520)).toBe(0xfc00);
});
