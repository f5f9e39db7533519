/**
 * Which release an exchange begins with while a canary runs. Who asks is put in a bucket from 0 to 9,999 by a hash that is the same on every
 * gateway and at every share, so that a larger share moves nobody back.
 */
import { CookieMemory, fnv32a, seal, unseal, type SealKeys } from "../experiments/assign/assign.ts";
import { CanaryMeasure } from "./canary-measure.ts";
import { clientKey } from "./client-counts.ts";
import type { Fields } from "./fields.ts";
import type { Client } from "./forwarded.ts";
import type { GatewayInputs } from "./gateway-inputs.ts";
import type { Core } from "./core.ts";
import type { HookTable } from "./hook-plan.ts";
import { partitionOf } from "./previews.ts";
import { networkOf } from "../ratelimit/ratelimit.ts";
import { isOffered, keepToOne } from "./shared-caches.ts";

/** What the gateways agreed upon, as it comes from the store. */
export interface CanaryTerms {
  readonly release: string;
  /** Of this canary alone: seeds the hash, and tells its cookies from those of the last one. Letters and digits. */
  readonly tag: string;
  /** Of the buckets: 0 to 10,000. */
  readonly share: number;
  /** The epoch of this step. Counts begin anew with it. */
  readonly step: number;
  /** What its cookies are signed with: hex. */
  readonly key: string;
}

export const BUCKETS = 10_000;
export const CANARY_COOKIE = "sluice_canary";
const MAX_AGE_S = 30 * 24 * 60 * 60;
/** Tag, unit and MAC: anything longer is not ours. */
const COOKIE_CHARACTERS = 80;
/** Of an IPv6 address, the most that one customer is given (RFC 6177): whoever has it may speak from 65,536 networks of 64 bits. */
const SITE_BITS = 48;

/** An exchange's part in a canary. */
export class CanaryExchange {
  readonly table: HookTable;
  /** Does it run on the canary, or on what the canary is compared with? */
  readonly onCanary: boolean;
  /** Who asks: 32 bits. */
  readonly unit: number;
  /** A rule failed, whatever became of it. */
  threw = false;
  timedOut = false;
  /** From the request's head to that of the answer; -1: there was none yet. */
  answeredMs = -1;
  /** Rule → µs of its first hook that could be measured. */
  readonly cpu = new Map<string, number>();
  readonly #address: string;
  /** Set-Cookie, or "". */
  readonly #cookie: string;

  constructor(table: HookTable, onCanary: boolean, unit: number, address: string, cookie: string) {
    this.table = table;
    this.onCanary = onCanary;
    this.unit = unit;
    this.#address = address;
    this.#cookie = cookie;
  }

  /** From where it speaks: 32 bits. Of many clients behind one address, and of one that makes many of itself, one is counted. */
  get voice(): number {
    return fnv32a(String(fnv32a(`canary voice ${networkOf(this.#address, 32, SITE_BITS)}`)));
  }

  used(rule: string, us: number): void {
    if (!this.cpu.has(rule)) this.cpu.set(rule, us);
  }
  /** Behind the cache, so that nobody else gets the cookie. */
  answer(fields: Fields, tookMs: number): void {
    this.answeredMs = tookMs;
    // What a cache between here and the client may keep, it would give to everybody with the cookie of one.
    if (this.#cookie === "" || isOffered(fields)) return;
    fields.append("set-cookie", this.#cookie);
    keepToOne(fields);
  }
}

export class ReleaseChoice {
  readonly canary: HookTable;
  readonly measure: CanaryMeasure;
  readonly #terms: CanaryTerms;
  readonly #current: () => HookTable;
  readonly #visitorOf: (inputs: GatewayInputs) => string | null;
  readonly #keys: SealKeys;
  readonly #cookies: CookieMemory<number>;

  /** `visitorOf`: the id in a genuine visitor cookie. */
  constructor(canary: HookTable, current: () => HookTable, terms: CanaryTerms, measure: CanaryMeasure, visitorOf: (inputs: GatewayInputs) => string | null) {
    this.canary = canary;
    this.measure = measure;
    this.#terms = terms;
    this.#current = current;
    this.#visitorOf = visitorOf;
    this.#keys = [Buffer.from(terms.key, "hex")];
    this.#cookies = new CookieMemory((value) => readCookie(value, terms.tag, this.#keys));
  }

  get terms(): CanaryTerms {
    return this.#terms;
  }

  choose(inputs: GatewayInputs, client: Client): CanaryExchange {
    const value = inputs.cookie(CANARY_COOKIE);
    const known = value === null || value.length > COOKIE_CHARACTERS ? null : this.#cookies.read(value);
    const unit = known ?? this.#unitOf(inputs, client.address);
    const onCanary = unit % BUCKETS < this.#terms.share;
    const cookie = known === null ? this.#cookieFor(unit, client.scheme) : "";
    return new CanaryExchange(onCanary ? this.canary : this.#current(), onCanary, unit, client.address, cookie);
  }

  /** Hashed twice, as experiments do, with a seed of its own: who is in a canary says nothing about who sees which variant. */
  #unitOf(inputs: GatewayInputs, address: string): number {
    const visitor = this.#visitorOf(inputs);
    const who = visitor === null ? `address ${clientKey(address)}` : `visitor ${visitor}`;
    return fnv32a(String(fnv32a(`canary ${this.#terms.tag} ${who}`)));
  }

  /**
   * Holds the unit that was found, not another one: who asks again stays where they are although their address changes, and whoever collects
   * cookies from one address is still one unit.
   */
  #cookieFor(unit: number, scheme: "http" | "https"): string {
    const sealed = seal(`${this.#terms.tag}-${unit.toString(36)}`, "canary", this.#keys);
    return `${CANARY_COOKIE}=${sealed}; Path=/; Max-Age=${MAX_AGE_S}; HttpOnly; SameSite=Lax${scheme === "https" ? "; Secure" : ""}`;
  }
}

function readCookie(value: string, tag: string, keys: SealKeys): number | null {
  const payload = unseal(value, "canary", keys);
  if (payload === null || !payload.startsWith(`${tag}-`)) return null;
  const unit = Number.parseInt(payload.slice(tag.length + 1), 36);
  return Number.isSafeInteger(unit) && unit >= 0 && unit <= 0xff_ff_ff_ff ? unit : null;
}

/** `loaded`: prepared for it; null: it runs already, and its share changes. Throws when it is neither. */
export function runCanary(core: Core, loaded: HookTable | null, terms: CanaryTerms): void {
  const running = core.choice?.canary ?? null;
  const canary = loaded ?? running;
  if (canary === null || canary.releaseId !== terms.release) throw new Error(`release ${terms.release} is not loaded here`);
  canary.partition = partitionOf(terms.release);
  canary.beside = "canary";
  const before = running === canary ? core.choice!.measure : null;
  const measure = before?.step === terms.step ? before : new CanaryMeasure(terms.step, core.clock, before?.isWarm === true);
  core.choice = new ReleaseChoice(
    canary,
    () => core.table,
    terms,
    measure,
    (inputs) => core.visitorOf(inputs),
  );
  if (running !== null && running !== canary) running.retire();
}

/** New exchanges begin with what serves. */
export function endCanary(core: Core): void {
  const { choice } = core;
  core.choice = null;
  choice?.canary.retire();
}

/** All new exchanges begin with it, and it keeps what all see. Throws when another one runs, or none. */
export function promoteCanary(core: Core, release: string): void {
  const { choice } = core;
  if (choice?.canary.releaseId !== release) throw new Error(`release ${release} is no canary here`);
  core.choice = null;
  choice.canary.partition = "";
  choice.canary.beside = "";
  core.serve(choice.canary);
}
