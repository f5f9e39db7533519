/**
 * What the store keeps of one unit, and how an event changes it. Pure, and the same as `scripts/count.lua`; a test holds the two together.
 *
 * Events of different workers arrive in any order. A goal that comes before its exposure therefore waits for it, and what decides is when
 * things happened, not when they arrived.
 *
 *     entry    variant at flags latency added|goal|goal|?event|?event
 *     goal     name=1, or name=sum;id@at;id@at
 *     event    x variant at error latency
 *              e at
 *              c goal at windowMs
 *              v goal at windowMs value onceId repeatId     ("-": none; "~" before repeatId: left for others, not heeded itself)
 */

/** Whole numbers, but for sums of values. Names are those of the counts in the store. */
export type Counts = Record<string, number>;

export interface UnitEntry {
  /** -1: not exposed yet, as far as is known. */
  variant: number;
  exposedMs: number;
  flags: number;
  /** Bucket of the first latency; -1: none. */
  latency: number;
  /** When the first of `waiting` came (store's time). */
  addedMs: number;
  goals: Map<string, GoalState>;
  waiting: string[];
}

/** Null: a conversion. */
type GoalState = { sum: number; seen: { readonly id: string; readonly atMs: number }[] } | null;

const ERROR = 1;
const CROSSED = 2;
/** For one unit. */
const MOST_WAITING = 16;
const MOST_IDS = 8;
/** The same value of the same unit within so long is one event told twice: a retry, a quick refresh, a page after its 302. */
export const REPEAT_MS = 60_000;

export function newEntry(): UnitEntry {
  return { variant: -1, exposedMs: 0, flags: 0, latency: -1, addedMs: 0, goals: new Map(), waiting: [] };
}

export function readEntry(text: string): UnitEntry {
  const [head = "", ...parts] = text.split("|");
  const [variant, exposedMs, flags, latency, addedMs] = head.split(" ").map(Number) as [number, number, number, number, number];
  const entry: UnitEntry = { variant, exposedMs, flags, latency, addedMs, goals: new Map(), waiting: [] };
  for (const part of parts) {
    if (part.startsWith("?")) entry.waiting.push(part.slice(1));
    else {
      const at = part.indexOf("=");
      entry.goals.set(part.slice(0, at), readGoal(part.slice(at + 1)));
    }
  }
  return entry;
}

function readGoal(text: string): GoalState {
  const [sum = "", ...ids] = text.split(";");
  if (sum === "1!") return null;
  return {
    sum: Number(sum),
    seen: ids.map((one) => {
      const at = one.indexOf("@");
      return { id: one.slice(0, at), atMs: Number(one.slice(at + 1)) };
    }),
  };
}

export function writeEntry({ variant, exposedMs, flags, latency, addedMs, goals, waiting }: UnitEntry): string {
  let text = `${variant} ${exposedMs} ${flags} ${latency} ${addedMs}`;
  // In the order of their names, as the Lua twin writes them.
  for (const name of [...goals.keys()].sort()) {
    const goal = goals.get(name)!;
    text += goal === null ? `|${name}=1!` : `|${name}=${goal.sum}${goal.seen.map(({ id, atMs }) => `;${id}@${atMs}`).join("")}`;
  }
  for (const event of waiting) text += `|?${event}`;
  return text;
}

export function isStale(entry: UnitEntry, nowMs: number, waitMs: number): boolean {
  return entry.variant < 0 && nowMs - entry.addedMs > waitMs;
}

/** `event` without its number and unit. */
export function applyEvent(entry: UnitEntry, event: string, counts: Counts, nowMs: number, waitMs: number): void {
  if (nowMs - entry.addedMs > waitMs) entry.waiting = [];
  if (!event.startsWith("x")) {
    if (happens(entry, event, counts)) return;
    if (entry.waiting.length === 0) entry.addedMs = nowMs;
    if (entry.waiting.length < MOST_WAITING) entry.waiting.push(event);
    else add(counts, event.startsWith("e") ? "lost:errors" : "lost:goals", 1);
    return;
  }
  expose(entry, event, counts);
  entry.waiting = entry.waiting.filter((one) => !happens(entry, one, counts));
}

function expose(entry: UnitEntry, event: string, counts: Counts): void {
  const [, variant, atMs, error, latency] = event.split(" ").map(Number) as [number, number, number, number, number];
  if (entry.variant < 0) {
    entry.variant = variant;
    entry.exposedMs = atMs;
    add(counts, `units:${variant}`, 1);
  } else if (entry.variant === variant) entry.exposedMs = Math.min(entry.exposedMs, atMs);
  else {
    // It stays with what it saw first; what it does afterwards says something about both.
    if ((entry.flags & CROSSED) === 0) add(counts, "crossed", 1);
    entry.flags |= CROSSED;
    return;
  }
  if (error === 1) fail(entry, counts);
  if (latency >= 0 && entry.latency < 0) {
    entry.latency = latency;
    add(counts, `latency:${variant}:${latency}`, 1);
  }
}

function fail(entry: UnitEntry, counts: Counts): void {
  if ((entry.flags & ERROR) === 0) add(counts, `errors:${entry.variant}`, 1);
  entry.flags |= ERROR;
}

/** False: it lies before the exposure, as far as that is known. */
function happens(entry: UnitEntry, event: string, counts: Counts): boolean {
  const [kind, ...rest] = event.split(" ");
  const atMs = Number(kind === "e" ? rest[0] : rest[1]);
  if (entry.variant < 0 || atMs < entry.exposedMs) return false;
  if (kind === "e") fail(entry, counts);
  else if (atMs - entry.exposedMs > Number(rest[2])) add(counts, "late", 1);
  else if (kind === "c") convert(entry, rest[0]!, counts);
  else addValue(entry, rest[0]!, atMs, Number(rest[3]), rest[4]!, rest[5]!, counts);
  return true;
}

function convert(entry: UnitEntry, name: string, counts: Counts): void {
  if (entry.goals.has(name)) {
    add(counts, "repeated", 1);
    return;
  }
  entry.goals.set(name, null);
  add(counts, `goal:${entry.variant}:${name}`, 1);
}

function addValue(entry: UnitEntry, name: string, atMs: number, value: number, onceId: string, repeatId: string, counts: Counts): void {
  const { variant } = entry;
  const known = entry.goals.get(name) ?? { sum: 0, seen: [] };
  const repeated = known.seen.some(({ id, atMs: seenMs }) => id === onceId || (id === repeatId && Math.abs(atMs - seenMs) <= REPEAT_MS));
  if (repeated) {
    // A page that was read after its 302 is known by its own id when it is read again.
    if (!known.seen.some(({ id }) => id === onceId)) remember(known.seen, atMs, onceId);
    add(counts, "repeated", 1);
    return;
  }
  if (!entry.goals.has(name)) {
    entry.goals.set(name, known);
    add(counts, `goal:${variant}:${name}`, 1);
  }
  const sum = known.sum + value;
  add(counts, `events:${variant}:${name}`, 1);
  add(counts, `sum:${variant}:${name}`, value);
  add(counts, `squares:${variant}:${name}`, sum * sum - known.sum * known.sum);
  known.sum = sum;
  remember(known.seen, atMs, onceId);
  remember(known.seen, atMs, repeatId.replace("~", ""));
}

function remember(seen: { readonly id: string; readonly atMs: number }[], atMs: number, id: string): void {
  if (id !== "-") seen.push({ id, atMs });
  while (seen.length > MOST_IDS) seen.shift();
}

function add(counts: Counts, name: string, by: number): void {
  counts[name] = (counts[name] ?? 0) + by;
}
