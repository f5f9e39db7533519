/**
 * Seeds of hooks: 128 random bits each, written as hex digits. A re-run gets the same seed and so takes the same path; nobody
 * else can tell what a rule draws from `crypto`, so 32 bits would not do.
 */
import { randomFillSync } from "node:crypto";

const SEED_BYTES = 16;
/** One call to the system for this many seeds: 0.1 µs a seed instead of 0.9. */
const BATCH = 256;

export function seedSource(): () => string {
  const pool = Buffer.alloc(SEED_BYTES * BATCH);
  let at = pool.length;
  return () => {
    if (at === pool.length) {
      randomFillSync(pool);
      at = 0;
    }
    return pool.toString("hex", at, (at += SEED_BYTES));
  };
}
