/** What the door promises, step by step: look, judge, serve or fetch. Fetching and storing stand in `admission.ts`, waiting in `flight.ts`. */
import { GatewayError } from "../errors.ts";
import type { GatewayResponse } from "../proxy/reply.ts";
import { Admission, authorizedKey } from "./admission.ts";
import type { Cache, CacheExchange, CacheForm, CacheParts, CachePeek, CacheStatusReport, KeptAnswer, PurgeReport } from "./cache.ts";
import { newCounts, type CacheOutcome } from "./counters.ts";
import type { Entry, Slot } from "./entry.ts";
import { Flight, type Outcome } from "./flight.ts";
import { keyOf, placeOf } from "./key.ts";
import { Lookup } from "./lookup.ts";
import { MemoryTier } from "./memory-tier.ts";
import { type CacheStatus, decide, invalidatedTargets, readRequest, type RequestTerms, type Verdict } from "./policy/policy.ts";
import type { PurgeOrder } from "./purges.ts";
import type { Values } from "./values.ts";
import { addCacheStatus, type Served, serveEntry, serveFill } from "./serve.ts";

/** A request that has waited for so many leaders in vain asks by itself. */
const MAX_LEADERS = 3;
/** A stale entry whose refresh failed is not refreshed again before this. */
const REFRESH_PAUSE_MS = 1000;
const NO_FORMS: readonly CacheForm[] = Object.freeze([]);

/** One request on its way through. */
export interface Asking {
  readonly exchange: CacheExchange;
  readonly terms: RequestTerms;
  readonly primaryKey: string;
  /** With the selecting fields, as far as they are known. */
  key: string;
  entry: Entry | null;
  verdict: Verdict;
  /** Under which this worker fetches for all workers, or "". */
  lockKey: string;
}

export class Engine implements Cache {
  readonly #parts: CacheParts;
  readonly #counts = newCounts();
  readonly #memory: MemoryTier;
  readonly #lookup: Lookup;
  readonly #admission: Admission;
  readonly #flights = new Map<string, Flight>();

  constructor(parts: CacheParts) {
    this.#parts = parts;
    this.#memory = new MemoryTier(parts.config.memoryBytes);
    this.#lookup = new Lookup(this.#memory, parts.clock);
    this.#admission = new Admission(parts, this.#lookup, this.#counts);
  }

  ask(exchange: CacheExchange): GatewayResponse | Promise<GatewayResponse> {
    const terms = readRequest(exchange.method, exchange.fields, exchange.policy.honourClient);
    if (terms.kind === "unsafe") return this.#unsafe(exchange, terms);
    if (terms.kind === "safe") return this.#pass(exchange, "method", "");
    const nowMs = this.#parts.clock.unixMs();
    const primaryKey = keyOf(exchange.partition, exchange, exchange.shape);
    const key = this.#lookup.keyFor(primaryKey, exchange.fields);
    const slot = this.#lookup.find(key, nowMs);
    const entry = slot?.kind === "entry" ? slot : null;
    const verdict = decide(terms, entry?.freshness ?? null, nowMs);
    switch (verdict) {
      case "hit":
        this.#counts.requests.hit++;
        return fromCache(serveEntry(entry!, terms, exchange.fields, nowMs, null));
      case "stale":
        this.#refresh({ exchange, terms, primaryKey, key, entry, verdict, lockKey: "" }, nowMs);
        this.#counts.requests.stale++;
        return fromCache(serveEntry(entry!, terms, exchange.fields, nowMs, null));
      case "stale-allowed":
        this.#counts.requests.stale++;
        return fromCache(serveEntry(entry!, terms, exchange.fields, nowMs, null));
      case "gateway-timeout":
        return Promise.reject(new GatewayError("NOT_CACHED", "only-if-cached, and nothing that may be served is stored"));
      case "bypass":
        return this.#pass(exchange, terms.forOrigin ? "bypass" : "request", "");
      case "revalidate":
      case "miss":
        return this.#forward({ exchange, terms, primaryKey, key, entry, verdict, lockKey: "" }, slot);
    }
  }

  kept(place: string): readonly KeptAnswer[] {
    const kept: KeptAnswer[] = [];
    for (const slot of this.#memory.values()) {
      if (slot.kind !== "entry" || (slot.head.publicPlace !== place && slot.head.place !== place)) continue;
      // Purges are heeded when an entry is asked for.
      const { checkedGeneration, freshness } = slot;
      const judgement = this.#lookup.purges.judge(slot.head, checkedGeneration);
      if (judgement === "gone") continue;
      const { status, fields, tags, varyNames } = slot.head;
      kept.push({ status, fields, body: slot.body, tags, varyNames, freshUntilMs: judgement === "stale" ? freshness.bornAtMs : freshness.freshUntilMs });
    }
    return kept;
  }

  peek(exchange: CacheExchange): CachePeek {
    const terms = readRequest(exchange.method, exchange.fields, exchange.policy.honourClient);
    if (terms.kind === "unsafe")
      return {
        decision: "invalidate",
        why: `${exchange.method} goes to the origin, and a success invalidates what is stored for the URL`,
        key: "",
        response: null,
      };
    if (terms.kind === "safe") return { decision: "pass", why: `answers to ${exchange.method} are not stored`, key: "", response: null };
    const nowMs = this.#parts.clock.unixMs();
    const key = this.#lookup.keyFor(keyOf(exchange.partition, exchange, exchange.shape), exchange.fields);
    const slot = this.#lookup.find(key, nowMs);
    const entry = slot?.kind === "entry" ? slot : null;
    const decision = decide(terms, entry?.freshness ?? null, nowMs);
    const served = entry !== null && (decision === "hit" || decision === "stale" || decision === "stale-allowed");
    return {
      decision,
      why:
        slot?.kind === "marker"
          ? `not stored: ${slot.reason}`
          : entry === null
            ? "nothing is stored in this worker's memory"
            : `stored, ${freshText(entry, nowMs)}`,
      key,
      response: served ? fromCache(serveEntry(entry, terms, exchange.fields, nowMs, null)) : null,
    };
  }

  /** A miss, or an entry that must be validated first. */
  #forward(asking: Asking, slot: Slot | undefined): Promise<GatewayResponse> {
    const { exchange, terms, entry } = asking;
    if (terms.kind === "head") return this.#head(asking);
    // Set-Cookie is for one visitor: the next one's answer may be for all.
    if (slot?.kind === "marker") return slot.reason === "set-cookie" ? this.#solo(asking) : this.#alone(asking, slot.reason);
    if (terms.authorization && entry === null && this.#lookup.find(authorizedKey(asking.key), this.#parts.clock.unixMs()) !== undefined)
      return this.#alone(asking, "authorization");
    // What a rule read in onRequest keeps the answer out: nobody can wait for it.
    if (this.#admission.unkeyed(exchange, exchange.reads, []) !== null) return exchange.mayDecide ? this.#solo(asking) : this.#alone(asking, "personal");
    // An answer that is never fresh is each client's own.
    if (entry !== null && entry.head.freshness.freshUntilMs <= entry.head.freshness.bornAtMs) return this.#solo(asking);
    return this.#wait(asking);
  }

  async #wait(asking: Asking): Promise<GatewayResponse> {
    const { exchange } = asking;
    let failure: unknown = null;
    for (let leaders = 0; leaders < MAX_LEADERS; leaders++) {
      const running = this.#flights.get(asking.key);
      if (running === undefined || running.slow) {
        if (running !== undefined) this.#counts.replacedLeaders++;
        return this.#finish(asking, await this.#lead(asking).landed);
      }
      const outcome = await running.awaited;
      // What was purged on its way is for nobody who comes now: they ask anew.
      if ((outcome.kind === "fill" && !this.#lookup.holds(outcome.head)) || (outcome.kind === "stored" && !this.#lookup.holds(outcome.entry.head))) {
        running.slow = true;
        continue;
      }
      const response = this.#share(asking, outcome);
      if (response !== null) return response;
      const failed = outcome.kind === "failed" ? outcome.error : outcome.kind === "uncacheable" ? outcome.response.error : null;
      // An origin that can't be reached is asked by one after the other, not by the whole crowd at once.
      if (failed !== null) failure = failed;
      else if (outcome.kind === "uncacheable" || outcome.kind === "alone") return this.#alone(asking, outcome.reason);
      // Another variant than this one was fetched, or the leader was slow or failed.
      asking.key = this.#lookup.keyFor(asking.primaryKey, exchange.fields);
      const nowMs = this.#parts.clock.unixMs();
      const slot = this.#lookup.find(asking.key, nowMs);
      if (slot?.kind === "marker") return this.#alone(asking, slot.reason);
      asking.entry = slot?.kind === "entry" ? slot : null;
      if (asking.entry !== null && decide(asking.terms, asking.entry.freshness, nowMs) === "hit") {
        this.#count("collapsed");
        return fromCache(serveEntry(asking.entry, asking.terms, exchange.fields, nowMs, null));
      }
    }
    if (failure !== null) throw failure;
    return this.#alone(asking, "leaders");
  }

  #lead(asking: Asking): Flight {
    const { clock, config } = this.#parts;
    const flight = new Flight(clock, config.lockTimeoutMs);
    const { key } = asking;
    this.#flights.set(key, flight);
    const leave = (): void => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    this.#admission.fetch(asking, true, leave).then(
      (outcome) => {
        // While a body arrives, whoever asks joins it.
        if (outcome.kind !== "fill" || !outcome.shared || outcome.key !== key) leave();
        flight.end(outcome);
      },
      (error: unknown) => {
        leave();
        flight.end({ kind: "failed", error });
      },
    );
    return flight;
  }

  /** Behind the back of those who are served what is stale. */
  #refresh(asking: Asking, nowMs: number): void {
    const { entry, key } = asking;
    if (entry === null || nowMs < entry.refreshNotBeforeMs || this.#flights.has(key)) return;
    entry.refreshNotBeforeMs = nowMs + REFRESH_PAUSE_MS;
    void this.#lead(asking).landed.then((outcome) => {
      if (outcome.kind === "uncacheable") outcome.response.body.cancel();
      else if (outcome.kind === "fill") outcome.fill.start();
    });
  }

  /** With the entry's validators, waiting for nobody and nobody waiting. */
  async #solo(asking: Asking): Promise<GatewayResponse> {
    return this.#finish(asking, await this.#admission.fetch(asking, false, () => undefined));
  }

  /** The leader's own answer. */
  async #finish(asking: Asking, outcome: Outcome): Promise<GatewayResponse> {
    const { exchange, terms } = asking;
    switch (outcome.kind) {
      case "stored": {
        this.#count(outcome.fwdStatus === 304 ? "revalidated" : outcome.fwdStatus >= 500 ? "stale-on-error" : "hit");
        return this.#stored(asking, outcome, false);
      }
      case "fill": {
        this.#count("miss");
        const status = this.#forwarded(asking, outcome.head.status, true, false, "");
        const own = { ...outcome.head, fields: outcome.own };
        const served = serveFill(own, outcome.fill, terms, exchange.fields, this.#parts.clock.unixMs(), status);
        if (served === null) return this.#alone(asking, "too-large");
        if (served.fields.get("age") === "0") served.fields.delete("age");
        outcome.fill.start();
        return fromOrigin(served);
      }
      case "uncacheable": {
        const { response } = outcome;
        // The whole was fetched for everybody's sake; this client wanted a part.
        if (terms.range && response.status === 200 && response.from === "upstream") {
          response.body.cancel();
          return this.#alone(asking, outcome.reason);
        }
        this.#count("uncacheable");
        if (response.tunnel === null) addCacheStatus(response.fields, this.#forwarded(asking, response.status, false, false, outcome.reason));
        return response;
      }
      case "failed":
        throw outcome.error;
      case "slow":
      case "alone":
        return this.#alone(asking, outcome.kind === "alone" ? outcome.reason : "leaders");
    }
  }

  /** What another's fetch brought, as far as it is for this request too. */
  #share(asking: Asking, outcome: Outcome): GatewayResponse | null {
    const { exchange, terms } = asking;
    if (outcome.kind !== "stored" && outcome.kind !== "fill") return null;
    if (this.#lookup.keyFor(asking.primaryKey, exchange.fields) !== outcome.key) return null;
    if (outcome.kind === "stored") {
      if (outcome.entry.freshness.freshUntilMs <= outcome.entry.freshness.bornAtMs) return null;
      this.#count("collapsed");
      return this.#stored(asking, outcome, true);
    }
    if (!outcome.shared) return null;
    const status = this.#forwarded(asking, 0, false, true, "");
    const served = serveFill(outcome.head, outcome.fill, terms, exchange.fields, this.#parts.clock.unixMs(), status);
    if (served === null) return null;
    this.#count("collapsed");
    return fromCache(served);
  }

  #stored(asking: Asking, outcome: Extract<Outcome, { kind: "stored" }>, collapsed: boolean): GatewayResponse {
    const nowMs = this.#parts.clock.unixMs();
    const status = outcome.fwdStatus === 0 && !collapsed ? null : this.#forwarded(asking, outcome.fwdStatus, outcome.fwdStatus === 304, collapsed, "");
    return fromCache(serveEntry(outcome.entry, asking.terms, asking.exchange.fields, nowMs, status));
  }

  /** HEAD is not worth a fetch of the whole. */
  async #head(asking: Asking): Promise<GatewayResponse> {
    const { exchange, entry } = asking;
    if (entry === null) return this.#pass(exchange, "miss", "");
    this.#count("bypass");
    const answer = await exchange.lead(exchange.fields);
    this.#admission.heard(asking, entry, answer);
    addCacheStatus(answer.response.fields, this.#forwarded(asking, answer.response.status, false, false, ""));
    return answer.response;
  }

  async #alone(asking: Asking, reason: string): Promise<GatewayResponse> {
    const { exchange, entry } = asking;
    this.#count("uncacheable");
    const response = await exchange.pass();
    if (response.tunnel === null) addCacheStatus(response.fields, this.#forwarded({ ...asking, entry }, response.status, false, false, reason));
    return response;
  }

  async #pass(exchange: CacheExchange, fwd: "method" | "bypass" | "request" | "miss", detail: string): Promise<GatewayResponse> {
    this.#count("bypass");
    const response = await exchange.pass();
    const status: CacheStatus = { hit: false, fwd, fwdStatus: 0, ttlMs: null, stored: false, collapsed: false, detail };
    if (response.tunnel === null) addCacheStatus(response.fields, status);
    return response;
  }

  async #unsafe(exchange: CacheExchange, terms: RequestTerms): Promise<GatewayResponse> {
    const response = await this.#pass(exchange, "method", "");
    if (response.from === "upstream") {
      const { partition, otherPartitions = [], shape, scheme, authority, target, method, fields, upstream } = exchange;
      const keys = new Set<string>();
      for (const changed of invalidatedTargets(terms, response.status, response.fields, scheme, authority, target)) {
        const others = exchange.otherForms === undefined ? NO_FORMS : exchange.otherForms(changed);
        // On every gateway by its URL, as an operator would; nobody waits for it.
        if (others === null)
          void this.purge({ kind: "url", value: placeOf(exchange.publicAuthority, changed === target ? exchange.publicTarget : changed), soft: false });
        for (const form of [{ target: changed, upstream, shape }, ...(others ?? NO_FORMS)])
          for (const place of [partition, ...otherPartitions])
            keys.add(keyOf(place, { method, scheme, authority, fields, target: form.target, upstream: form.upstream }, form.shape));
      }
      for (const key of keys) this.#admission.invalidate(key);
    }
    return response;
  }

  #forwarded(asking: Asking, fwdStatus: number, stored: boolean, collapsed: boolean, detail: string): CacheStatus {
    const { entry, key, primaryKey, verdict } = asking;
    const fwd = entry !== null ? (verdict === "revalidate" && this.#isFresh(entry) ? "request" : "stale") : key === primaryKey ? "uri-miss" : "vary-miss";
    return { hit: false, fwd, fwdStatus: fwdStatus === 200 ? 0 : fwdStatus, ttlMs: null, stored, collapsed, detail };
  }
  #isFresh(entry: Entry): boolean {
    return this.#parts.clock.unixMs() < entry.freshness.freshUntilMs;
  }
  #count(outcome: CacheOutcome): void {
    this.#counts.requests[outcome]++;
  }

  get values(): Values {
    return this.#admission.values;
  }
  purge(order: PurgeOrder): Promise<PurgeReport> {
    return this.#admission.purge(order);
  }
  purgeHere(order: PurgeOrder): void {
    this.#lookup.purges.note(order, -1);
  }
  status(): CacheStatusReport {
    const { entries, bytes, evictions } = this.#memory;
    return { counts: this.#counts, entries, bytes, evictions, limitBytes: this.#parts.config.memoryBytes };
  }
  close(): void {
    this.#admission.close();
  }
}

function freshText({ freshness }: Entry, nowMs: number): string {
  const leftMs = freshness.freshUntilMs - nowMs;
  return leftMs > 0 ? `fresh for another ${Math.ceil(leftMs / 1000)} s` : `stale for ${Math.floor(-leftMs / 1000)} s`;
}

function fromCache(served: Served): GatewayResponse {
  return { status: served.status, fields: served.fields, body: served.body, declaredLength: served.declaredLength, from: "cache", error: null, tunnel: null };
}
function fromOrigin(served: Served): GatewayResponse {
  return {
    status: served.status,
    fields: served.fields,
    body: served.body,
    declaredLength: served.declaredLength,
    from: "upstream",
    error: null,
    tunnel: null,
  };
}
