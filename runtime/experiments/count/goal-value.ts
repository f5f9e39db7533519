/** Does an exchange reach a goal, with what value, and how is its repetition known? */
import type { CheckedGoal, StatusPattern } from "../../../sdk/experiment.ts";
import type { GoalExchange } from "./counting.ts";
import { shortHash } from "./run.ts";

export type GoalReading =
  | { readonly outcome: "missed" }
  /** A value goal without a number where one was to be. */
  | { readonly outcome: "unreadable" }
  | { readonly outcome: "reached"; readonly value: number; readonly onceId: string; readonly repeatId: string };

/** Beyond it sums of squares lose their digits. */
const LARGEST_VALUE = 1e9;
const MISSED: GoalReading = Object.freeze({ outcome: "missed" });
const UNREADABLE: GoalReading = Object.freeze({ outcome: "unreadable" });

/**
 * What counts once, for goals with a value:
 * - what has the same `Idempotency-Key`, whenever it comes;
 * - a GET or HEAD of the same target with the same value, whenever it comes: a page that is read again;
 * - the same value within a minute, unless both bear keys of their own: a retry, a refresh, the page after a 302.
 */
export function readGoal(goal: CheckedGoal, exchange: GoalExchange): GoalReading {
  const { traffic } = goal;
  if (traffic === null || !traffic.status.some((pattern) => statusFits(pattern, exchange.status))) return MISSED;
  if (goal.kind === "conversion" || traffic.value === null) return { outcome: "reached", value: 1, onceId: "-", repeatId: "-" };
  const value = "header" in traffic.value ? numberOf(exchange.header(traffic.value.header)) : jsonNumber(exchange.body, traffic.value.json);
  if (value === null) return UNREADABLE;
  const { method, target, idempotencyKey } = exchange;
  const repeatId = shortHash(`v${value}`);
  if (idempotencyKey !== null) return { outcome: "reached", value, onceId: shortHash(`k${idempotencyKey}`), repeatId: `~${repeatId}` };
  const reads = method === "GET" || method === "HEAD";
  return { outcome: "reached", value, onceId: reads ? shortHash(`g${target} ${value}`) : "-", repeatId };
}

export function statusFits(pattern: StatusPattern, status: number): boolean {
  return typeof pattern === "number" ? pattern === status : Math.floor(status / 100) === Number(pattern[0]);
}

/** Of a header's or a JSON value's text: digits with a point, and nothing beside them. */
function numberOf(text: string | null): number | null {
  if (text === null || text.length > 40 || !/^[+-]?\d+(\.\d+)?$/.test(text.trim())) return null;
  return bounded(Number(text));
}

function bounded(value: number): number | null {
  return Number.isFinite(value) && Math.abs(value) <= LARGEST_VALUE ? value : null;
}

/** By JSON Pointer (RFC 6901). */
function jsonNumber(body: Uint8Array | null, pointer: string): number | null {
  if (body === null) return null;
  let at: unknown;
  try {
    at = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8"));
  } catch {
    // Told as unreadable.
    return null;
  }
  for (const escaped of pointer.split("/").slice(1)) {
    const name = escaped.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, name)) return null;
    at = (at as Record<string, unknown>)[name];
  }
  return typeof at === "number" ? bounded(at) : typeof at === "string" ? numberOf(at) : null;
}
