/** What the kernel lends to the web classes. One bundle is evaluated per context, so this module's variable is the context's own. */
import { DOMException } from "./dom-exception.ts";

export interface WebHost {
  /** Synchronous and pure, answered by `process/web-host.ts`: "=" and a result, or "!" NAME ":" sentence. Bytes as Latin-1 strings. */
  sync(op: string, a: string, b: string, c: string): string;
  /** 0 – 255, fit for keys; from the worker's seed, so that a re-run takes the same path. */
  randomByte(): number;
  /** Unix time in milliseconds; stands still within a hook. */
  now(): number;
  /** Calls `run` once after `ms`; gives what cancels it. */
  timer(ms: number, run: () => void): () => void;
}

/**
 * Hardens one class or object before rules can reach it (freezes it with its prototype, say). Called once for each, at once or when
 * something heavy is evaluated at its first use.
 */
export type Harden = (value: object) => void;

let lent: WebHost | null = null;
let lentHarden: Harden = () => {};

export function lendHost(host: WebHost, harden: Harden): void {
  lent = host;
  lentHarden = harden;
}

export function hardenAll(values: Iterable<unknown>): void {
  for (const value of values) if (typeof value === "function" || (typeof value === "object" && value !== null)) lentHarden(value);
}

export function host(): WebHost {
  if (lent === null) throw new TypeError("no gateway is here to ask");
  return lent;
}

/** Asks the host half; its errors become this realm's `TypeError` or `DOMException`. */
export function ask(op: string, a: string, b = "", c = ""): string {
  const reply = host().sync(op, a, b, c);
  if (reply.charCodeAt(0) === 61 /* = */) return reply.slice(1);
  const colon = reply.indexOf(":");
  const name = reply.slice(1, colon);
  const message = reply.slice(colon + 1);
  throw name === "TypeError" ? new TypeError(message) : new DOMException(message, name);
}
