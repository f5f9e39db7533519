/** An experiment: who is in it, what each variant changes, and what is counted. No page needs to change. */
import type { CredentialSource, JwtAlgorithm } from "./auth.ts";
import { checkExperiment } from "./experiment-check.ts";
import type { HtmlEdit } from "./html.ts";
import type { MatchSpec, OneOrMany } from "./match.ts";
import type { RequestFacts } from "./messages.ts";
import type { Duration, Share } from "./units.ts";

/** How a claim is to be verified before it is believed: by a secret of the config, or by a key set. Exactly one of both. */
export interface ClaimOptions {
  /** Name of a secret in config: a key for HS…, a public key as PEM or a JWK as JSON for the others. */
  readonly secret?: string;
  /** A key set by URL; its origin must be allowed under `fetch`. */
  readonly jwksUrl?: string;
  /** Required `iss`, or a list of which one must stand there. */
  readonly issuer?: string | readonly string[];
  readonly audience?: string | readonly string[];
  readonly algorithms?: readonly JwtAlgorithm[];
  /** Where the token stands. By default `Authorization: Bearer`. */
  readonly from?: CredentialSource;
}

/** A unit that stands in the request. Made by `cookie`, `header` and `claim`. */
export type UnitPlace =
  | { readonly kind: "cookie"; readonly name: string }
  | { readonly kind: "header"; readonly name: string }
  | { readonly kind: "claim"; readonly name: string; readonly verify: ClaimOptions };

/** Whom an experiment assigns: `"visitor"` (a browser, by Sluice's own signed cookie), a place in the request, or what a function says; null and `""`: nobody. */
export type Unit = "visitor" | UnitPlace | ((req: RequestFacts) => string | null);

/** The value of a cookie as unit: `unit: cookie("sid")`. The name is compared as written. Above 512 characters the value's SHA-256 (base64url) is the unit. */
export function cookie(name: string): UnitPlace {
  return Object.freeze({ kind: "cookie", name });
}

/**
 * The value of a request header as unit: `unit: header("x-user")`. Only for headers that clients cannot choose: one could see all variants. Above 512
 * characters the value's SHA-256 (base64url) is the unit.
 */
export function header(name: string): UnitPlace {
  return Object.freeze({ kind: "header", name });
}

/** A claim of a verified JWT as unit: `unit: claim("sub", { jwksUrl: "https://…" })`. */
export function claim(name: string, verify: ClaimOptions): UnitPlace {
  return Object.freeze({ kind: "claim", name, verify: Object.freeze({ ...verify }) });
}

/** What one variant changes. Nothing given: nothing changed, which is what control usually is; changes of control are seen by everyone who is in no variant, too. */
export interface VariantChanges {
  /**
   * Edits of the page, made with `html`, in this order, after those of rules. What is no HTML passes unchanged. Visitors count, those of control too, once
   * they are shown a page on which an edit of any variant finds something; `insertScript` and `insertStyle` do on every page with a head.
   */
  readonly html?: readonly HtmlEdit[];
  /** Response headers, after `onResponse`: a value replaces, null deletes. */
  readonly headers?: Readonly<Record<string, string | null>>;
  /** The same for the request that the origin sees. The cache keeps the answers of different values apart. */
  readonly originHeaders?: Readonly<Record<string, string | null>>;
  /** Cookies that the browser is told to keep for the session (`Path=/; SameSite=Lax`). */
  readonly cookies?: Readonly<Record<string, string>>;
  /** Another path at the origin, with its leading `/`; the browser's address stays. */
  readonly path?: string;
  /** Another upstream of the config; also where a rule has picked one. */
  readonly upstream?: string;
  /** Sends the browser elsewhere, with 302, and with its query unless the redirect has one; the exposure is counted before. Excludes all others. */
  readonly redirect?: string;
}

/** A status, or a class of them: `200`, `"2xx"`. */
export type StatusPattern = number | `${1 | 2 | 3 | 4 | 5}xx`;

interface GoalOptions {
  /** Counts only within so long after the first exposure. `"14d"` by default. */
  readonly window?: Duration;
  /** Which way is good. `"higher"` by default. */
  readonly better?: "higher" | "lower";
}

/** A goal that the gateway sees in its traffic. */
export interface TrafficGoal extends GoalOptions {
  /** The exchange that reaches the goal: conditions on the request, and on the response's status (`"2xx"` by default). */
  readonly when: MatchSpec & { readonly status?: StatusPattern | readonly StatusPattern[] };
  /** A number to add up: a response header's, or a JSON body's by its pointer (`"/order/total"`, RFC 6901; `application/json` or `+json`). Left out: the goal is reached or not, once a unit. */
  readonly value?: { readonly header: string } | { readonly json: string };
}

/** A goal that rules report by `ctx.track`. */
export interface TrackedGoal extends GoalOptions {
  readonly tracked: "conversion" | "value";
}

export type Goal = TrafficGoal | TrackedGoal;

/** What must not get worse: crossing a limit stops the experiment, and everyone sees control. At most one of the latencies. */
export interface Guardrails {
  /** Share of units that meet an error of the origin or the gateway (5xx), each unit once: `"1%"` allows one in a hundred more than in control. */
  readonly errors?: { readonly maxIncrease: Share };
  /** Time to the first byte, relative to control's: `"20%"` allows a fifth more. */
  readonly latencyP50?: { readonly maxIncrease: Share };
  readonly latencyP90?: { readonly maxIncrease: Share };
  readonly latencyP95?: { readonly maxIncrease: Share };
  readonly latencyP99?: { readonly maxIncrease: Share };
}

/** What `defineExperiment` takes. */
export interface ExperimentInit<Variant extends string = string, GoalName extends string = string> {
  /** Its name everywhere, and the salt of its draw: letters, digits, `-`, `_` and `.`, 64 at most. */
  readonly key: string;
  /** Which requests it is for, on the URL that the client sees; `country` picks an audience by where it is. Left out: all. */
  readonly when?: MatchSpec | readonly MatchSpec[];
  /** Only these, judged by User-Agent. Left out: all. */
  readonly device?: "mobile" | "tablet" | "desktop" | readonly ("mobile" | "tablet" | "desktop")[];
  /** A last word in code; runs in the sandbox for requests that `when` and `device` let through. */
  readonly audience?: (req: RequestFacts) => boolean;
  /** Weights that add up to 100. The first is control, which others are compared with. */
  readonly variants: Readonly<Record<Variant, number>>;
  /** How many of the units take part. `"100%"` by default; raising it moves nobody who is in. */
  readonly traffic?: Share;
  /** A unit is in one experiment of a layer at most. By its name alone, its experiments share it equally; with `from` and `to` each has its own part. */
  readonly layer?: string | { readonly name: string; readonly from: Share; readonly to: Share };
  /** A share of units that no experiment with the same holdout may touch. */
  readonly holdout?: { readonly name: string; readonly share: Share };
  /** `"visitor"` by default. */
  readonly unit?: Unit;
  /** Stands in where `unit` is absent, and keeps the variant through a login. */
  readonly fallbackUnit?: "visitor" | UnitPlace;
  /** Remember assignments in a signed cookie, so that less traffic, other weights and a login move nobody. `true` by default. */
  readonly sticky?: boolean;
  /** Another salt than `key`. */
  readonly seed?: string;
  /** GrowthBook's hash: 2 by default. */
  readonly hashVersion?: 1 | 2;
  /**
   * To be raised when variants, weights, seed or unit change (`sluice deploy` asks for it), and when what variants do or how goals count changes so much that
   * it should not be mixed with what was counted. Counts begin anew; who is drawn for the same variant again still sees it, and another `seed` draws all
   * anew. 0 by default.
   */
  readonly bucketVersion?: number;
  /** Keeps out who is remembered from a version below. 0 by default: nobody. */
  readonly minBucketVersion?: number;
  /** `"exempt"` by default: no consent needed. `"stateless"`: nothing is kept in the browser. With `cookie`: control, uncounted, until such a cookie is there. */
  readonly consent?: "exempt" | "stateless" | { readonly cookie: Readonly<Record<string, boolean | OneOrMany>> };
  /** `"control"` by default: bots see control and are not counted. */
  readonly bots?: "control" | "include";
  /** What each variant changes. A variant that is not named here changes nothing, or what a rule does by `ctx.experiment(key)`. */
  readonly apply?: Readonly<Partial<Record<NoInfer<Variant>, VariantChanges>>>;
  readonly goals: Readonly<Record<GoalName, Goal>>;
  /** The goal that decides. By default the first. */
  readonly primary?: NoInfer<GoalName>;
  readonly guardrails?: Guardrails;
  /**
   * How long before its first exposure what a unit did on goals with a value is looked back at: `"14d"`, from `"1h"` to `"90d"`. None by default.
   *
   * Habits explain a part of what visitors do in the experiment, and that part is taken out as noise (CUPED, Deng et al. 2013), so that fewer units are
   * needed; the report shows the change with and without it. Units that come back, or that were watched before the start, with `traffic: "0%"`,
   * have such a past; of all others it is 0. It is kept for each `bucketVersion` anew, for `experiments.maxUnits` units that were not exposed yet.
   *
   *     export default defineExperiment({
   *       key: "new-cart",
   *       variants: { control: 50, next: 50 },
   *       traffic: "0%", // to begin with
   *       prePeriod: "14d",
   *       goals: { revenue: { when: { method: "POST", path: "/checkout" }, value: { json: "/order/total" } } },
   *     });
   */
  readonly prePeriod?: Duration;
  /** How sure a verdict must be. `"95%"` by default. */
  readonly confidence?: Share;
}

/** An experiment, checked and complete; shares from 0 to 1. Frozen. */
export interface Experiment {
  readonly kind: "experiment";
  readonly key: string;
  readonly when: readonly MatchSpec[];
  /** Empty: all. */
  readonly devices: readonly ("mobile" | "tablet" | "desktop")[];
  readonly audience: ((req: RequestFacts) => boolean) | null;
  /** Weights add up to 1. */
  readonly variants: readonly { readonly key: string; readonly weight: number; readonly changes: VariantChanges }[];
  readonly traffic: number;
  readonly layer: { readonly name: string; readonly range: { readonly from: number; readonly to: number } | null } | null;
  readonly holdout: { readonly name: string; readonly share: number } | null;
  readonly unit: Unit;
  readonly fallbackUnit: "visitor" | UnitPlace | null;
  readonly sticky: boolean;
  readonly seed: string;
  readonly hashVersion: 1 | 2;
  readonly bucketVersion: number;
  readonly minBucketVersion: number;
  readonly consent: "exempt" | "stateless" | { readonly cookie: Readonly<Record<string, boolean | OneOrMany>> };
  readonly excludeBots: boolean;
  /** The primary goal first. */
  readonly goals: readonly CheckedGoal[];
  readonly guardrails: {
    readonly errors: { readonly maxIncrease: number } | null;
    readonly latency: { readonly quantile: number; readonly maxIncrease: number } | null;
  };
  readonly alpha: number;
}

export interface CheckedGoal {
  readonly name: string;
  readonly kind: "conversion" | "value";
  readonly better: "higher" | "lower";
  readonly windowMs: number;
  /** How far before its first exposure a unit's past reaches. Left out: none is kept, as of every conversion. */
  readonly prePeriodMs?: number;
  /** null: rules report it. */
  readonly traffic: {
    readonly when: MatchSpec;
    readonly status: readonly StatusPattern[];
    readonly value: { readonly header: string } | { readonly json: string } | null;
  } | null;
}

/**
 * Makes an experiment: the default export of a module of its own.
 *
 * A unit is assigned before the cache is asked, the same on every gateway, and counted when a response of its variant is delivered, control
 * too. Goals count after the exposure only, each once a unit.
 *
 * @throws TypeError when something in it is not what its type says, with the place: weights that do not add up, an unknown variant or goal.
 *
 * @example
 * // Three headlines for whoever agreed to be counted, and what they spend, from the shop's answer.
 * import { defineExperiment, html } from "sluice"
 * export default defineExperiment({
 *   key: "headline",
 *   when: { path: "/" },
 *   consent: { cookie: { agreed: "yes" } },
 *   variants: { control: 34, short: 33, long: 33 },
 *   apply: {
 *     short: { html: [html.setText("main h1", "Pots")] },
 *     long: { html: [html.setText("main h1", "Pots that last"), html.addClass("main", "long")] },
 *   },
 *   goals: { revenue: { when: { method: "POST", path: "/api/orders", status: 201 }, value: { json: "/order/total" } } },
 * })
 *
 * @example
 * // Another checkout, for accounts: who logs in keeps what it saw as a visitor before, and is in no other experiment of the layer.
 * import { claim, defineExperiment } from "sluice"
 * export default defineExperiment({
 *   key: "checkout",
 *   when: { path: "/checkout/*" },
 *   unit: claim("sub", { secret: "jwtKey", from: { cookie: "session" } }),
 *   fallbackUnit: "visitor",
 *   layer: "money",
 *   traffic: "10%",
 *   variants: { control: 50, next: 50 },
 *   apply: { next: { upstream: "next", headers: { "x-checkout": "next" } } },
 *   goals: { bought: { when: { method: "POST", path: "/checkout/pay", status: "3xx" }, window: "2d" } },
 *   guardrails: { errors: { maxIncrease: "0.5%" }, latencyP95: { maxIncrease: "20%" } },
 * })
 *
 * @example
 * // The experiment says who and what counts; a rule (a module of its own) does the rest: `ctx.experiment("ranking").variant`, `ctx.track("clicked")`.
 * import { cookie, defineExperiment } from "sluice"
 * export default defineExperiment({
 *   key: "ranking",
 *   when: { path: "/search" },
 *   unit: cookie("sid"),
 *   variants: { control: 50, fresh: 50 },
 *   goals: { clicked: { tracked: "conversion" } },
 * })
 */
export function defineExperiment<const Variant extends string, const GoalName extends string>(experiment: ExperimentInit<Variant, GoalName>): Experiment {
  return checkExperiment(experiment);
}
