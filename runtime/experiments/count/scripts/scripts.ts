/** What counting does atomically in the store: in Lua for Redis, and the same for the embedded store. */
import { defineScript, type EmbeddedDb, type StoreScript } from "../../../store/store.ts";
import { applyEvent, type CountChange, type Counts, isPast, isStale, newEntry, readEntry, writeEntry } from "../unit-entry.ts";

const file = (name: string): URL => new URL(`./${name}.lua`, import.meta.url);

type Bucket = Readonly<Record<string, string>>;
const LOST = ["lost:exposures", "lost:goals", "lost:errors"] as const;
const EVENT = /^(\d+) (\d+) (\S+) (.*)$/;

/** Sent twice it counts once: events carry numbers. */
export const COUNT: StoreScript = defineScript({
  name: "experiments:count",
  lua: file("count"),
  durable: true,
  repeatable: true,
  embedded(db, [countsKey = "", positionKey = "", ...buckets], args, nowMs) {
    const [most, lifeMs, waitMs] = args.slice(0, 3).map(Number) as [number, number, number];
    const position = ((db.get(positionKey) as string | undefined) ?? "0 0 0 0").split(" ").map(Number);
    const counts: Counts = { enrolled: 0, waiting: 0, remembers: 0, ...(db.get(countsKey) as Counts | undefined) };
    for (const name of namesOf(counts, args)) counts[name] ??= 0;
    const events = args.slice(6).map((text) => EVENT.exec(String(text))!);
    const fresh = events.filter(([, number]) => Number(number) > position[0]!);
    const changes: CountChange[] = [];
    LOST.forEach((name, i) => {
      const more = Number(args[3 + i]) - position[1 + i]!;
      if (more <= 0) return;
      changes.push([name, more]);
      position[1 + i] = Number(args[3 + i]);
    });
    if (fresh.length > 0) position[0] = Number(fresh.at(-1)![1]);
    // Room for all counts is taken first, and without it nothing is done: what has no room below can then be counted.
    const hasRoom = reserve(db, countsKey, counts, lifeMs);
    db.set(positionKey, position.join(" "), lifeMs);
    const units = new Units(db, counts, changes, { most, hasRoom, lifeMs, waitMs, nowMs });
    for (const [, , index, unit, event] of fresh) units.count(buckets[Number(index) - 1]!, unit!, event!);
    // Of a batch first, as the Lua twin adds up.
    const added: Counts = {};
    for (const [name, by] of changes) bump(added, name, by);
    for (const [name, by] of Object.entries(added)) bump(counts, name, by);
    db.set(countsKey, counts, lifeMs);
    return [fresh.length];
  },
});

/** Units never fill the last of the store's memory, so that what they do can still be counted. False: it is full, and nobody new is taken in. */
function reserve(db: EmbeddedDb, key: string, counts: Counts, lifeMs: number): boolean {
  try {
    db.set(key, { ...counts, reserve: RESERVE }, lifeMs);
    return true;
  } catch {
    // STORE_FULL. Without the reserve it may fit; else the caller hears of it, and sends it again later.
    db.set(key, { ...counts }, lifeMs);
    return false;
  }
}

const RESERVE = "-".repeat(4096);

interface Bounds {
  readonly most: number;
  /** False: nobody new is taken in. */
  readonly hasRoom: boolean;
  readonly lifeMs: number;
  readonly waitMs: number;
  readonly nowMs: number;
}

class Units {
  readonly #db: EmbeddedDb;
  readonly #counts: Counts;
  readonly #changes: CountChange[];
  readonly #bounds: Bounds;

  /** `counts`: how many units there are; everything else goes into `changes`. */
  constructor(db: EmbeddedDb, counts: Counts, changes: CountChange[], bounds: Bounds) {
    this.#db = db;
    this.#counts = counts;
    this.#changes = changes;
    this.#bounds = bounds;
  }

  count(bucket: string, unit: string, event: string): void {
    const { most, hasRoom, lifeMs, waitMs, nowMs } = this.#bounds;
    const counts = this.#counts;
    const there = this.#bucket(bucket)[unit];
    const entry = there === undefined ? newEntry() : readEntry(there);
    const isExposure = event.startsWith("x");
    const remembers = isPast(event);
    if (remembers) counts["remembers"] = 1;
    const lost = event.startsWith("e") ? "lost:errors" : remembers ? "lost:past" : "lost:goals";
    const enrols = entry.variant < 0 && isExposure;
    const isNewcomer = there === undefined && !isExposure;
    if (enrols && (!hasRoom || counts["enrolled"]! >= most)) return this.#lose("full");
    if (isNewcomer) {
      // Where a pre-period is asked for, as many may be remembered as may take part.
      const room = counts["remembers"] === 1 ? most : most / 10;
      if (counts["waiting"]! * 2 >= room) this.#sweep(bucket);
      if (counts["waiting"]! >= room) return this.#lose(lost);
    }
    const changes: CountChange[] = [];
    applyEvent(entry, event, changes, nowMs, waitMs);
    try {
      this.#db.set(bucket, { ...this.#bucket(bucket), [unit]: writeEntry(entry) }, lifeMs);
    } catch {
      // The store is full (STORE_FULL): as if the bound of units were reached, and told by the same count.
      return this.#lose(enrols ? "full" : lost);
    }
    if (enrols) bump(counts, "enrolled", 1);
    if (isNewcomer) bump(counts, "waiting", 1);
    if (there !== undefined && enrols) bump(counts, "waiting", -1);
    this.#changes.push(...changes);
  }

  #lose(name: string): void {
    this.#changes.push([name, 1]);
  }

  #bucket(key: string): Bucket {
    return (this.#db.get(key) as Bucket | undefined) ?? {};
  }

  /** Units that did something and were never exposed leave their bucket when it is needed. */
  #sweep(key: string): void {
    const { lifeMs, nowMs } = this.#bounds;
    const all = Object.entries(this.#bucket(key));
    const kept = all.filter(([, text]) => !isStale(text, nowMs));
    if (kept.length === all.length) return;
    this.#db.set(key, Object.fromEntries(kept), lifeMs);
    bump(this.#counts, "waiting", kept.length - all.length);
  }
}

function bump(counts: Counts, name: string, by: number): void {
  counts[name] = (counts[name] ?? 0) + by;
}

const GOAL_COUNTS = ["goal", "events", "sum", "squares", "x", "xx", "xy"] as const;

/** Every count that a batch may change. */
function namesOf(counts: Counts, args: readonly (string | number)[]): Set<string> {
  const names = new Set<string>([...LOST, "lost:past", "full", "late", "repeated", "crossed"]);
  const variants = new Set(Object.keys(counts).flatMap((name) => (name.startsWith("units:") ? [name.slice(6)] : [])));
  const events = args.slice(6).map((text) => EVENT.exec(String(text))![4]!.split(" "));
  for (const [kind, variant, , , latency] of events) {
    if (kind !== "x") continue;
    variants.add(variant!);
    if (latency !== "-1") names.add(`latency:${variant}:${latency}`);
  }
  for (const variant of variants) {
    names.add(`units:${variant}`).add(`errors:${variant}`);
    for (const [kind, goal] of events) if (kind === "c" || kind === "v") for (const what of GOAL_COUNTS) names.add(`${what}:${variant}:${goal}`);
  }
  return names;
}

export const READ_COUNTS: StoreScript = defineScript({
  name: "experiments:read",
  lua: file("read"),
  repeatable: true,
  embedded: (db, [key = ""]) => Object.entries((db.get(key) as Counts | undefined) ?? {}).flatMap(([name, count]) => [name, String(count)]),
});

export const COUNT_SCRIPTS: readonly StoreScript[] = [COUNT, READ_COUNTS];
