/**
 * The door of the sandbox room on the worker's side: run these rules' hooks for this exchange and tell what they decided.
 * `createSandbox` stands in `client.ts`.
 */
import type { HtmlEdit } from "../../sdk/html.ts";
import type { GatewayError } from "../errors.ts";
import type { Phase, Release, SourceMaps } from "../compile/release.ts";
import type { Fields } from "../proxy/fields.ts";
import type { Trace } from "./trace.ts";
import type { Params } from "../proxy/match/match.ts";

/** A hook run to be. `exchange` is handed through to services untouched. */
export interface HookRun {
  readonly release: LoadedRelease;
  readonly phase: Phase;
  /** Rule numbers in running order, and beside each its path groups. All contexts mixed: the room splits them. */
  readonly rules: readonly number[];
  readonly params: readonly (Params | null)[];
  readonly request: RequestView;
  readonly response: ResponseView | null;
  /** JSON of `HookExtra`: the caller writes it, because most of it holds for a whole connection. */
  readonly extra: string;
  readonly exchange: ExchangeHandle;
}

export interface RequestView {
  method: string;
  readonly scheme: "http" | "https";
  authority: string;
  target: string;
  readonly fields: Fields;
}

export interface ResponseView {
  status: number;
  /** As rules see it. */
  readonly from?: string;
  readonly fields: Fields;
}

/** Per exchange, made by the handler once: what outlives one hook. */
export interface ExchangeHandle {
  readonly id: string;
  /** The request line as the client sent it, whatever rules made of it since: what a signature covers. */
  readonly received: { readonly method: string; readonly target: string; readonly authority: string };
  /** Who asks. Left out: nobody knows. */
  readonly client?: { readonly address: string };
  /** Wants to know what each change was. Left out or null: nobody does. */
  readonly trace?: Trace | null;
  /** Watches the exchange. Left out or null: nobody does. */
  readonly witness?: ExchangeWitness | null;
  /** Rule number → JSON of `ctx.state`. */
  readonly state: Map<number, string>;
  /** Wall time used by rules so far, and calls made; the room adds to it. */
  ruleWallMs: number;
  fetches: number;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
  /** Reads and keeps the body of the request (or response) up to the limit; what is kept is sent on afterwards. */
  readRequestBody(): Promise<Buffer>;
  readResponseBody(): Promise<Buffer>;
  /** Calls `run` once, when the exchange is over; at once when it is. */
  whenOver(run: () => void): void;
  /** What rules say to the cache (`cache-words.ts`), and what they read before it. Left out where nothing is cached. */
  cacheKeyed?(json: string): void;
  cacheDecided?(json: string): void;
  cacheReads?(rule: string, words: string): void;
  /** Of what rules keep in the cache. Left out: "". */
  readonly cachePartition?: string;
  /** JSON of what a rule is told of an experiment's variant; null: there is no such experiment. Left out: there are none. */
  variantText?(experiment: string): string | null;
  /** A rule asked for it. */
  experimentAsked?(rule: string, experiment: string, phase: Phase): void;
  /** `ctx.track`. */
  tracked?(goal: string, value: number | null): void;
  /** An HTML edit of what is delivered, as JSON, checked. */
  htmlEdited?(json: string): void;
  /** Rules have callbacks for elements of what is delivered; `port.end()` is owed. Left out: there are none to show. */
  elementsWanted?(port: ElementPort): void;
}

/** Element callbacks of one hook call. */
export interface ElementPort {
  /** Rules that have some. */
  readonly rules: readonly number[];
  /**
   * For each element, and there for each call, the edits, checked. Rejects with a `GatewayError` when a rule with onFailure "closed" failed; a rule with "open" that failed
   * wants nothing from there on. One question at a time.
   */
  ask(elements: readonly AskedElement[]): Promise<readonly (readonly (readonly HtmlEdit[])[])[]>;
  /** There are no further elements. */
  end(): void;
}
export interface AskedElement {
  readonly tag: string;
  readonly attributes: readonly (readonly [name: string, value: string])[];
  readonly calls: readonly (readonly [rule: number, callback: number])[];
}

/** Whoever wants to know what an exchange met. */
export interface ExchangeWitness {
  /** Clock and seed of a hook call that is about to run; it gets what is returned. */
  drawn(phase: Phase, clockMs: number, seed: string): { readonly clockMs: number; readonly seed: string };
  /** A rule's call to a service. */
  serve(name: string, call: ServiceCall, service: Service): Promise<unknown>;
}

/**
 * What the rules decided, already checked. Effects on method, target, fields, status were applied to the views of the run, in order,
 * when this resolves (and to nothing when a hook did not finish).
 */
export interface HookOutcome {
  readonly upstream: string;
  readonly pinnedTarget: string;
  /** A replaced body, or null. */
  readonly body: Buffer | null;
  readonly answer: RuleAnswer | null;
  /** Set when a rule with onFailure "closed" failed; rules with "open" are counted, logged and passed over. */
  readonly failure: GatewayError | null;
  /** Name of the rule that answered or failed, or "". */
  readonly rule: string;
}

export interface RuleAnswer {
  readonly status: number;
  readonly fields: Fields;
  readonly body: Buffer;
}

/** A release that this worker's sandboxes hold. */
export interface LoadedRelease {
  readonly release: Release;
  readonly number: number;
  /** Phase → `file:line:column` of the hooks of one rule. */
  hookPlaces?(rule: number): Readonly<Partial<Record<Phase, string>>>;
}

/** Called with checked JSON arguments; what it returns goes back as JSON. A `GatewayError` rejects the rule's promise with its code. */
export type Service = (call: ServiceCall) => Promise<unknown>;
export interface ServiceCall {
  readonly args: unknown;
  readonly rule: string;
  readonly exchange: ExchangeHandle;
  readonly request: RequestView;
  /** The same for each attempt at this call, over re-runs and sandboxes. */
  readonly idempotencyId: string;
  readonly signal: AbortSignal;
}

export interface SandboxEvents {
  /** `release`: two may run beside each other. `exchange`: "" outside any. */
  log(entry: { rule: string; release: string; level: "debug" | "info" | "warn" | "error"; text: string; exchange: string }): void;
  metric(entry: { rule: string; name: string; value: number; labels: Readonly<Record<string, string>> }): void;
  /** One hook of one rule is over. */
  hook(entry: {
    rule: string;
    release: string;
    phase: Phase;
    cpuUs: number;
    outcome: "next" | "answer" | "failed-closed" | "failed-open";
    /** Known from before: it did not run. */
    recalled?: boolean;
    failure: { kind: string; message: string; stack: string } | null;
    exchange: string;
  }): void;
  /** A sandbox process or an isolate ended. `by`: "sluice" (deadline, memory), "itself" (crash), "outside". */
  sandbox(entry: {
    event: "started" | "lost" | "isolate-lost" | "swapped" | "quarantined" | "start-failed";
    by: "sluice" | "itself" | "outside" | "";
    reason: string;
    rule: string;
    pid: number;
  }): void;
}

export interface SandboxOptions {
  readonly limits: { ruleCpuMs: number; ruleWallMs: number; ruleMemoryBytes: number; ruleFetches: number; crossingBytes: number; ruleRecallBytes?: number };
  readonly vars: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, string>>;
  readonly services: Readonly<Record<string, Service>>;
  readonly events: SandboxEvents;
  readonly quarantine: boolean;
  /** Tell `cacheReads`. Left out: no. */
  readonly tellsReads?: boolean;
  readonly now: () => number;
  /** 32 hex digits for each hook, and behind them, in rule tests, the numbers that `ctx.random()` gives. Left out: the system's randomness. */
  readonly newSeed?: () => string;
}

export interface Sandbox {
  /** Resolves when the active process and the warm spare have it ready; rejects with the located reason and leaves all as it was. */
  load(release: Release, maps: SourceMaps): Promise<LoadedRelease>;
  /** Gives it up once its last hook is over. */
  unload(release: LoadedRelease): void;
  /** What `run` would resolve with, when that is known from before (`recall.ts`): effects are applied. Null: it must run. */
  recall(run: HookRun): HookOutcome | null;
  run(run: HookRun): Promise<HookOutcome>;
  status(): SandboxStatus;
  close(): Promise<void>;
}

export interface SandboxStatus {
  readonly activePid: number;
  readonly sparePid: number;
  readonly restarts: number;
  readonly outstanding: number;
  readonly quarantined: readonly string[];
}
