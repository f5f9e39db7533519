/** A canary under simulated clients: the real counting and the real judgement, once a second of simulated time. */
import { ManualClock } from "../../runtime/clock.ts";
import { resolveConfig } from "../../runtime/config/config.ts";
import type { Canary } from "../../runtime/control/canary/canary.ts";
import { judge, type Picture } from "../../runtime/control/canary/judgement.ts";
import type { ExchangeRecord } from "../../runtime/observe/record.ts";
import { CanaryMeasure } from "../../runtime/proxy/canary-measure.ts";
import { BUCKETS, CanaryExchange } from "../../runtime/proxy/release-choice.ts";

/** Of whoever configures nothing. */
export const DEFAULTS = resolveConfig({ upstreams: { a: { targets: ["http://127.0.0.1:9"] } } }, { baseDir: "/", file: "" }).releases.canary;

export function canaryOf(more: Partial<Canary> = {}): Canary {
  return {
    ...DEFAULTS,
    ...{ release: "0000000000bb", digest: "", tag: "t", at: 0, by: "", message: "", beganUnixMs: 0, stepUnixMs: 0, past: [] },
    ...more,
  };
}

/** Marsaglia's xorshift: the same numbers for the same seed. */
export function random(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e_37_79_b1) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

export interface Simulation {
  readonly seed: number;
  /** What every client may meet on either side, whatever serves. */
  readonly failing?: number;
  /** … and more of them on the canary: its rule throws. */
  readonly throwing?: number;
  /** Requests of both sides within a second: so many come between two judgements. */
  readonly perSecond?: number;
  /** It is given up when the canary has had so many. */
  readonly canaryRequests: number;
  readonly canary?: Canary;
}

export interface Simulated {
  readonly verdict: Picture["verdict"];
  readonly reason: string;
  /** That the canary had until then. */
  readonly canaryRequests: number;
}

const RECORD = { completed: true, status: 200, code: "" } as ExchangeRecord;
const FAILED = { ...RECORD, status: 503, code: "RULE_THREW" } as ExchangeRecord;
const ORIGIN_FAILED = { ...RECORD, status: 500 } as ExchangeRecord;

/** Each request from a client, and an address, of its own. Ends with the first verdict that is no "hold", or "hold" when none came. */
export function simulate({ seed, failing = 0, throwing = 0, perSecond = 100, canaryRequests, canary = canaryOf() }: Simulation): Simulated {
  const chance = random(seed);
  const clock = new ManualClock();
  const measure = new CanaryMeasure(1, clock, true, (run) => run());
  const share = canary.steps[canary.at]!;
  let onCanary = 0;
  let picture: Picture | null = null;
  for (let second = 0; onCanary < canaryRequests; second++) {
    for (let n = 0; n < perSecond; n++) {
      const unit = Math.floor(chance() * 2 ** 32);
      const exchange = new CanaryExchange(null as never, unit % BUCKETS < share, unit, `client ${unit}`, "");
      if (exchange.onCanary) onCanary++;
      const id = String(n);
      measure.began(id, exchange);
      const throws = exchange.onCanary && chance() < throwing;
      // Sums of uniforms, and now and then one that takes long.
      exchange.answeredMs = 5 + 10 * (chance() + chance() + chance()) + (chance() < 0.02 ? 200 * chance() : 0);
      const failure = throws ? { kind: "threw", message: "on purpose", stack: "" } : null;
      const cpuUs = 20 + 60 * chance() + (chance() < 0.01 ? 5000 * chance() : 0);
      measure.hook({ rule: "a.ts", release: "0123456789ab", phase: "onRequest", cpuUs, outcome: throws ? "failed-closed" : "next", failure, exchange: id });
      measure.over(exchange, { ...(throws ? FAILED : chance() < failing ? ORIGIN_FAILED : RECORD), id });
    }
    clock.advance(1000);
    picture = judge(canary, { counts: measure.counts(), missing: [], elapsedMs: second * 1000 });
    if (picture.verdict !== "hold") break;
  }
  return { verdict: picture?.verdict ?? "hold", reason: picture?.reason ?? "", canaryRequests: onCanary };
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
