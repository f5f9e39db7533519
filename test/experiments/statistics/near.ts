import assert from "node:assert/strict";

/** Equal within `precision` of the expected value, relatively. */
export function near(actual: number, expected: number, precision = 1e-12): void {
  assert.ok(Math.abs(actual - expected) <= Math.abs(expected) * precision, `${actual} is not ${expected} to ${precision}`);
}

/** Equal to the digits that were published: within one of the last. */
export function digits(actual: number, published: string): void {
  const decimals = published.split(".")[1]?.length ?? 0;
  assert.ok(Math.abs(actual - Number(published)) <= 1.000001 * 10 ** -decimals, `${actual} is not ${published}`);
}
