/** Seeds of hooks as a test wants them: behind each stand the numbers that `ctx.random()` gives. */
import { createHash } from "node:crypto";
import type { GatewayOptions } from "../../sdk/testing.ts";

/** Null: real randomness. */
export function seedsOf(random: GatewayOptions["random"]): (() => string) | null {
  if (random === undefined) return null;
  const isSeed = typeof random === "object" && "seed" in random;
  const numbers: readonly number[] = isSeed ? [] : [random].flat();
  const odd = numbers.find((number) => !(number >= 0 && number < 1));
  if (odd !== undefined || (!isSeed && numbers.length === 0))
    throw new RangeError(
      `gateway({ random }): found ${odd === undefined ? "an empty list" : JSON.stringify(odd)}, expected numbers from 0 up to, not including, 1`,
    );
  const stem = isSeed ? String(random.seed) : "";
  let hooks = 0;
  return () => `${createHash("sha256").update(`${stem}.${hooks++}`).digest("hex").slice(0, 32)}${numbers.join(",")}`;
}
