/** From asking the origin to an entry in its place: what may be stored, for whom, and how it gets there. */
import type { Fields } from "../proxy/fields.ts";
import type { GatewayResponse } from "../proxy/reply.ts";
import type { CacheExchange, CacheParts, OriginAnswer, PurgeReport } from "./cache.ts";
import { Claims } from "./claims.ts";
import type { CacheCounts } from "./counters.ts";
import type { Asking } from "./engine.ts";
import { Entry, type EntryHead, Marker } from "./entry.ts";
import { Fill, type FillBudget } from "./fill.ts";
import type { Outcome } from "./flight.ts";
import { placeOf } from "./key.ts";
import type { Lookup } from "./lookup.ts";
import { type Freshness, headEffect, mayServeOnError, merge304, originFields, type Storable, storable, type StoreOptions } from "./policy/policy.ts";
import { type RuleRead, unkeyedRead } from "./privacy.ts";
import type { PurgeOrder } from "./purges.ts";
import { PurgeBoard } from "./purge-board.ts";
import { SharedTier } from "./shared-tier.ts";
import { createValues, type Values } from "./values.ts";
import { tagsOf } from "./tags.ts";

/** RFC 5861 section 4. */
const ERROR_STATUSES: ReadonlySet<number> = new Set([500, 502, 503, 504]);
/** Lifetimes above this end up to this share earlier, each by another part of it: what was filled together does not expire together. */
const JITTER_FROM_MS = 10_000;
const JITTER_SHARE = 0.05;
const JITTER_MOST_MS = 30_000;
/** Of `cache.memory`, for bodies on their way; beyond it they are passed on and not stored. */
const FILLING_SHARE = 0.5;
/** One warning for a rule and a read in this time. */
const WARN_EVERY_MS = 60_000;
const MAX_WARNINGS = 200;

type Stored = Extract<Storable, { store: true }>;

export class Admission {
  readonly #parts: CacheParts;
  readonly #lookup: Lookup;
  readonly #counts: CacheCounts;
  readonly #shared: SharedTier | null = null;
  readonly #claims: Claims | null = null;
  readonly #board: PurgeBoard | null = null;
  readonly values: Values;
  readonly #budget: FillBudget;
  readonly #warned = new Map<string, number>();

  constructor(parts: CacheParts, lookup: Lookup, counts: CacheCounts) {
    this.#parts = parts;
    this.#lookup = lookup;
    this.#counts = counts;
    this.#budget = { leftBytes: Math.max(parts.config.maxObjectBytes, parts.config.memoryBytes * FILLING_SHARE) };
    if (!parts.shares) {
      this.values = createValues(parts, lookup, counts, null, null);
      return;
    }
    if (parts.config.shared !== null) {
      const shared = (this.#shared = new SharedTier(parts, counts));
      this.#claims = new Claims(parts, lookup, shared);
      lookup.onVariants = (primaryKey, variants) => {
        if (shared.usable) void shared.write(primaryKey, variants);
      };
    }
    this.#board = new PurgeBoard(parts, lookup, counts, (trusted) => {
      if (this.#shared === null) return;
      this.#shared.trusted = trusted;
      if (trusted) void this.#shared.agree();
    });
    this.values = createValues(parts, lookup, counts, this.#shared, this.#board);
  }

  unkeyed(exchange: CacheExchange, reads: readonly RuleRead[], varyNames: readonly string[]): RuleRead | null {
    return reads.length === 0 ? null : unkeyedRead(reads, exchange.shape, varyNames);
  }

  /** `forAll`: on behalf of all workers, asking the store first. `onEnd`: nothing arrives any more. */
  async fetch(asking: Asking, forAll: boolean, onEnd: () => void): Promise<Outcome> {
    const leave = asking.exchange.hold();
    try {
      if (forAll && this.#claims !== null && this.#shared!.usable && !this.#isForced(asking)) {
        const found = await this.#claims.take(asking);
        if (found !== null) return found;
      }
      return await this.#ask(asking, onEnd);
    } catch (thrown) {
      this.#release(asking);
      throw thrown;
    } finally {
      leave();
    }
  }

  async #ask(asking: Asking, onEnd: () => void): Promise<Outcome> {
    const { exchange, entry } = asking;
    const generation = this.#lookup.purges.generation;
    const sequence = this.#board?.known ?? -1;
    this.#counts.fetches++;
    const answer = await exchange.lead(originFields(exchange.fields, entry?.head.fields ?? null));
    const outcome = this.#admit(asking, answer, generation, sequence, onEnd);
    if (outcome.kind !== "fill") this.#share(asking, outcome);
    return outcome;
  }

  /** The client wants the origin's word, although what is stored is fresh. */
  #isForced({ verdict, entry }: Asking): boolean {
    return verdict === "revalidate" && entry !== null && this.#parts.clock.unixMs() < entry.freshness.freshUntilMs;
  }

  /** Lets the other workers have what came, and then the lock. */
  #share(asking: Asking, outcome: Outcome): void {
    const shared = this.#shared;
    if (shared === null || !shared.usable) return;
    const marker = outcome.kind === "uncacheable" ? this.#lookup.find(asking.key, this.#parts.clock.unixMs()) : undefined;
    if (outcome.kind === "stored" && outcome.fwdStatus === 304 && outcome.key !== "") this.#write(shared, asking, outcome.key, outcome.entry);
    else if (marker?.kind === "marker") this.#write(shared, asking, asking.key, marker);
    else this.#release(asking);
  }
  #write(shared: SharedTier, asking: Asking, key: string, slot: Entry | Marker): void {
    void shared.write(key, slot).then(() => this.#release(asking));
  }
  #release(asking: Asking): void {
    const { lockKey } = asking;
    asking.lockKey = "";
    if (lockKey !== "") void this.#shared?.release(lockKey);
  }

  #admit(asking: Asking, answer: OriginAnswer, generation: number, sequence: number, onEnd: () => void): Outcome {
    const { exchange, terms, entry } = asking;
    const { response, timing, decision } = answer;
    const nowMs = timing.responseAtMs;
    const failing = response.error !== null || ERROR_STATUSES.has(response.status);
    if (failing && entry !== null && mayServeOnError(terms, entry.freshness, nowMs)) {
      response.body.cancel();
      return { kind: "stored", key: asking.key, entry, fwdStatus: response.status };
    }
    if (response.from !== "upstream" || response.tunnel !== null) return { kind: "uncacheable", response, reason: "" };
    const options = optionsOf(exchange.policy.options, answer);
    const validated = response.status === 304 && entry !== null;
    const status = validated ? entry.head.status : response.status;
    const fields = validated ? merge304(entry.head.fields, response.fields, nowMs) : response.fields;
    const found = storable(terms, status, fields, options, timing);
    const unkeyed = found.store ? this.unkeyed(exchange, answer.reads, found.varyNames) : null;
    const personal = unkeyed !== null && decision?.cacheability !== "yes";
    if (personal) this.#warn(asking, unkeyed);
    if (validated && (personal || !found.store)) return this.#validatedOnce(asking, entry, response, fields);
    // What was read in onRequest is this client's affair: the next one may bring nothing to be read.
    if (personal) return this.#refused(asking, response, "personal", exchange.reads.includes(unkeyed) ? 0 : options.hitForMissMs);
    if (!found.store) return this.#refused(asking, response, found.reason, found.hitForMissMs);
    const head = this.#headOf(exchange, asking.primaryKey, status, found, answer, { generation, sequence });
    if (validated) {
      response.body.cancel();
      const renewed = new Entry({ ...head, tags: head.tags.length > 0 ? head.tags : entry.head.tags }, entry.body);
      const key = this.#lookup.keep(renewed, exchange.fields);
      return { kind: "stored", key: key ?? asking.key, entry: renewed, fwdStatus: 304 };
    }
    return this.#fill(asking, response, head, options, onEnd);
  }

  /** A HEAD asked while its GET was stored: it renews that, or shows that it is outdated (RFC 9111 section 4.3.5). */
  heard(asking: Asking, entry: Entry, answer: OriginAnswer): void {
    const { exchange, terms } = asking;
    const { response, timing } = answer;
    if (response.from !== "upstream" || response.status !== 200) return;
    if (headEffect(entry.head.fields, entry.body.length, response.fields, response.declaredLength) === "invalidate") {
      this.#lookup.delete(asking.key);
      return;
    }
    const fields = merge304(entry.head.fields, response.fields, timing.responseAtMs);
    const found = storable({ ...terms, kind: "get" }, entry.head.status, fields, optionsOf(exchange.policy.options, answer), timing);
    if (found.store) {
      if (this.unkeyed(exchange, answer.reads, found.varyNames) !== null) return;
      const { varyNames } = found;
      const head = { ...entry.head, varyNames, fields: found.fields, freshness: this.#jittered(found.freshness), requestAtMs: timing.requestAtMs };
      this.#lookup.keep(new Entry(head, entry.body), exchange.fields);
    } else if (found.hitForMissMs > 0) this.#lookup.delete(asking.key);
  }

  #fill(asking: Asking, response: GatewayResponse, head: EntryHead, options: StoreOptions, onEnd: () => void): Outcome {
    const { maxObjectBytes } = this.#parts.config;
    const { exchange } = asking;
    const { body } = response;
    if (body.length > maxObjectBytes || response.declaredLength > maxObjectBytes) {
      this.#counts.tooLarge++;
      return this.#refused(asking, response, "too-large", options.hitForMissMs);
    }
    // Whether all of it came nobody could tell (RFC 9112 section 8).
    if (body.endsWithConnection === true) return this.#refused(asking, response, "unframed", options.hitForMissMs);
    const key = this.#lookup.place(head.primaryKey, head.varyNames, exchange.fields);
    if (key === null) return this.#refused(asking, response, "vary", options.hitForMissMs);
    const fill = new Fill(body, maxObjectBytes, this.#budget, (bytes, why) => {
      if (bytes !== null) this.#keep(asking, new Entry(head, bytes));
      else if (why === "torn") this.#counts.torn++;
      else if (why === "too-large") {
        this.#counts.tooLarge++;
        this.#mark(key, "too-large", options.hitForMissMs);
      }
      if (bytes === null) this.#release(asking);
      onEnd();
    });
    return { kind: "fill", key, head, own: response.fields, fill, shared: head.freshness.freshUntilMs > head.requestAtMs };
  }

  #keep(asking: Asking, entry: Entry): void {
    const key = this.#lookup.keep(entry, asking.exchange.fields);
    if (key !== null) this.#counts.stored++;
    if (key !== null && this.#shared?.usable === true) this.#write(this.#shared, asking, key, entry);
    else this.#release(asking);
  }

  #headOf(
    exchange: CacheExchange,
    primaryKey: string,
    status: number,
    found: Stored,
    answer: OriginAnswer,
    since: { generation: number; sequence: number },
  ): EntryHead {
    return {
      primaryKey,
      varyNames: found.varyNames,
      status,
      fields: found.fields,
      freshness: this.#jittered(found.freshness),
      tags: tagsOf(found.fields, answer.decision?.tags ?? []),
      place: placeOf(exchange.authority, exchange.target),
      publicPlace: placeOf(exchange.publicAuthority, exchange.publicTarget),
      generation: since.generation,
      purgeSequence: since.sequence,
      requestAtMs: answer.timing.requestAtMs,
    };
  }

  #jittered(freshness: Freshness): Freshness {
    const lifetimeMs = freshness.freshUntilMs - freshness.bornAtMs;
    if (lifetimeMs < JITTER_FROM_MS) return freshness;
    const earlierMs = Math.floor(Math.min(lifetimeMs * JITTER_SHARE, JITTER_MOST_MS) * this.#parts.random());
    return { ...freshness, freshUntilMs: freshness.freshUntilMs - earlierMs };
  }

  #refused(asking: Asking, response: GatewayResponse, reason: string, markerMs: number): Outcome {
    const { key, entry } = asking;
    if (response.status >= 500 || markerMs === 0) return { kind: "uncacheable", response, reason };
    if (reason === "authorization") this.#mark(authorizedKey(key), reason, markerMs);
    else {
      // What the origin says now takes the place of what it said before.
      if (entry !== null) this.#lookup.delete(key);
      this.#mark(key, reason, markerMs);
    }
    return { kind: "uncacheable", response, reason };
  }

  #mark(key: string, reason: string, ms: number): void {
    if (ms <= 0) return;
    this.#lookup.put(key, new Marker(this.#parts.clock.unixMs() + ms, reason, this.#lookup.purges.generation));
  }

  #warn({ exchange }: Asking, { rule, read }: RuleRead): void {
    this.#counts.personal++;
    const word = `${rule}\n${read}`;
    const nowMs = this.#parts.clock.unixMs();
    if ((this.#warned.get(word) ?? -Infinity) + WARN_EVERY_MS > nowMs) return;
    if (this.#warned.size >= MAX_WARNINGS) this.#warned.clear();
    this.#warned.set(word, nowMs);
    this.#parts.warn("cache-personal", { rule, read, place: placeOf(exchange.authority, exchange.target.split("?", 1)[0]!) });
  }

  /** The origin says that what is stored holds, and that it may not be stored any longer. */
  #validatedOnce(asking: Asking, entry: Entry, response: GatewayResponse, fields: Fields): Outcome {
    response.body.cancel();
    this.#lookup.delete(asking.key);
    const last = new Entry({ ...entry.head, fields }, entry.body);
    return { kind: "stored", key: "", entry: last, fwdStatus: 304 };
  }

  /** It was changed through this gateway. */
  invalidate(primaryKey: string): void {
    this.#lookup.invalidate(primaryKey);
    if (this.#board === null) return;
    void this.#shared?.delete(primaryKey);
    this.#board.changed(primaryKey);
  }

  async purge(order: PurgeOrder): Promise<PurgeReport> {
    if (this.#board !== null) return this.#board.purge(order);
    this.#lookup.purges.note(order, -1);
    this.#counts.purges++;
    return { done: 1, members: 1, reason: "" };
  }

  close(): void {
    this.#board?.close();
    this.#warned.clear();
  }
}

/** Where a marker for requests with Authorization stands: a client that sends one must not switch the cache off for the others. */
export function authorizedKey(key: string): string {
  return `${key}\0authorized`;
}

function optionsOf(options: StoreOptions, { decision }: OriginAnswer): StoreOptions {
  if (decision === null) return options;
  return {
    ...options,
    cacheability: decision.cacheability ?? options.cacheability,
    lifetimeMs: decision.lifetimeMs ?? options.lifetimeMs,
    staleWhileRevalidateMs: decision.staleWhileRevalidateMs ?? options.staleWhileRevalidateMs,
    staleIfErrorMs: decision.staleIfErrorMs ?? options.staleIfErrorMs,
  };
}
