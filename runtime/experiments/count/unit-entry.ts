/**
 * What the store keeps of one unit, and how an event changes it. Pure, and the same as `scripts/count.lua`; a test holds the two together.
 *
 * Events of different workers arrive in any order. A goal that comes before its exposure therefore waits for it, and what decides is when
 * things happened, not when they arrived. A value with a pre-period counts as the unit's past (`past.ts`) as long as no exposure claims it.
 *
 *     entry    variant at flags latency added|goal|goal|past|?event|?event
 *     goal     name=1!, or name=sum;id@at;id@at
 *     event    x variant at error latency
 *              e at
 *              c goal at windowMs
 *              v goal at windowMs value onceId repeatId preMs     ("-": none; "~" before repeatId: left for others, not heeded itself;
 *                windowMs -1: of a unit that does not take part, and so its past at most; preMs 0 or left out: no past)
 */
import { collapse, fold, newPast, type Past, pastText, readPast } from "./past.ts";
import { isRepeated, readSeen, rememberBoth, rememberRepeated, type Seen, seenText } from "./seen.ts";

/** Whole numbers, but for sums of values. Names are those of the counts in the store. */
export type Counts = Record<string, number>;
/** Added one after the other, in the order of the Lua twin: then sums are the same to the last bit. */
export type CountChange = readonly [name: string, by: number];

export interface UnitEntry {
  /** -1: not exposed yet, as far as is known. */
  variant: number;
  /** Its first exposure; of a unit that has none, until when it is kept (store's time). */
  exposedMs: number;
  flags: number;
  /** Bucket of the first latency; -1: none. */
  latency: number;
  /** When the first of `waiting` came (store's time). */
  addedMs: number;
  goals: Map<string, GoalState>;
  pasts: Map<string, Past>;
  waiting: string[];
}

/** Null: a conversion. */
type GoalState = { sum: number; seen: Seen[] } | null;

interface ValueEvent {
  readonly name: string;
  readonly atMs: number;
  readonly windowMs: number;
  readonly value: number;
  readonly onceId: string;
  readonly repeatId: string;
  readonly preMs: number;
}

const ERROR = 1;
const CROSSED = 2;
/** For one unit; half of it for what is its past otherwise. */
const MOST_WAITING = 16;

export function newEntry(): UnitEntry {
  return { variant: -1, exposedMs: 0, flags: 0, latency: -1, addedMs: 0, goals: new Map(), pasts: new Map(), waiting: [] };
}

export function readEntry(text: string): UnitEntry {
  const [head = "", ...parts] = text.split("|");
  const [variant, exposedMs, flags, latency, addedMs] = head.split(" ").map(Number) as [number, number, number, number, number];
  const entry: UnitEntry = { variant, exposedMs, flags, latency, addedMs, goals: new Map(), pasts: new Map(), waiting: [] };
  for (const part of parts) {
    const at = part.indexOf("=");
    if (part.startsWith("?")) entry.waiting.push(part.slice(1));
    else if (part.startsWith("<")) entry.pasts.set(part.slice(1, at), readPast(part.slice(at + 1)));
    else entry.goals.set(part.slice(0, at), readGoal(part.slice(at + 1)));
  }
  return entry;
}

function readGoal(text: string): GoalState {
  const [sum = "", ...ids] = text.split(";");
  return sum === "1!" ? null : { sum: Number(sum), seen: readSeen(ids) };
}

export function writeEntry({ variant, exposedMs, flags, latency, addedMs, goals, pasts, waiting }: UnitEntry): string {
  let text = `${variant} ${exposedMs} ${flags} ${latency} ${addedMs}`;
  // In the order of their names, as the Lua twin writes them.
  for (const name of [...goals.keys()].sort()) {
    const goal = goals.get(name)!;
    text += goal === null ? `|${name}=1!` : `|${name}=${goal.sum}${seenText(goal.seen)}`;
  }
  for (const name of [...pasts.keys()].sort()) text += `|<${name}=${pastText(pasts.get(name)!)}`;
  for (const event of waiting) text += `|?${event}`;
  return text;
}

/** Of an entry's text: it was never exposed, and nothing of it is needed any more. */
export function isStale(text: string, nowMs: number): boolean {
  return text.startsWith("-1 ") && nowMs > Number(text.split(" ", 2)[1]);
}

/** Is it remembered though no exposure may ever come? */
export const isPast = (event: string): boolean => PAST.test(event);
const PAST = /^v(?: \S+){6} [1-9]/;

/** `event` without its number and unit. */
export function applyEvent(entry: UnitEntry, event: string, changes: CountChange[], nowMs: number, waitMs: number): void {
  if (nowMs - entry.addedMs > waitMs) settle(entry);
  if (event.startsWith("x")) {
    const beforeMs = entry.variant < 0 ? null : entry.exposedMs;
    expose(entry, event, changes);
    entry.waiting = entry.waiting.filter((one) => !claims(entry, one, beforeMs, changes));
    if (beforeMs === null) for (const [name, past] of entry.pasts) addPast(entry, name, collapse(past, entry.exposedMs), changes);
    return;
  }
  if (happens(entry, event, changes)) return;
  const value = isPast(event) ? valueOf(event) : null;
  if (entry.variant < 0) entry.exposedMs = Math.max(entry.exposedMs, nowMs + Math.max(waitMs, value?.preMs ?? 0));
  if (value !== null && !takesIn(entry, value, changes)) return;
  if (entry.waiting.length === 0) entry.addedMs = nowMs;
  if (entry.waiting.length < (value === null ? MOST_WAITING : MOST_WAITING / 2)) entry.waiting.push(event);
  else if (value === null) add(changes, event.startsWith("e") ? "lost:errors" : "lost:goals", 1);
  else if (entry.variant < 0) fold(entry.pasts.get(value.name)!, value.atMs, value.value);
}

/** What waited long enough is past, or nothing. */
function settle(entry: UnitEntry): void {
  for (const one of entry.waiting) {
    if (entry.variant >= 0 || !isPast(one)) continue;
    const { name, atMs, value } = valueOf(one);
    fold(entry.pasts.get(name)!, atMs, value);
  }
  entry.waiting = [];
}

function expose(entry: UnitEntry, event: string, changes: CountChange[]): void {
  const [, variant, atMs, error, latency] = event.split(" ").map(Number) as [number, number, number, number, number];
  if (entry.variant < 0) {
    entry.variant = variant;
    entry.exposedMs = atMs;
    add(changes, `units:${variant}`, 1);
  } else if (entry.variant === variant) entry.exposedMs = Math.min(entry.exposedMs, atMs);
  else {
    // It stays with what it saw first; what it does afterwards says something about both.
    if ((entry.flags & CROSSED) === 0) add(changes, "crossed", 1);
    entry.flags |= CROSSED;
    return;
  }
  if (error === 1) fail(entry, changes);
  if (latency >= 0 && entry.latency < 0) {
    entry.latency = latency;
    add(changes, `latency:${variant}:${latency}`, 1);
  }
}

function fail(entry: UnitEntry, changes: CountChange[]): void {
  if ((entry.flags & ERROR) === 0) add(changes, `errors:${entry.variant}`, 1);
  entry.flags |= ERROR;
}

/** What waited, and an exposure: the first (`beforeMs` null), or one that turns out to be earlier. False: it goes on waiting. */
function claims(entry: UnitEntry, event: string, beforeMs: number | null, changes: CountChange[]): boolean {
  if (!isPast(event)) return happens(entry, event, changes);
  const { name, atMs, windowMs, value, preMs } = valueOf(event);
  const isBefore = atMs < entry.exposedMs;
  if (beforeMs === null && isBefore && entry.exposedMs - atMs <= preMs) addPast(entry, name, value, changes);
  if (isBefore) return false;
  if (beforeMs !== null && beforeMs - atMs <= preMs) addPast(entry, name, -value, changes);
  // What is told twice was found out when it came.
  if (isWithin(entry, atMs, windowMs, changes)) addValue(entry, name, value, changes);
  return true;
}

/** False: it lies before the exposure, as far as that is known. */
function happens(entry: UnitEntry, event: string, changes: CountChange[]): boolean {
  const [kind, name = "", at, window] = event.split(" ");
  const atMs = Number(kind === "e" ? name : at);
  if (entry.variant < 0 || atMs < entry.exposedMs) return false;
  if (kind === "e") fail(entry, changes);
  else if (!isWithin(entry, atMs, Number(window), changes)) return true;
  else if (kind === "c") convert(entry, name, changes);
  else reach(entry, valueOf(event), changes);
  return true;
}

function isWithin({ exposedMs }: UnitEntry, atMs: number, windowMs: number, changes: CountChange[]): boolean {
  if (windowMs < 0) return false;
  if (atMs - exposedMs > windowMs) add(changes, "late", 1);
  return atMs - exposedMs <= windowMs;
}

function convert(entry: UnitEntry, name: string, changes: CountChange[]): void {
  if (entry.goals.has(name)) {
    add(changes, "repeated", 1);
    return;
  }
  entry.goals.set(name, null);
  add(changes, `goal:${entry.variant}:${name}`, 1);
}

function reach(entry: UnitEntry, { name, atMs, value, onceId, repeatId }: ValueEvent, changes: CountChange[]): void {
  const past = entry.pasts.get(name)?.seen ?? [];
  const own = entry.goals.get(name)?.seen ?? past;
  if (isRepeated(own, atMs, onceId, repeatId) || isRepeated(past, atMs, onceId, repeatId)) {
    rememberRepeated(own, atMs, onceId);
    add(changes, "repeated", 1);
    return;
  }
  rememberBoth(addValue(entry, name, value, changes), atMs, onceId, repeatId);
}

/** The goal's own list of what it has seen. */
function addValue(entry: UnitEntry, name: string, value: number, changes: CountChange[]): Seen[] {
  const goal = entry.goals.get(name) ?? { sum: 0, seen: [] };
  const place = `${entry.variant}:${name}`;
  if (!entry.goals.has(name)) add(changes, `goal:${place}`, 1);
  entry.goals.set(name, goal);
  const sum = goal.sum + value;
  add(changes, `events:${place}`, 1);
  add(changes, `sum:${place}`, value);
  add(changes, `squares:${place}`, sum * sum - goal.sum * goal.sum);
  const x = entry.pasts.get(name)?.x ?? 0;
  if (x !== 0) add(changes, `xy:${place}`, x * value);
  goal.sum = sum;
  return goal.seen;
}

/** False: it was told already. */
function takesIn(entry: UnitEntry, { name, atMs, value, onceId, repeatId, preMs }: ValueEvent, changes: CountChange[]): boolean {
  const past = entry.pasts.get(name) ?? newPast(preMs);
  entry.pasts.set(name, past);
  past.preMs = preMs;
  if (isRepeated(past.seen, atMs, onceId, repeatId) || isRepeated(entry.goals.get(name)?.seen ?? [], atMs, onceId, repeatId)) {
    rememberRepeated(past.seen, atMs, onceId);
    add(changes, "repeated", 1);
    return false;
  }
  rememberBoth(past.seen, atMs, onceId, repeatId);
  if (entry.variant >= 0 && entry.exposedMs - atMs <= preMs) addPast(entry, name, value, changes);
  return true;
}

/** Of a unit that was exposed. */
function addPast(entry: UnitEntry, name: string, by: number, changes: CountChange[]): void {
  if (by === 0) return;
  const past = entry.pasts.get(name)!;
  const place = `${entry.variant}:${name}`;
  const x = past.x + by;
  add(changes, `x:${place}`, by);
  add(changes, `xx:${place}`, x * x - past.x * past.x);
  const y = entry.goals.get(name)?.sum ?? 0;
  if (y !== 0) add(changes, `xy:${place}`, by * y);
  past.x = x;
}

function valueOf(event: string): ValueEvent {
  const [, name, at, window, value, onceId, repeatId, pre] = event.split(" ") as [string, string, string, string, string, string, string, string?];
  return { name, atMs: Number(at), windowMs: Number(window), value: Number(value), onceId, repeatId, preMs: Number(pre ?? 0) };
}

function add(changes: CountChange[], name: string, by: number): void {
  changes.push([name, by]);
}
