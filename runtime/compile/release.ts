/** What a release is: plain, immutable, content-addressed data. */
import type { ExperimentData } from "../experiments/experiment-data.ts";
import type { MatchSpec } from "../proxy/match/match.ts";

export const PHASES = ["onRequest", "onOriginRequest", "onOriginResponse", "onResponse", "onError", "onComplete"] as const;
export type Phase = (typeof PHASES)[number];

/** What evaluating and reading a rule module tells about it. Recomputed by whoever loads a release; never believed. */
export interface RuleManifest {
  /** Path below the rules folder with "/" ("auth/login.ts"): the rule's name in logs, metrics, errors. */
  readonly name: string;
  readonly order: number;
  readonly when: readonly MatchSpec[];
  readonly phases: readonly Phase[];
  /** Names; sorted. */
  readonly secrets: readonly string[];
  readonly onFailure: "closed" | "open";
  /** Services whose literal names stand in the code ("fetch", "auth", "kv", …); sorted. Only these answer at run time. */
  readonly services: readonly string[];
  /** Origins (scheme, host, port) of URL literals in the code: what a reader should expect it to call. Information, not permission. */
  readonly hosts: readonly string[];
  /** True when the code names a reader of request bodies. Information. */
  readonly readsBody: boolean;
  /** True when evaluating the module adds to the global object: then it is evaluated in a context of its own. Left out: false. */
  readonly addsGlobals?: boolean;
  /** True when the module provably keeps nothing from one hook to the next (`stateless.ts`). Left out: false. */
  readonly stateless?: boolean;
  /** Experiments that it asks for (`ctx.experiment`), by key; `["*"]`: keys that cannot be read from the code. Left out: none. */
  readonly asksExperiments?: readonly string[];
  /** True when its code names `ctx.track`. Left out: false. */
  readonly tracks?: boolean;
  /** The module is an experiment: no rule, and without phases. Left out: it is a rule. */
  readonly experiment?: ExperimentData;
}

export interface RuleModule {
  readonly manifest: RuleManifest;
  /** A classic script whose completion value is a function `(sluice) => moduleExports`; no imports left. */
  readonly code: string;
}

export interface Release {
  /** First 12 hex digits of the SHA-256 over the canonical JSON of format, rules and shared config. */
  readonly id: string;
  readonly format: 1;
  /** In running order: by `order`, ties by name. A rule's index here is its number in one release. */
  readonly rules: readonly RuleModule[];
}

/** Beside the release, not part of its identity: name → source map (v3 JSON text). Sources relative to the project. */
export type SourceMaps = Readonly<Record<string, string>>;

/** The release without a rule. */
export const EMPTY_RELEASE: Release = { id: "000000000000", format: 1, rules: [] };
