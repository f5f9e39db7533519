/** What a canary is while it runs, and what came of it: part of the head in the store, so that all gateways know one truth. Pure. */
import type { CanaryConfig } from "../../config/resolved.ts";
import type { Head } from "../release-shelf.ts";
import type { Picture } from "./judgement.ts";

export const CANARY_METRICS = ["exceptions", "timeouts", "errors", "latencyP95", "cpu"] as const satisfies readonly (keyof CanaryConfig["limits"])[];
/**
 * `"exceptions"`, `"timeouts"`, `"errors"` (5xx): shares of clients that met one; `"latencyP95"`: until the head of the answer;
 * `"cpu"`: of each rule that both releases have.
 */
export type CanaryMetric = (typeof CANARY_METRICS)[number];

/** Shares in ten-thousandths of the clients. A last step of 10,000 is the promotion; without it the canary waits for `sluice promote` at the end. */
export type CanaryPolicy = CanaryConfig;

export interface Canary extends CanaryPolicy {
  readonly release: string;
  readonly digest: string;
  /** Of this canary alone: who is on it depends on this and on who asks. */
  readonly tag: string;
  /** Which of `steps` is on. */
  readonly at: number;
  readonly by: string;
  readonly message: string;
  readonly beganUnixMs: number;
  readonly stepUnixMs: number;
  /** Of the steps before. */
  readonly past: readonly Picture[];
}

/** Why a canary is over. `"breach"`: it was worse, and ended by itself. */
export interface CanaryEnd {
  readonly release: string;
  readonly outcome: "promoted" | "rolled-back" | "replaced";
  readonly because: "breach" | "asked" | "last-step";
  /** For people. */
  readonly reason: string;
  readonly pictures: readonly Picture[];
}

export const WHOLE = 10_000;
const RULES_KEPT = 10;

/** A new head but for what the store gives it. */
export type HeadChange = Omit<Head, "epoch" | "rollout">;

export interface Beginning {
  readonly policy: CanaryPolicy;
  readonly release: string;
  readonly digest: string;
  readonly tag: string;
  readonly by: string;
  readonly message: string;
  readonly nowUnixMs: number;
}

/** Beside what `head` serves. */
export function begun(head: Head, { policy, nowUnixMs, ...canary }: Beginning): HeadChange {
  const { by, message } = canary;
  return {
    ...served(head),
    kind: "canary",
    by,
    message,
    atUnixMs: nowUnixMs,
    canary: { ...policy, ...canary, at: 0, beganUnixMs: nowUnixMs, stepUnixMs: nowUnixMs, past: [] },
  };
}

export interface Change {
  readonly by: string;
  readonly message: string;
  readonly nowUnixMs: number;
  readonly because: CanaryEnd["because"];
  /** How the step looked at its end. */
  readonly picture: Picture | null;
}

/** Its next step; null: there is none but the promotion. */
export function stepped(head: Head, canary: Canary, { by, message, nowUnixMs, picture }: Change): HeadChange | null {
  const at = nextOf(canary);
  if (typeof at !== "number") return null;
  const next = { ...canary, at, stepUnixMs: nowUnixMs, past: pastOf(canary, picture) };
  return { ...served(head), kind: "step", by, message, atUnixMs: nowUnixMs, canary: next };
}

export function promoted(canary: Canary, { by, message, nowUnixMs, because, picture }: Change): HeadChange {
  const { release, digest } = canary;
  const ended: CanaryEnd = { release, outcome: "promoted", because, reason: message, pictures: pastOf(canary, picture) };
  return { release, digest, kind: "promotion", by, message: canary.message, atUnixMs: nowUnixMs, canary: null, ended };
}

export function takenBack(head: Head, canary: Canary, { by, message, nowUnixMs, because, picture }: Change): HeadChange {
  const ended: CanaryEnd = { release: canary.release, outcome: "rolled-back", because, reason: message, pictures: pastOf(canary, picture) };
  return { ...served(head), kind: "canary-end", by, message, atUnixMs: nowUnixMs, canary: null, ended };
}

function served({ release, digest }: Head): Pick<Head, "release" | "digest"> {
  return { release, digest };
}
function pastOf({ past }: Canary, picture: Picture | null): readonly Picture[] {
  return picture === null ? past : [...past, shortened(picture)];
}

/** Heads are sent to every gateway every second: of many rules those stay that say most. */
function shortened(picture: Picture): Picture {
  const weight = { breach: 0, broken: 1, suspect: 2, fine: 3, "no-data": 4 } as const;
  const rules = picture.metrics.filter(({ rule }) => rule !== "").sort((a, b) => weight[a.outcome] - weight[b.outcome]);
  return { ...picture, metrics: [...picture.metrics.filter(({ rule }) => rule === ""), ...rules.slice(0, RULES_KEPT)] };
}

export function shareOf({ steps, at }: Canary): number {
  return steps[at]!;
}

/** The step after this one; `"promotion"`: it is the whole; `"end"`: none is left, and it waits to be promoted. */
export function nextOf({ steps, at }: Canary): number | "promotion" | "end" {
  const next = steps[at + 1];
  if (next === undefined) return "end";
  return next >= WHOLE ? "promotion" : at + 1;
}

export function percent(share: number): string {
  return `${share / 100} %`;
}
