/**
 * Who watches one exchange from beginning to end: what came in, what the origin and services told, and what its release decided. Recordings and shadow
 * releases are made of it, and rehearsals are told by it what came of them. An exchange that nobody watches pays one comparison at each of its stations.
 */
import { createHash } from "node:crypto";
import type { Phase } from "../compile/release.ts";
import { ERRORS, GatewayError } from "../errors.ts";
import type { ExchangeWitness, HookOutcome, Service, ServiceCall } from "../sandbox/sandbox.ts";
import { ANSWERED_BY, changedFields, type Decisions, REQUEST_HEADER, RESPONSE_HEADER } from "./decisions.ts";
import type { Fields } from "./fields.ts";
import type { Life } from "./life.ts";
import type { GatewayResponse } from "./reply.ts";

export interface Head {
  readonly status: number;
  readonly fields: readonly string[];
}

export interface Received {
  readonly method: string;
  readonly scheme: "http" | "https";
  readonly authority: string;
  readonly target: string;
  readonly fields: readonly string[];
  /** The peer's address: the client's, or a trusted proxy's. */
  readonly peer: string;
  readonly hasBody: boolean;
}

/** Clock and seed of one hook call. */
export interface HookDraw {
  readonly phase: Phase;
  readonly clockMs: number;
  readonly seed: string;
}

export interface WitnessedCall {
  readonly rule: string;
  readonly service: string;
  /** Null: they were too large to be kept; then the reply is not kept either. */
  readonly args: unknown;
  /** Null: it was too large to be kept, or has not come. */
  reply: { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: GatewayError } | null;
}

/** For a rehearsal: clock and seed of the next hook call, in place of what there is. */
export type Draw = (phase: Phase) => Omit<HookDraw, "phase">;

/** Of one exchange; what is beyond is not kept. */
const MAX_CALLS = 100;
const MAX_DRAWS = 100;
/** Of arguments and replies of all calls. */
const MAX_CALL_UNITS = 256 * 1024;
const NO_VARIANTS: Readonly<Record<string, string>> = Object.freeze({});
/** Written by the gateway on every answer. */
const OWN_FIELDS: ReadonlySet<string> = new Set(["age", "cache-status", "content-length", "date", "ratelimit", "ratelimit-policy", "retry-after", "via"]);

export class Witness implements ExchangeWitness {
  readonly life: Life;
  readonly received: Received;
  readonly startUnixMs: number;
  readonly calls: WitnessedCall[] = [];
  readonly draws: HookDraw[] = [];
  /** What the origin answered before any rule saw it, or how it failed; null: it was not asked, or the cache answered. */
  origin: Head | GatewayError | null = null;
  cached: Head | null = null;
  /** Experiment → variant that it was shown. */
  variants: Readonly<Record<string, string>> = NO_VARIANTS;
  /** Rules were asked: it was not refused before any could see it. */
  seen = false;
  /** It came to an answer. */
  settled = false;
  readonly #whenOver: ((witness: Witness) => void) | null;
  readonly #draw: Draw | null;
  readonly #decided = new Map<string, string>();
  /** What was decided between cache and origin. */
  readonly #askedOrigin = new Map<string, string>();
  #left: { readonly method: string; readonly target: string; readonly fields: readonly string[] } | null = null;
  #base: readonly string[] = [];
  #answer: Buffer | null = null;
  #callUnits = 0;

  /** `draw`: of a rehearsal. */
  constructor(life: Life, whenOver: ((witness: Witness) => void) | null, draw: Draw | null = null) {
    const { exchange, request } = life;
    this.life = life;
    this.startUnixMs = life.core.clock.unixMs();
    this.received = {
      method: exchange.method,
      scheme: exchange.connection.scheme,
      authority: exchange.authority,
      // Without what was for the gateway alone.
      target: request.target,
      fields: request.fields.list.slice(),
      peer: exchange.connection.remoteAddress,
      hasBody: exchange.body.length !== 0,
    };
    this.#whenOver = whenOver;
    this.#draw = draw;
  }

  // ExchangeWitness: what the sandbox room tells and asks.
  drawn(phase: Phase, clockMs: number, seed: string): Omit<HookDraw, "phase"> {
    if (this.#draw !== null) return this.#draw(phase);
    if (this.draws.length < MAX_DRAWS) this.draws.push({ phase, clockMs, seed });
    return { clockMs, seed };
  }
  async serve(name: string, call: ServiceCall, service: Service): Promise<unknown> {
    const isKept = this.calls.length < MAX_CALLS && this.#holds(call.args);
    const entry: WitnessedCall = { rule: call.rule, service: name, args: isKept ? call.args : null, reply: null };
    if (this.calls.length < MAX_CALLS) this.calls.push(entry);
    try {
      const value = await service(call);
      if (isKept && this.#holds(value)) entry.reply = { ok: true, value };
      return value;
    } catch (thrown) {
      if (isKept && thrown instanceof GatewayError) entry.reply = { ok: false, error: thrown };
      throw thrown;
    }
  }

  /** There is room for it, which is taken. */
  #holds(value: unknown): boolean {
    const left = MAX_CALL_UNITS - this.#callUnits;
    const units = unitsWithin(value, left);
    if (units > left) return false;
    this.#callUnits += units;
    return true;
  }
  /** What calls hold of it, in characters. */
  get callUnits(): number {
    return this.#callUnits;
  }

  // The stations of `handler.ts`.
  /** Hooks before the cache and variants are through: the request is asked of cache or origin. */
  enters(): void {
    const { request } = this.life;
    this.#decided.set("method", request.method);
    this.#decided.set("target", request.target);
    changedFields(this.received.fields, request.fields.list, REQUEST_HEADER, this.#decided);
  }
  /** Behind the cache, which has words of its own for the origin; hooks that change them come next. */
  leaves({ request: { method, target, fields } }: Life): void {
    this.#left = { method, target, fields: fields.list.slice() };
  }
  sends({ request, upstream, pinnedTarget }: Life): void {
    const asked = this.#askedOrigin;
    asked.set("upstream", pinnedTarget === "" ? upstream : `${upstream} (${pinnedTarget})`);
    const left = this.#left;
    if (left === null) return;
    if (request.method !== left.method) asked.set("method", request.method);
    if (request.target !== left.target) asked.set("target", request.target);
    changedFields(left.fields, request.fields.list, REQUEST_HEADER, asked);
  }
  answered(head: { readonly status: number; readonly fields: Fields }): void {
    this.origin = { status: head.status, fields: (this.#base = head.fields.list.slice()) };
  }
  /** The gateway answers with an error: the origin's, unless it is a rule's. */
  failed(error: GatewayError): void {
    if (ERRORS[error.code].source === "upstream") this.origin = error;
  }
  /** Hooks before the origin are through. */
  asked({ answer, body }: HookOutcome): void {
    if (answer !== null) this.#answer = answer.body;
    if (body !== null) this.#decided.set("request body", digestOf(body));
  }
  /** Hooks behind the origin are through, and have left `response`. */
  changed(response: GatewayResponse, { answer, body }: HookOutcome): void {
    if (answer !== null) this.#answer = answer.body;
    else changedFields(this.#base, response.fields.list, RESPONSE_HEADER, this.#decided);
    if (body !== null) this.#decided.set("body", digestOf(body));
  }
  said(what: "cache key" | "cache", json: string): void {
    const before = this.#decided.get(what);
    this.#decided.set(what, before === undefined ? json : `${before} ${json}`);
  }
  /** Before hooks see it on its way out. */
  delivers(response: GatewayResponse): void {
    const { from, status } = response;
    const fields = (this.#base = response.fields.list.slice());
    if (from === "cache") this.cached = { status, fields };
    // Another exchange has asked for both.
    else if (from === "upstream") this.origin ??= { status, fields };
  }
  /** As it leaves, but for the gateway's own fields. */
  decided(response: GatewayResponse): void {
    const { life } = this;
    const decided = this.#decided;
    const { from, status } = response;
    this.settled = true;
    if (life.experiments !== null) this.variants = life.experiments.shown;
    decided.set(ANSWERED_BY, from === "gateway" ? `the gateway: ${response.error?.code ?? ""}` : from);
    decided.set("status", String(status));
    if (from === "rule") {
      changedFields([], response.fields.list, RESPONSE_HEADER, decided);
      decided.set("body", digestOf(this.#answer ?? Buffer.alloc(0)));
    }
    // Whoever asked the origin although the cache answered did so for the cache.
    if (from === "cache") this.origin = null;
    else for (const [what, value] of this.#askedOrigin) decided.set(what, value);
    if (life.htmlEdits !== null) decided.set("HTML edits", life.htmlEdits.join(" "));
    for (const name of OWN_FIELDS) decided.delete(RESPONSE_HEADER + name);
  }

  /** The exchange is over. */
  over(): void {
    this.#whenOver?.(this);
  }

  get decisions(): Decisions {
    return this.#decided;
  }
}

/** What rules call, seen by whoever watches the exchange. */
export function witnessed(services: Readonly<Record<string, Service>>): Record<string, Service> {
  return Object.fromEntries(
    Object.entries(services).map(([name, service]): [string, Service] => [
      name,
      (call) => (call.exchange.witness ? call.exchange.witness.serve(name, call, service) : service(call)),
    ]),
  );
}

/** About what a value holds, in characters. It is looked at until it is above `limit`, so that a large one costs no more than that. */
function unitsWithin(value: unknown, limit: number): number {
  let units = 0;
  const open: unknown[] = [value];
  while (open.length > 0 && units <= limit) {
    const one = open.pop();
    units++;
    if (typeof one === "string") units += one.length;
    else if (ArrayBuffer.isView(one)) units += one.byteLength;
    else if (Array.isArray(one)) {
      if (one.length > limit - units) return limit + 1;
      for (const inner of one) open.push(inner);
    } else if (typeof one === "object" && one !== null)
      for (const [name, inner] of Object.entries(one)) {
        units += name.length;
        open.push(inner);
      }
  }
  return units;
}

function digestOf(bytes: Buffer): string {
  return `${bytes.length} bytes (${createHash("sha256").update(bytes).digest("hex").slice(0, 8)})`;
}
