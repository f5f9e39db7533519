/** What supervisor and worker say to each other over the IPC channel. Both check what they read: a message of another version must not pass for one of this. */
import type { PurgeOrder, PurgeReport } from "../cache/cache.ts";
import type { Release, SourceMaps } from "../compile/release.ts";
import type { RouteConfig } from "../config/resolved.ts";
import type { WorkerSnapshot } from "../observe/snapshot.ts";
import type { ExplainAsk, Explanation } from "../proxy/explanation.ts";
import type { CanaryTerms } from "../proxy/release-choice.ts";
import type { ShadowOrder } from "../proxy/shadow.ts";
import type { WorkerInit } from "../proxy/worker.ts";
import type { ShownProblem } from "./problem-answer.ts";
import type { TailBatch } from "../observe/tail.ts";
import type { TailOrder } from "./tails.ts";

/** Asked with a number, answered by `AnswerMessage` with the same. */
export type Request =
  /** Load a release beside the one that serves, with other routes or those that serve. */
  | { readonly ask: "prepare"; readonly release: Release; readonly maps: SourceMaps; readonly routes?: readonly RouteConfig[] }
  /** New exchanges use the prepared release. */
  | { readonly ask: "activate" }
  /** The prepared release is not wanted after all. */
  | { readonly ask: "discard" }
  /** A share of the clients is on a canary from now on: on the release that was prepared, or on the one that runs already at another share. */
  | { readonly ask: "run-canary"; readonly terms: CanaryTerms }
  | { readonly ask: "end-canary" }
  /** The canary serves. */
  | { readonly ask: "promote-canary"; readonly release: string }
  /** What previews are signed with from now on. */
  | { readonly ask: "preview-key"; readonly key: string }
  /** The release that the worker wanted; null: it can't be had, and why. */
  | { readonly ask: "take-release"; readonly id: string; readonly taken: TakenRelease | null; readonly reason: string }
  /** Begin to accept; for a worker that was started with `standby`. */
  | { readonly ask: "accept" }
  /** What is wrong with the last save, for page loads; null: nothing. Only `sluice dev` asks it. */
  | { readonly ask: "show-problem"; readonly problem: ShownProblem | null }
  /** A request for this path is answered by the worker itself, on the real path; null: not any more. */
  | { readonly ask: "expect-probe"; readonly path: string | null }
  /** Stop accepting, finish what runs. Answered with the last snapshot. */
  | { readonly ask: "drain" }
  | { readonly ask: "snapshot" }
  /** What a request would get. Answered with `explanation`. */
  | { readonly ask: "explain"; readonly explain: ExplainAsk }
  /** A release plays requests beside the one that serves; null: none does any more. */
  | { readonly ask: "shadow"; readonly shadow: ShadowOrder | null }
  /** `everywhere`: on all workers of all gateways, through the store; else on this worker alone. Answered with `purged`. */
  | { readonly ask: "purge"; readonly order: PurgeOrder; readonly everywhere: boolean };

export interface TakenRelease {
  readonly release: Release;
  readonly maps: SourceMaps;
}

export type ToWorker =
  | /** gateway: one name for all workers of this one; another one after each start. */
    { readonly kind: "init"; readonly init: WorkerInit; readonly gateway: string }
  | { readonly kind: "ask"; readonly call: number; readonly request: Request }
  /** With a socket: the pipe to the embedded store that was asked for. */
  | { readonly kind: "store-pipe" }
  /** Somebody watches, takes more, or has left. */
  | { readonly kind: "tail"; readonly tail: TailOrder }
  | { readonly kind: "end" };

export type FromWorker =
  /** Accepts connections now. */
  | { readonly kind: "ready" }
  /** Could not start, or cannot go on; the process ends by itself. */
  | { readonly kind: "failed"; readonly reason: string }
  /** Asks for a pipe to the embedded store: at the start, and whenever the last one broke. */
  | { readonly kind: "want-store-pipe" }
  /** A preview asks for a release that the worker does not hold. Answered with "take-release". */
  | { readonly kind: "want-release"; readonly id: string }
  /** For the audit log. */
  | { readonly kind: "preview-refused"; readonly release: string; readonly reason: string; readonly address: string }
  /** Live lines; the next of the same tail after it was told that there is room for more. */
  | { readonly kind: "tail"; readonly batch: TailBatch }
  | AnswerMessage;

export interface AnswerMessage {
  readonly kind: "answer";
  readonly call: number;
  readonly ok: boolean;
  readonly reason: string;
  readonly snapshot: WorkerSnapshot | null;
  readonly purged?: PurgeReport;
  readonly explanation?: Explanation;
}

const LONGEST_TEXT = 4000;
const ASKS: ReadonlySet<unknown> = new Set([
  "prepare",
  "activate",
  "discard",
  "run-canary",
  "end-canary",
  "promote-canary",
  "preview-key",
  "take-release",
  "accept",
  "show-problem",
  "expect-probe",
  "drain",
  "snapshot",
  "purge",
  "explain",
  "shadow",
] satisfies Request["ask"][]);

/** Null for anything that is no message to a worker. */
export function readToWorker(message: unknown): ToWorker | null {
  if (!isObject(message)) return null;
  if (message["kind"] === "end" || message["kind"] === "store-pipe") return { kind: message["kind"] };
  if (message["kind"] === "init" && isObject(message["init"]) && isObject(message["init"]["config"]) && typeof message["gateway"] === "string")
    return message as unknown as ToWorker;
  if (message["kind"] === "tail" && isObject(message["tail"]) && isCount(message["tail"]["tail"])) return message as unknown as ToWorker;
  if (message["kind"] === "ask" && isCount(message["call"]) && isObject(message["request"]) && ASKS.has(message["request"]["ask"]))
    return message as unknown as ToWorker;
  return null;
}

/** Null for anything that is no message from a worker. */
export function readFromWorker(message: unknown): FromWorker | null {
  if (!isObject(message)) return null;
  switch (message["kind"]) {
    case "ready":
    case "want-store-pipe":
      return { kind: message["kind"] };
    case "failed":
      return typeof message["reason"] === "string" ? { kind: "failed", reason: message["reason"] } : null;
    case "want-release":
      return isText(message["id"]) ? { kind: "want-release", id: message["id"] } : null;
    case "preview-refused": {
      const { release, reason, address } = message;
      return isText(release) && isText(reason) && isText(address) ? { kind: "preview-refused", release, reason, address } : null;
    }
    case "tail":
      return isBatch(message["batch"]) ? { kind: "tail", batch: message["batch"] } : null;
    case "answer": {
      const { call, ok, reason, snapshot } = message;
      const sound = isCount(call) && typeof ok === "boolean" && typeof reason === "string" && (snapshot === null || isSnapshot(snapshot));
      return sound ? (message as unknown as AnswerMessage) : null;
    }
    default:
      return null;
  }
}

function isBatch(value: unknown): value is TailBatch {
  return isObject(value) && isCount(value["tail"]) && Array.isArray(value["lines"]) && isCount(value["droppedLines"]) && isCount(value["droppedErrors"]);
}

function isSnapshot(value: unknown): value is WorkerSnapshot {
  if (!isObject(value) || !isObject(value["observed"]) || !isObject(value["connections"])) return false;
  const { counters, histograms, custom } = value["observed"];
  return (
    isObject(counters) &&
    isObject(histograms) &&
    Array.isArray(custom) &&
    Array.isArray(value["upstreams"]) &&
    isObject(value["store"]) &&
    typeof value["inFlight"] === "number" &&
    typeof value["release"] === "string" &&
    (value["canary"] === undefined || value["canary"] === null || isObject(value["canary"]))
  );
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.length <= LONGEST_TEXT;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
