/**
 * What a unit did before its first exposure, of goals with a value: the covariate of CUPED (`statistics/cuped.ts`). Pure, and the same as in
 * `scripts/count.lua`.
 *
 *     <goal=preMs x last:sum last:sum;id@at;id@at
 *
 * Until the exposure the sums of up to 16 parts of the pre-period, each with its latest moment; from then on `x`, what lies within the period before it.
 */
import { readSeen, type Seen, seenText } from "./seen.ts";

export interface Past {
  /** How far back from the exposure. */
  preMs: number;
  /** Before the exposure 0. */
  x: number;
  readonly seen: Seen[];
  /** After the exposure none. */
  parts: { lastMs: number; sum: number }[];
}

/** Of a pre-period: a part that began before it is left out whole. */
const PARTS = 16;

export function newPast(preMs: number): Past {
  return { preMs, x: 0, seen: [], parts: [] };
}

export function readPast(text: string): Past {
  const [head = "", ...ids] = text.split(";");
  const [preMs, x, ...parts] = head.split(" ");
  return {
    preMs: Number(preMs),
    x: Number(x),
    seen: readSeen(ids),
    parts: parts.map((part) => {
      const colon = part.indexOf(":");
      return { lastMs: Number(part.slice(0, colon)), sum: Number(part.slice(colon + 1)) };
    }),
  };
}

export function pastText({ preMs, x, seen, parts }: Past): string {
  return `${preMs} ${x}${parts.map(({ lastMs, sum }) => ` ${lastMs}:${sum}`).join("")}${seenText(seen)}`;
}

/** What no exposure of before can claim any more. */
export function fold({ preMs, parts }: Past, atMs: number, value: number): void {
  const number = Math.floor(atMs / (preMs / PARTS));
  const part = parts.find(({ lastMs }) => Math.floor(lastMs / (preMs / PARTS)) === number);
  if (part !== undefined) {
    part.lastMs = Math.max(part.lastMs, atMs);
    part.sum += value;
    return;
  }
  parts.push({ lastMs: atMs, sum: value });
  if (parts.length <= PARTS) return;
  let oldest = 0;
  for (let i = 1; i < parts.length; i++) if (parts[i]!.lastMs < parts[oldest]!.lastMs) oldest = i;
  parts.splice(oldest, 1);
}

/** Of the parts, what lies before the exposure and no further back than the period; they are over. What may have come after the exposure is left out. */
export function collapse(past: Past, exposedMs: number): number {
  const lengthMs = past.preMs / PARTS;
  let sum = 0;
  for (const part of past.parts) if (part.lastMs < exposedMs && exposedMs - Math.floor(part.lastMs / lengthMs) * lengthMs <= past.preMs) sum += part.sum;
  past.parts = [];
  return sum;
}
