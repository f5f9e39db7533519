/**
 * Counts what becomes of exchanges while a canary runs, on it and on what it is compared with: each client once. One for each step.
 *
 * Who decides must not be for sale. Cookies are: whoever throws them away, or asks for one visitor cookie after the other, is a thousand clients, on the
 * side of their choice, with whatever failures they know how to cause (an attack in the manner of Douceur, "The Sybil Attack", 2002). Addresses cost
 * something. So the first client of an address that comes at a step speaks for the address, and no other one does, on either side: on neither side do
 * addresses with many clients weigh more than on the other, which keeps both comparable.
 */
import type { Clock } from "../clock.ts";
import { ERRORS, type ErrorCode } from "../errors.ts";
import { Arm, type CanaryCounts } from "../observe/canary-counts.ts";
import type { ExchangeRecord } from "../observe/record.ts";
import type { SandboxEvents } from "../sandbox/sandbox.ts";
import type { CanaryExchange } from "./release-choice.ts";

/** What is known of each client, and of each address, a byte each, found by its hash. Two of one place count as one. */
const PLACES = 1 << 20;
/** From here on too many would share a place; what was counted so far decides. */
const UNITS_LIMIT = PLACES / 4;
const Seen = { ON_CANARY: 1, ON_CURRENT: 2, EXCEPTION: 4, TIMEOUT: 8, FAILURE: 16 } as const;
/** A release that was loaded a moment ago is not compiled by V8 yet: its first exchanges count for no latency and no CPU. */
const WARM_UP = 50;
const RUNNING_LIMIT = 100_000;
/** The thread's CPU grows in lumps of the kernel's ticks, on a busy virtual machine of 50 ms: more than this says no more of one hook. */
const LUMP_US = 5000;

type HookEntry = Parameters<SandboxEvents["hook"]>[0];

/** Codes that say that something took too long, and not because of the client. */
const TIMEOUTS: ReadonlySet<string> = new Set([
  "RULE_CPU",
  "RULE_WALL",
  "UPSTREAM_CONNECT_TIMEOUT",
  "UPSTREAM_TIMEOUT",
  "UPSTREAM_IDLE_TIMEOUT",
] satisfies ErrorCode[]);
/** Failures of hooks, by kind, that the client caused by what it sent. */
const CLIENT_KINDS: ReadonlySet<string> = new Set(["body"]);
const TIMEOUT_KINDS: ReadonlySet<string> = new Set(["cpu", "wall"]);

export class CanaryMeasure {
  readonly step: number;
  readonly #clock: Clock;
  readonly #canary = new Arm();
  readonly #current = new Arm();
  readonly #seen = new Uint8Array(PLACES);
  /** Addresses that somebody has spoken for. */
  readonly #voices = new Uint8Array(PLACES);
  readonly #running = new Map<string, CanaryExchange>();
  readonly #endOfTurn: (run: () => void) => void;
  /** Whose hook was the first of this turn; "": none was yet. */
  #first = "";
  #units = 0;
  #warmUp: number;
  #lastMs: number | null = null;

  /** `warm`: the canary was measured before, at another step. */
  constructor(step: number, clock: Clock, warm: boolean, endOfTurn: (run: () => void) => void = setImmediate) {
    this.#endOfTurn = endOfTurn;
    this.step = step;
    this.#clock = clock;
    this.#warmUp = warm ? 0 : WARM_UP;
  }

  get isWarm(): boolean {
    return this.#warmUp === 0;
  }

  began(id: string, exchange: CanaryExchange): void {
    // A request id that a trusted proxy chose may come twice at once.
    if (this.#running.size < RUNNING_LIMIT) this.#running.set(id, exchange);
  }

  hook({ rule, cpuUs, recalled, failure, exchange: id }: HookEntry): void {
    if (recalled !== true && this.#first === "") {
      this.#first = id;
      this.#endOfTurn(() => void (this.#first = ""));
    }
    const exchange = this.#running.get(id);
    if (exchange === undefined) return;
    // A sandbox answers many hooks at once, and the first bears what it costs to wake up (0.8 ms against 0.1 was seen for the same rule). A release with
    // fewer requests has more of such: so only they are compared, of either release.
    if (recalled !== true && this.#first === id) exchange.used(rule, Math.min(cpuUs, LUMP_US));
    if (failure === null || CLIENT_KINDS.has(failure.kind)) return;
    exchange.threw = true;
    if (TIMEOUT_KINDS.has(failure.kind)) exchange.timedOut = true;
  }

  /** `exchange` may have begun at the step before: then it is not of this one. */
  over(exchange: CanaryExchange, { id, status, code, completed }: ExchangeRecord): void {
    if (this.#running.get(id) !== exchange) return;
    this.#running.delete(id);
    // Whoever left did not see what would have become of it.
    if (code === "CLIENT_CLOSED" || (!completed && code === "")) return;
    const { onCanary } = exchange;
    const arm = onCanary ? this.#canary : this.#current;
    if (onCanary) this.#lastMs = this.#clock.now();
    arm.requests++;
    const place = placeOf(exchange.unit);
    const side = onCanary ? Seen.ON_CANARY : Seen.ON_CURRENT;
    let seen = this.#seen[place]!;
    const isNew = seen === 0;
    if (isNew) {
      const voice = placeOf(exchange.voice);
      if (this.#units >= UNITS_LIMIT || this.#voices[voice] !== 0) return;
      this.#voices[voice] = 1;
      this.#units++;
      arm.units++;
      seen = side;
    } else if ((seen & side) === 0) return;
    const clientsDoing = code !== "" && ERRORS[code as ErrorCode]?.source === "client";
    if (!clientsDoing) {
      if (exchange.threw && (seen & Seen.EXCEPTION) === 0) {
        arm.failed("exceptions", exchange.voice);
        seen |= Seen.EXCEPTION;
      }
      if ((exchange.timedOut || TIMEOUTS.has(code)) && (seen & Seen.TIMEOUT) === 0) {
        arm.failed("timeouts", exchange.voice);
        seen |= Seen.TIMEOUT;
      }
      if ((status >= 500 || (code !== "" && ERRORS[code as ErrorCode]?.status >= 500)) && (seen & Seen.FAILURE) === 0) {
        arm.failed("failures", exchange.voice);
        seen |= Seen.FAILURE;
      }
    }
    this.#seen[place] = seen;
    if (isNew && !this.#isWarmingUp(onCanary)) this.#spent(arm, exchange);
  }

  counts(): CanaryCounts {
    const idleMs = this.#lastMs === null ? null : this.#clock.now() - this.#lastMs;
    return { step: this.step, idleMs, canary: this.#canary.counts(), current: this.#current.counts() };
  }

  #isWarmingUp(onCanary: boolean): boolean {
    if (!onCanary || this.#warmUp === 0) return false;
    this.#warmUp--;
    return true;
  }

  #spent(arm: Arm, exchange: CanaryExchange): void {
    if (exchange.answeredMs >= 0) arm.latency(exchange.answeredMs);
    for (const [rule, us] of exchange.cpu) arm.cpu(rule, us);
  }
}

function placeOf(hash: number): number {
  return (hash ^ (hash >>> 12)) & (PLACES - 1);
}
