/**
 * GrowthBook's bucketing, so that an experiment may move between the two and every unit keeps its variant: FNV-1a over UTF-16 code units
 * (docs.growthbook.io/lib/build-your-own, "hash").
 */
export type HashVersion = 1 | 2;

export function fnv32a(text: string): number {
  let hash = 0x811c9dc5;
  // Code units above 255 are XORed whole, as GrowthBook does; the octets of UTF-8 would put everyone with a name in Greek elsewhere.
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** Where a unit stands in [0, 1). Version 2 hashes twice, which takes away the bias between experiments with similar seeds. */
export function bucketOf(seed: string, value: string, version: HashVersion): number {
  if (version === 1) return (fnv32a(value + seed) % 1000) / 1000;
  return (fnv32a(String(fnv32a(seed + value))) % 10_000) / 10_000;
}
