/** What is known of one exchange while it lives: the state beside the story that `handler.ts` tells. */
import { asGatewayError, GatewayError } from "../errors.ts";
import type { Phase } from "../compile/release.ts";
import type { ExchangeRecord } from "../observe/record.ts";
import type { Admission } from "../ratelimit/ratelimit.ts";
import { type HookExtra, TRACED_EXTRA } from "../sandbox/protocol.ts";
import type { Trace } from "../sandbox/trace.ts";
import type { ElementPort, ExchangeHandle, RequestView } from "../sandbox/sandbox.ts";
import type { Core } from "./core.ts";
import { CacheWords } from "./cache-words.ts";
import { decodeBody } from "./coding.ts";
import { beginExperiments, type ExchangeExperiments, takeQaLink, track } from "./experiments/experiments.ts";
import { type BodySource, bodyOf, type ConnectionFacts, type Exchange } from "./exchange.ts";
import type { Fields } from "./fields.ts";
import { type Client, receive, receivedRequestId } from "./forwarded.ts";
import { HeldBody } from "./held-body.ts";
import { type GatewayInputs, NO_INPUTS } from "./gateway-inputs.ts";
import type { HookPlan, HookTable } from "./hook-plan.ts";
import { Asked } from "./asked.ts";
import type { Matchable, MatchResult } from "./match/match.ts";
import type { CanaryExchange } from "./release-choice.ts";
import type { GatewayResponse } from "./reply.ts";
import type { Witness } from "./witness.ts";

export class Life implements ExchangeHandle {
  readonly exchange: Exchange;
  readonly core: Core;
  readonly table: HookTable;
  readonly client: Client;
  readonly id: string;
  /** The request as rules change it. */
  readonly request: RequestView;
  readonly match: MatchResult;
  readonly plan: HookPlan;
  /** What was for the gateway alone. */
  readonly inputs: GatewayInputs;
  /** Its part in the canary; null: none runs. */
  readonly canary: CanaryExchange | null;
  /** Its part in experiments; null: it has none. */
  readonly experiments: ExchangeExperiments | null;

  upstream = "";
  pinnedTarget = "";
  route = -1;
  gone = false;
  /** Who answered or failed, for the record. */
  rule = "";
  error: GatewayError | null = null;
  response: GatewayResponse | null = null;
  /** What the limits of the route said, if there are any. */
  admission: Admission | null = null;
  upstreamTarget = "";
  upstreamMs = 0;
  /** Set while a request is with an upstream. */
  cancelUpstream: (() => void) | null = null;

  /** Wants to know what rules change. */
  readonly trace: Trace | null;
  /** Watches it from beginning to end. */
  readonly witness: Witness | null;

  /** HTML edits that rules asked for, as JSON each; null: none. */
  htmlEdits: string[] | null = null;
  /** Who is asked for those that rules decide element by element; null: nobody. */
  elementPorts: ElementPort[] | null = null;
  ruleWallMs = 0;
  fetches = 0;
  #state: Map<number, string> | null = null;
  #abort: AbortController | null = null;
  #requestBody: HeldBody | null = null;
  #requestBodySent = false;
  #replacedRequestBody: Buffer | null = null;
  #finished = false;
  #cacheWords: CacheWords | null = null;
  #whenOver: (() => void)[] | null = null;
  /** Null: nobody has asked. */
  #country: string | null = null;
  readonly #startUnixMs: number;

  /** `original`: it goes on from where that one stands, past its onRequest. `previewed`: the release that it asked for. */
  constructor(exchange: Exchange, core: Core, original: Life | null = null, inputs = NO_INPUTS, previewed: HookTable | null = null) {
    this.exchange = exchange;
    this.core = core;
    this.#startUnixMs = core.clock.unixMs();
    this.inputs = inputs;
    const fields = exchange.fields;
    if (original !== null) {
      this.trace = original.trace;
      this.witness = original.witness;
      this.table = original.table;
      this.canary = null;
      this.experiments = original.experiments;
      this.client = original.client;
      this.#country = original.#country;
      this.id = original.id;
      this.request = { ...original.request, fields };
      this.match = original.match;
      this.plan = original.plan;
      this.upstream = original.upstream;
      this.pinnedTarget = original.pinnedTarget;
      this.route = original.route;
      this.ruleWallMs = original.ruleWallMs;
      this.fetches = original.fetches;
      this.#state = original.state;
      return;
    }
    this.client = receive(fields, exchange.connection, core.trustedProxies);
    if (core.countries !== null) this.#country = core.countries.told(fields, this.client);
    this.canary = core.choice === null || previewed !== null ? null : core.choice.choose(inputs, this.client);
    this.table = previewed ?? (this.canary === null ? core.table : this.canary.table);
    this.id = (this.client.trusted ? receivedRequestId(fields) : undefined) ?? core.nextRequestId();
    const link = this.table.experiments === null ? null : takeQaLink(exchange.target);
    this.request = { method: exchange.method, scheme: this.client.scheme, authority: exchange.authority, target: link?.target ?? exchange.target, fields };
    const asked = this.table.matchesNothing ? UNMATCHED : this.matchable();
    this.match = this.table.match(asked);
    this.plan = this.table.plan(this.match);
    const { experiments } = this.table;
    this.experiments =
      experiments === null || core.experiments === null ? null : beginExperiments(this, core.experiments, experiments, asked, link?.link ?? null);
    if (this.canary !== null) core.choice!.measure.began(this.id, this.canary);
    this.trace = core.trace === null ? null : core.trace(this, inputs.debug);
    this.witness = core.witness === null ? null : core.witness(this);
  }

  /** The request as it stands now, for routes and rules. */
  matchable(fields = this.request.fields): Matchable {
    return new Asked(this.request, fields, this);
  }
  /** Of the client, looked up when somebody first asks. */
  get country(): string {
    return (this.#country ??= this.core.countries === null ? "" : this.core.countries.at(this.client.address));
  }

  // ExchangeHandle: what the sandbox room and the services need.
  get received(): Exchange {
    return this.exchange;
  }
  get state(): Map<number, string> {
    return (this.#state ??= new Map());
  }
  get signal(): AbortSignal {
    if (this.#abort === null) {
      this.#abort = new AbortController();
      if (this.gone) this.#abort.abort();
    }
    return this.#abort.signal;
  }
  /** JSON of `HookExtra`: who asks, the request id, and `rest` (further members, each with its comma in front). Request ids need no escaping. */
  extraText(rest: string): string {
    return `{"client":${this.#clientText()},"requestId":"${this.id}"${rest}${this.trace === null ? "}" : TRACED_EXTRA}`;
  }
  /** The same for all exchanges of a connection, unless a trusted proxy speaks for many clients. */
  #clientText(): string {
    const { connection, version } = this.exchange;
    const isPlaced = this.core.countries !== null && this.plan.asksClient;
    const texts = isPlaced ? placedTexts : clientTexts;
    const known = this.client.trusted ? undefined : texts.get(connection);
    if (known !== undefined) return known;
    const { address, scheme } = this.client;
    const text = JSON.stringify({
      address,
      port: connection.remotePort,
      scheme,
      httpVersion: version,
      country: isPlaced ? this.country : "",
    } satisfies HookExtra["client"]);
    if (!this.client.trusted) texts.set(connection, text);
    return text;
  }
  readRequestBody(): Promise<Buffer> {
    if (this.#replacedRequestBody) return Promise.resolve(this.#replacedRequestBody);
    if (this.exchange.body.length === 0) return Promise.resolve(EMPTY);
    if (this.#requestBodySent)
      return Promise.reject(new GatewayError("RULE_EFFECT", "the request body was read after it went to the origin; read it in onRequest or onOriginRequest"));
    this.#requestBody ??= new HeldBody(this.exchange.body);
    return this.#requestBody.collect(this.core.config.limits.ruleBodyBytes);
  }
  async readResponseBody(): Promise<Buffer> {
    const { response } = this;
    if (response === null || response.body.length === 0) return EMPTY;
    const held = response.body instanceof HeldBody ? response.body : new HeldBody(response.body);
    response.body = held;
    const limitBytes = this.core.config.limits.ruleBodyBytes;
    try {
      return await decodeBody(await held.collect(limitBytes), response.fields.joined("content-encoding"), limitBytes);
    } catch (thrown) {
      const error = asGatewayError(thrown);
      // Of a request that is the client's doing, and 413; of a response it is not.
      throw error.code === "BODY_TOO_LARGE" ? new GatewayError("SERVICE_REFUSED", error.detail, { cause: error }) : error;
    }
  }

  /** The request body for the origin. After it was taken it cannot be read again, unless it was held or replaced. */
  takeRequestBody(): BodySource {
    this.#requestBodySent = true;
    if (this.#replacedRequestBody) return bodyOf(this.#replacedRequestBody);
    return this.#requestBody ?? this.exchange.body;
  }
  replaceRequestBody(bytes: Buffer): void {
    if (!this.#requestBodySent && this.#requestBody === null && this.exchange.body.length !== 0) this.exchange.body.cancel();
    this.#replacedRequestBody = bytes;
  }
  /** May the request go to another upstream after one has failed? */
  get requestCanBeSentAgain(): boolean {
    return !this.#requestBodySent || this.exchange.body.length === 0 || this.#replacedRequestBody !== null;
  }

  /** True once: the exchange is over. */
  finish(): boolean {
    if (this.#finished) return false;
    this.#finished = true;
    if (this.#whenOver !== null) for (const run of this.#whenOver) run();
    return true;
  }
  cacheKeyed(json: string): void {
    this.cacheWords.keyed(json);
    this.witness?.said("cache key", json);
  }
  cacheDecided(json: string): void {
    this.cacheWords.decided(json);
    this.witness?.said("cache", json);
  }
  variantText(experiment: string): string | null {
    return this.experiments?.variantText(experiment) ?? null;
  }
  experimentAsked(rule: string, experiment: string, phase: Phase): void {
    this.experiments?.wasAsked(this, rule, experiment, phase);
  }
  tracked(goal: string, value: number | null): void {
    if (this.experiments !== null) track(this.experiments, goal, value);
  }
  htmlEdited(json: string): void {
    (this.htmlEdits ??= []).push(json);
  }
  elementsWanted(port: ElementPort): void {
    (this.elementPorts ??= []).push(port);
    this.whenOver(() => port.end());
  }
  cacheReads(rule: string, words: string): void {
    this.cacheWords.read(rule, words);
  }
  /** What rules said to the cache so far; made when one does. */
  get cacheWords(): CacheWords {
    return (this.#cacheWords ??= new CacheWords());
  }
  get saysToCache(): boolean {
    return this.#cacheWords !== null;
  }
  get cachePartition(): string {
    return this.table.partition;
  }
  whenOver(run: () => void): void {
    if (this.#finished) run();
    else (this.#whenOver ??= []).push(run);
  }

  /** The client left: stop whoever works for it. */
  onClientGone(): void {
    this.gone = true;
    this.#abort?.abort();
    this.cancelUpstream?.();
    this.response?.body.cancel();
  }
  throwIfGone(): void {
    if (this.gone) throw new GatewayError("CLIENT_CLOSED", "the client closed its connection before the response was complete");
  }

  record(status: number, sentBytes: number, completed: boolean): ExchangeRecord {
    const { exchange, error, response } = this;
    const code = error?.code ?? (completed ? "" : "CLIENT_CLOSED");
    return {
      id: this.id,
      startMs: this.#startUnixMs,
      clientAddress: this.client.address,
      scheme: this.client.scheme,
      httpVersion: exchange.version,
      method: exchange.method,
      host: exchange.authority,
      target: this.experiments === null ? exchange.target : this.experiments.shownTarget,
      status,
      code,
      detail: error?.detail ?? "",
      from: response?.from ?? "gateway",
      route: this.route,
      upstream: this.upstream,
      upstreamTarget: this.upstreamTarget,
      release: this.table.releaseId,
      beside: this.table.beside,
      rule: this.rule,
      variants: this.experiments === null ? "" : this.experiments.variants,
      durationMs: this.core.clock.now() - exchange.startedAtMs,
      upstreamMs: this.upstreamMs,
      receivedBytes: Math.max(0, exchange.body.length),
      sentBytes,
      completed,
      userAgent: exchange.fields.get("user-agent") ?? "",
    };
  }
}

const clientTexts = new WeakMap<ConnectionFacts, string>();
/** With the country. */
const placedTexts = new WeakMap<ConnectionFacts, string>();
const EMPTY = Buffer.alloc(0);
const UNMATCHED: Matchable = Object.freeze({ method: "", host: "", path: "", query: "", fields: null as unknown as Fields, country: "" });
