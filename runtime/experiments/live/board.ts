/**
 * What was decided about experiments, as one text with a version; and what follows when a gateway and the store know different things. Pure.
 *
 * Stores lose what they answered: a Redis that fails over, or is restored, may be back at the board of a second ago, and somebody may have decided upon it
 * since. So each entry is a register of its own whose later decision wins, and boards are joined, not replaced (Shapiro et al., "Conflict-free Replicated
 * Data Types", 2011): whoever knows more gives it back, and all come to the same, in whichever order they hear of it.
 */
import { z } from "zod";
import { GatewayError } from "../../errors.ts";
import type { LiveState } from "../assign/plan.ts";

export interface LiveEntry {
  readonly state: LiveState;
  /** For people: who reads the report a month later must know why. */
  readonly reason: string;
  /** Name of a token, or "guardrail". */
  readonly by: string;
  /** Later than that of the entry which it took the place of. */
  readonly atUnixMs: number;
}

/** Experiments that it does not name run. */
export interface LiveBoard {
  /** Grows with each change; 0: nobody ever decided anything. */
  readonly version: number;
  readonly entries: ReadonlyMap<string, LiveEntry>;
}

const MAX_ENTRIES = 1000;
export const NOTHING_DECIDED: LiveBoard = Object.freeze({ version: 0, entries: new Map<string, LiveEntry>() });

const Entry = z.strictObject({
  state: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("running") }),
    z.strictObject({ kind: z.literal("stopped") }),
    z.strictObject({ kind: z.literal("shipped"), variant: z.string() }),
  ]),
  reason: z.string(),
  by: z.string(),
  atUnixMs: z.number(),
});
const Entries = z.record(z.string(), Entry);

export function readBoard(text: string): LiveBoard {
  if (text === "") return NOTHING_DECIDED;
  const space = text.indexOf(" ");
  const version = Number(text.slice(0, space));
  const entries = Entries.safeParse(jsonOf(text.slice(space + 1)));
  if (space < 0 || !Number.isSafeInteger(version) || !entries.success)
    throw new GatewayError("STORE_REFUSED", "what the store holds of stopped and shipped experiments is not of this version of Sluice");
  return { version, entries: new Map(Object.entries(entries.data)) };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function writtenBoard({ version, entries }: LiveBoard): string {
  return `${version} ${JSON.stringify(Object.fromEntries(entries))}`;
}

/** `board` with one decision more. It is later than the one before, whatever the clocks say. */
export function decided(board: LiveBoard, key: string, entry: LiveEntry): LiveBoard {
  const before = board.entries.get(key)?.atUnixMs ?? -Infinity;
  const entries = new Map(board.entries).set(key, { ...entry, atUnixMs: Math.max(entry.atUnixMs, before + 1) });
  return { version: board.version + 1, entries: bounded(entries) };
}

/** What `own` and `other` know together: one of the two where that knows all, and its version is above the one of whichever lacks something. */
export function joined(own: LiveBoard, other: LiveBoard): LiveBoard {
  let entries = new Map(own.entries);
  for (const [key, entry] of other.entries) {
    const known = entries.get(key);
    if (known === undefined || isLater(entry, known)) entries.set(key, entry);
  }
  entries = bounded(entries);
  const [isOwn, isOther] = [isSame(entries, own.entries), isSame(entries, other.entries)];
  if (isOwn && (isOther ? own.version >= other.version : own.version > other.version)) return own;
  if (isOther && other.version > own.version) return other;
  return { version: Math.max(own.version, other.version) + 1, entries };
}

/** Of two at the same time everybody takes the same: rather the one that stops. */
function isLater(one: LiveEntry, other: LiveEntry): boolean {
  if (one.atUnixMs !== other.atUnixMs) return one.atUnixMs > other.atUnixMs;
  const [a, b] = [one.state.kind === "stopped", other.state.kind === "stopped"];
  return a === b ? textOf(one) > textOf(other) : a;
}

/** In whatever order the members stand. */
function textOf({ state, reason, by }: LiveEntry): string {
  return JSON.stringify([state.kind, state.kind === "shipped" ? state.variant : "", reason, by]);
}

/** The oldest decisions go first: those of experiments that ended long ago. */
function bounded(entries: Map<string, LiveEntry>): Map<string, LiveEntry> {
  if (entries.size <= MAX_ENTRIES) return entries;
  const latest = [...entries].sort(([, a], [, b]) => (isLater(a, b) ? -1 : 1)).slice(0, MAX_ENTRIES);
  return new Map(latest.reverse());
}

function isSame(a: ReadonlyMap<string, LiveEntry>, b: ReadonlyMap<string, LiveEntry>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, entry] of a) {
    const other = b.get(key);
    if (other === undefined || isLater(entry, other) || isLater(other, entry)) return false;
  }
  return true;
}
