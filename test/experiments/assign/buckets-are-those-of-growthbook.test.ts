import assert from "node:assert/strict";
import { test } from "node:test";
import type { HashVersion } from "../../../runtime/experiments/assign/assign.ts";
import { bucketOf, fnv32a, rangeAt, rangesOf } from "../../../runtime/experiments/assign/assign.ts";

test("FNV-1a gives the published values", () => {
  for (const [text, hash] of [
    ["", 0x811c9dc5],
    ["a", 0xe40c292c],
    ["ab", 0x4d2505ca],
    ["foobar", 0xbf9cf968],
  ] as const) {
    assert.equal(fnv32a(text), hash);
  }
});

test("a seed and a value fall into the bucket that GrowthBook's SDKs give them", () => {
  const vectors: readonly [string, string, HashVersion, number][] = [
    ["", "a", 1, 0.22],
    ["", "b", 1, 0.077],
    ["b", "a", 1, 0.946],
    ["ef", "d", 1, 0.652],
    ["asdf", "8952klfjas09ujk", 1, 0.549],
    ["", "123", 1, 0.011],
    ["", '___)((*":&', 1, 0.563],
    ["seed", "a", 2, 0.0505],
    ["seed", "b", 2, 0.2696],
    ["foo", "ab", 2, 0.2575],
    ["foo", "def", 2, 0.2019],
    ["89123klj", "8952klfjas09ujkasdf", 2, 0.124],
    ["90850943850283058242805", "123", 2, 0.7516],
    ["()**(%$##$%#$#", '___)((*":&', 2, 0.0128],
  ];
  for (const [seed, value, version, bucket] of vectors) assert.equal(bucketOf(seed, value, version), bucket, `${seed} ${value}`);
});

test("units outside Latin-1 are hashed by code unit, astral ones by their surrogates", () => {
  // By hand: one round each of (hash XOR unit) * prime, modulo 2^32.
  const prime = 0x01000193n;
  const byHand = (text: string) =>
    Number(Array.from({ length: text.length }).reduce<bigint>((hash, _, i) => ((hash ^ BigInt(text.charCodeAt(i))) * prime) & 0xffffffffn, 0x811c9dc5n));
  for (const text of ["Ω", "Ελένη", "日本", "😀", "a😀b"]) assert.equal(fnv32a(text), byHand(text));
});

test("ranges are those of GrowthBook, each trimmed by the traffic where it stands", () => {
  const vectors: readonly [readonly number[], number, readonly (readonly [number, number])[]][] = [
    [
      [0.5, 0.5],
      1,
      [
        [0, 0.5],
        [0.5, 1],
      ],
    ],
    [
      [0.5, 0.5],
      0.5,
      [
        [0, 0.25],
        [0.5, 0.75],
      ],
    ],
    [
      [0.5, 0.5],
      0,
      [
        [0, 0],
        [0.5, 0.5],
      ],
    ],
    [
      [0.4, 0.6],
      1,
      [
        [0, 0.4],
        [0.4, 1],
      ],
    ],
    [
      [0.2, 0.3, 0.5],
      0.2,
      [
        [0, 0.04],
        [0.2, 0.26],
        [0.5, 0.6],
      ],
    ],
    [
      [0.5, 0.5],
      -0.2,
      [
        [0, 0],
        [0.5, 0.5],
      ],
    ],
    [
      [0.5, 0.5],
      1.5,
      [
        [0, 0.5],
        [0.5, 1],
      ],
    ],
    [
      [0.4, 0.5999],
      1,
      [
        [0, 0.4],
        [0.4, 0.9999],
      ],
    ],
  ];
  for (const [weights, traffic, expected] of vectors) {
    for (const [i, { from, to }] of rangesOf(weights, traffic).entries()) {
      assert.ok(Math.abs(from - expected[i]![0]) < 1e-12 && Math.abs(to - expected[i]![1]) < 1e-12, `${weights.join()} at ${traffic}: ${from} to ${to}`);
    }
  }
});

test("a range holds its beginning and not its end, and nothing is between neighbours", () => {
  const ranges = rangesOf([0.5, 0.5], 0.5);
  assert.deepEqual(
    [0, 0.2499, 0.25, 0.4999, 0.5, 0.7499, 0.75, 0.9999].map((bucket) => rangeAt(ranges, bucket)),
    [0, 0, -1, -1, 1, 1, -1, -1],
  );
  for (const weights of [
    [0.1, 0.2, 0.7],
    [1 / 3, 1 / 3, 1 / 3],
    [0.07, 0.13, 0.3, 0.5],
  ]) {
    const whole = rangesOf(weights, 1);
    for (let i = 0; i < 10_000; i++) assert.notEqual(rangeAt(whole, i / 10_000), -1);
  }
});
