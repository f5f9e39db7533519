/** How the store and the journal name things: a run is one version of an experiment, whose counts never mix with those of another. */
import { hash } from "node:crypto";

export interface Run {
  readonly experiment: string;
  readonly bucketVersion: number;
}

/** `KEY.VERSION`. Versions are whole numbers, so the last dot parts them. */
export function runName({ experiment, bucketVersion }: Run): string {
  return `${experiment}.${bucketVersion}`;
}

export const countsKey = (run: string): string => `experiments:{${run}}:counts`;
export const positionKey = (run: string, worker: string): string => `experiments:{${run}}:worker:${worker}`;
export const bucketKey = (run: string, bucket: number): string => `experiments:{${run}}:units:${bucket}`;

/** Units of a bucket share a hash: Redis keeps up to 128 small fields in one piece, some 45 bytes a unit instead of 170. */
export const MOST_UNITS = 1_000_000;
const BUCKET_BITS = 13;
const TAG_CHARACTERS = 12;

export interface UnitPlace {
  /** 72 bits of the unit's digest: among a million units two share one in 10⁻¹⁰ of all cases. */
  readonly tag: string;
  readonly bucket: number;
}

/** Of `Assignment.countAs`. The store holds no unit as it is. */
export function placeOf(countAs: string): UnitPlace {
  const digest = hash("sha256", countAs, "buffer");
  return { tag: digest.toString("base64url", 0, (TAG_CHARACTERS * 3) / 4), bucket: digest.readUInt16BE(16) >> (16 - BUCKET_BITS) };
}

/** How raw lines name a unit: longer, so that it can be joined over years. */
export function hashedUnit(countAs: string): string {
  return hash("sha256", countAs, "hex").slice(0, 32);
}

/** Tells events of one unit apart. */
export function shortHash(text: string): string {
  return hash("sha256", text, "buffer").toString("base64url", 0, 6);
}

/** Tells events of everybody apart. */
export function longHash(text: string): string {
  return hash("sha256", text, "buffer").toString("base64url", 0, 15);
}
