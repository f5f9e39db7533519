/** `expect` of `sluice/testing`: node's strict assertions in the words that test authors know. */
import assert from "node:assert/strict";
import type { Expectation } from "../../sdk/testing.ts";

export function expect(found: unknown): Expectation {
  return expectation(found, false);
}

function expectation(found: unknown, negated: boolean): Expectation {
  const judge = (holds: boolean, what: string, expected: unknown): void => {
    if (holds === negated)
      throw new assert.AssertionError({
        message: `expected ${show(found)} ${negated ? "not " : ""}${what} ${show(expected)}`,
        actual: found,
        expected,
        operator: what,
      });
  };
  return {
    toBe: (expected) => judge(Object.is(found, expected), "to be", expected),
    toEqual(expected) {
      if (negated) assert.notDeepStrictEqual(found, expected);
      else assert.deepStrictEqual(found, expected);
    },
    toMatch: (expected) =>
      judge(typeof found === "string" && (typeof expected === "string" ? found.includes(expected) : expected.test(found)), "to match", expected),
    toContain: (expected) =>
      judge(
        typeof found === "string" ? found.includes(String(expected)) : Array.isArray(found) && found.some((item) => Object.is(item, expected)),
        "to contain",
        expected,
      ),
    toBeLessThan: (expected) => judge(typeof found === "number" && found < expected, "to be less than", expected),
    toBeGreaterThan: (expected) => judge(typeof found === "number" && found > expected, "to be greater than", expected),
    toBeCloseTo: (expected, within) => judge(typeof found === "number" && Math.abs(found - expected) <= within, `to be within ${within} of`, expected),
    toMatchObject(expected) {
      if (negated) assert.throws(() => assert.partialDeepStrictEqual(found, expected), { code: "ERR_ASSERTION" });
      else assert.partialDeepStrictEqual(found, expected);
    },
    toBeAbsent: () => judge(found === null || found === undefined, "to be", "absent"),
    get not() {
      return expectation(found, !negated);
    },
  };
}

function show(value: unknown): string {
  if (value instanceof RegExp) return String(value);
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 500 ? `${text.slice(0, 500)}…` : text;
}
