/**
 * `sluice plan --replay`: recorded requests played to the release that serves and to the one in this folder, each in sandboxes of its own on this machine.
 * No gateway does anything for it but hand out the recordings.
 */
import { systemClock } from "../clock.ts";
import type { Release, SourceMaps } from "../compile/release.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import { ERRORS, type ErrorCode, GatewayError } from "../errors.ts";
import { draw } from "../observe/draw.ts";
import { callWord, type Json, type Recording } from "../observe/recordings/recordings.ts";
import { ANSWERED_BY, CALL, type DecisionDifference, differencesOf, failureKind } from "../proxy/decisions.ts";
import { Rehearsal, type Rehearsed, type Scene } from "../proxy/rehearsal.ts";
import type { Head } from "../proxy/witness.ts";
import { buildKernel } from "../sandbox/kernel/build.ts";
import type { ServiceCall } from "../sandbox/sandbox.ts";

export interface ReplaySide {
  readonly release: Release;
  readonly maps: SourceMaps;
  readonly config: ResolvedConfig;
}

export interface ReplayedRequest {
  readonly method: string;
  readonly host: string;
  readonly target: string;
  readonly atUnixMs: number;
  readonly differences: readonly DecisionDifference[];
}

export interface Replay {
  /** Requests that were played to both. */
  readonly played: number;
  readonly different: readonly ReplayedRequest[];
  /** Did not come to an end in time. */
  readonly unfinished: number;
  /** Of those that the serving release decided live: how many came out the same here, and of how many. */
  readonly reproduced: number;
  readonly comparable: number;
  /** Hooks of the new release that failed where those of the serving one did not: rule and message, with how often. */
  readonly failures: readonly { readonly rule: string; readonly place: string; readonly message: string; readonly requests: number }[];
}

const AT_ONCE = 16;
/** A recording holds none. */
const SOMEBODY = "192.0.2.1";
/** All of it together. */
const DEADLINE_MS = 5 * 60_000;

export async function replay(
  recordings: readonly Recording[],
  before: ReplaySide,
  after: ReplaySide,
  progress: (done: number) => void,
  deadlineMs = DEADLINE_MS,
): Promise<Replay> {
  const kernel = await buildKernel();
  const open = (side: ReplaySide): Promise<Rehearsal> => Rehearsal.open({ ...side, kernel, clock: systemClock });
  const old = await open(before);
  const now = await open(after).catch(async (thrown: unknown) => {
    await old.close();
    throw thrown;
  });
  const results: { readonly recording: Recording; readonly was: Rehearsed; readonly is: Rehearsed }[] = [];
  const untilMs = performance.now() + deadlineMs;
  let next = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    for (let at = next++; at < recordings.length && performance.now() < untilMs; at = next++) {
      const recording = recordings[at]!;
      const [was, is] = await Promise.all([old.play(sceneOf(recording, at, before.release)), now.play(sceneOf(recording, at, after.release))]);
      results.push({ recording, was, is });
      progress(++done);
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  } finally {
    await Promise.all([old.close(), now.close()]);
  }
  return summary(results, recordings.length, before.release.id, veil({ ...before.config.secrets, ...after.config.secrets }));
}

/** Lets somebody in, whoever made it. */
const ADMITS = /header (authorization|cookie|set-cookie|proxy-authorization|x-api-key)$/;
const SHORTEST_SECRET = 4;

type Veil = (what: string, text: string | null) => string | null;

/** A plan is read by many, and printed by machines: what rules made of secrets does not stand in it. */
function veil(secrets: Readonly<Record<string, string>>): Veil {
  const known = Object.entries(secrets).filter(([, value]) => value.length >= SHORTEST_SECRET);
  return (what, text) => {
    if (text === null) return null;
    if (ADMITS.test(what)) return "(not shown)";
    return known.reduce((shown, [name, value]) => shown.replaceAll(value, `(secret ${name})`), text);
  };
}

function summary(
  results: readonly { readonly recording: Recording; readonly was: Rehearsed; readonly is: Rehearsed }[],
  asked: number,
  serving: string,
  veiled: Veil,
): Replay {
  const finished = results.filter(({ was, is }) => was.finished && is.finished);
  const live = finished.filter(({ recording }) => recording.release === serving);
  const failures = new Map<string, { rule: string; place: string; message: string; requests: number }>();
  for (const { was, is } of finished)
    for (const { rule, place, message } of is.failures) {
      const kind = `${rule} ${failureKind(message)}`;
      // One that only lacks a reply here says nothing of the release, and one that was there before is not its doing.
      if (is.unanswered.length > 0 || was.failures.some((before) => `${before.rule} ${failureKind(before.message)}` === kind)) continue;
      const known = failures.get(kind);
      if (known === undefined) failures.set(kind, { rule, place, message: veiled("", message)!, requests: 1 });
      else known.requests++;
    }
  return {
    played: finished.length,
    different: finished
      .map(({ recording, was, is }): ReplayedRequest => {
        const { method, host, target, atUnixMs } = recording;
        const differences = differencesOf(was.decisions, is.decisions, { before: was.by, after: is.by });
        const shown = differences.map(({ what, before, after, rule, place }): DecisionDifference => ({
          what,
          before: veiled(what, before),
          after: veiled(what, after),
          rule,
          place,
        }));
        return { method, host, target, atUnixMs, differences: shown };
      })
      .filter(({ differences }) => differences.length > 0)
      .sort((a, b) => a.atUnixMs - b.atUnixMs),
    unfinished: asked - finished.length,
    reproduced: live.filter(
      ({ recording: { decided }, was: { decisions } }) =>
        decided.status === Number(decisions.get("status")) && decided.answeredBy === decisions.get(ANSWERED_BY),
    ).length,
    comparable: live.length,
    failures: [...failures.values()].sort((a, b) => b.requests - a.requests),
  };
}

function sceneOf(recording: Recording, at: number, release: Release): Scene {
  const { id, method, scheme, host, target, headers, hasBody, atUnixMs, draws, variants, origin, cached, calls } = recording;
  const left = [...calls];
  const word = (name: string, call: ServiceCall): string =>
    callWord(name, call.args, release.rules.find(({ manifest }) => manifest.name === call.rule)?.code ?? "");
  return {
    // A trusted client may have sent the same id twice.
    id: `${id}-${at}`,
    received: { method, scheme, authority: host, target, fields: headers.flat(), peer: SOMEBODY, hasBody },
    startUnixMs: atUnixMs,
    draws: draws.map(([phase, clockMs, seed]) => ({ phase, clockMs, seed: seed + tailOf(id, phase) })),
    variants,
    origin: origin === null ? null : "code" in origin ? failureOf(origin.code) : headOf(origin),
    cached: cached === null ? null : headOf(cached),
    word,
    reply(name, call) {
      if (name === "requestBody" && !hasBody) return Promise.resolve({ bytes: "" });
      const asked = word(name, call);
      // In the order in which the rule made them; a rule of another name may have become this one.
      const found = left.findIndex((one) => one.service === name && one.word === asked && one.rule === call.rule);
      const any = found >= 0 ? found : left.findIndex((one) => one.service === name && one.word === asked);
      if (any < 0) return null;
      const [{ ok, value }] = left.splice(any, 1) as [Recording["calls"][number]];
      return ok ? Promise.resolve(value) : Promise.reject(failureOf(value));
    },
  };
}

function headOf({ status, headers }: { readonly status: number; readonly headers: readonly (readonly [string, string])[] }): Head {
  return { status, fields: headers.flat() };
}

function failureOf(code: Json): GatewayError {
  const known = typeof code === "string" && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : "INTERNAL";
  return new GatewayError(known, "as it was recorded");
}

/** What `crypto` draws from is not recorded: the same for both releases all the same. */
function tailOf(id: string, phase: string): string {
  return [1, 2, 3].map((part) => draw(`${part}.${phase}.${id}`).toString(16).padStart(8, "0")).join("");
}

/** How a difference reads when many requests show the same: without what is each request's own. */
export function groupKey({ differences }: ReplayedRequest): string {
  return differences.map(({ what, rule, place }) => (what.startsWith(CALL) ? what : `${what} ${rule} ${place}`)).join("\n");
}
