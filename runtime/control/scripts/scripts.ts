/** What gateways agree on in the store, each step atomic: in Lua for Redis, and the same for the embedded store. */
import { defineScript, type EmbeddedDb, type StoreScript } from "../../store/store.ts";

const file = (name: string): URL => new URL(`./${name}.lua`, import.meta.url);

const TAG = "control:{control}:";
export const KEYS = {
  head: `${TAG}head`,
  proposal: `${TAG}proposal`,
  gateways: `${TAG}gateways`,
  votes: `${TAG}votes`,
  number: `${TAG}number`,
  history: `${TAG}history`,
  releases: `${TAG}releases`,
  /** Of the canary that runs. */
  counts: `${TAG}canary-counts`,
  /** The lock of the gateway that judges it. */
  lead: `${TAG}canary-lead`,
  picture: `${TAG}canary-picture`,
  /** What gateways sign previews and canary cookies with. */
  key: `${TAG}key`,
} as const;

function text(db: EmbeddedDb, key: string | undefined): string {
  const value = db.get(key!);
  // As Redis does, whoever wrote it: a plain SET keeps bytes.
  return typeof value === "string" ? value : Buffer.isBuffer(value) ? value.toString() : "";
}
function list(db: EmbeddedDb, key: string | undefined): string[] {
  return [...((db.get(key!) as readonly string[] | undefined) ?? [])];
}
function table(db: EmbeddedDb, key: string | undefined): Record<string, string> {
  return { ...(db.get(key!) as Readonly<Record<string, string>> | undefined) };
}
/** What stands before the first blank: an epoch, a number, an id. */
function first(line: string): string {
  return line.split(" ", 1)[0]!;
}
function stands(db: EmbeddedDb, key: string | undefined, nowMs: number): string {
  const proposal = text(db, key);
  return Number(proposal.split(" ", 2)[1] ?? 0) > nowMs ? proposal : "";
}
function keep(db: EmbeddedDb, key: string | undefined, head: string, kept: number): void {
  db.set(key!, [head, ...list(db, key)].slice(0, kept), null);
}

export const REPORT: StoreScript = defineScript({
  name: "control:report",
  lua: file("report"),
  repeatable: true,
  embedded(db, [headKey, proposalKey, gatewaysKey], [name, json, lifeMs, rememberedMs], nowMs) {
    const gateways = table(db, gatewaysKey);
    const now = Math.floor(nowMs);
    if (name !== "") {
      if (Number(lifeMs) === 0) delete gateways[String(name)];
      else gateways[String(name)] = `${now + Number(lifeMs)} ${json}`;
    }
    for (const [other, line] of Object.entries(gateways)) if (Number(first(line)) + Number(rememberedMs) < now) delete gateways[other];
    db.set(gatewaysKey!, gateways, null);
    return [now, text(db, headKey), stands(db, proposalKey, now), ...Object.entries(gateways).flat()];
  },
});

export const PROPOSE: StoreScript = defineScript({
  name: "control:propose",
  lua: file("propose"),
  durable: true,
  embedded(db, [headKey, proposalKey, numberKey, votesKey], [base, json, lifeMs], nowMs) {
    const head = text(db, headKey);
    if (Number(first(head)) !== Number(base)) return [0, head];
    const now = Math.floor(nowMs);
    const standing = stands(db, proposalKey, now);
    if (standing !== "") return [-1, standing];
    const number = Math.max(Number(text(db, numberKey)) + 1, now);
    db.set(numberKey!, String(number), null);
    db.set(proposalKey!, `${number} ${now + Number(lifeMs)} ${json}`, null);
    db.delete(votesKey!);
    return [1, number];
  },
});

export const VOTE: StoreScript = defineScript({
  name: "control:vote",
  lua: file("vote"),
  repeatable: true,
  embedded(db, [proposalKey, votesKey], [number, gateway, vote]) {
    if (first(text(db, proposalKey)) !== String(number)) return [0];
    db.set(votesKey!, { ...table(db, votesKey), [String(gateway)]: String(vote) }, null);
    return [1];
  },
});

export const VOTES: StoreScript = defineScript({
  name: "control:votes",
  lua: file("votes"),
  repeatable: true,
  embedded: (db, [votesKey]) => Object.entries(table(db, votesKey)).flat(),
});

export const COMMIT: StoreScript = defineScript({
  name: "control:commit",
  lua: file("commit"),
  durable: true,
  embedded(db, [headKey, proposalKey, historyKey], [number, seen, json, kept, base]) {
    if (first(text(db, proposalKey)) !== String(number)) return [0];
    const standing = text(db, headKey);
    if (Number(first(standing)) !== Number(base)) return [-1, standing];
    const epoch = Math.max(Number(first(standing)), Number(seen)) + 1;
    const head = `${epoch} ${json}`;
    db.set(headKey!, head, null);
    keep(db, historyKey, head, Number(kept));
    db.delete(proposalKey!);
    return [epoch];
  },
});

export const ABANDON: StoreScript = defineScript({
  name: "control:abandon",
  lua: file("abandon"),
  durable: true,
  repeatable: true,
  embedded(db, [proposalKey], [number]) {
    if (first(text(db, proposalKey)) !== String(number)) return [0];
    db.delete(proposalKey!);
    return [1];
  },
});

export const RESTORE: StoreScript = defineScript({
  name: "control:restore",
  lua: file("restore"),
  durable: true,
  repeatable: true,
  embedded(db, [headKey, historyKey], [epoch, json, kept]) {
    if (Number(first(text(db, headKey))) >= Number(epoch)) return [0];
    const head = `${epoch} ${json}`;
    db.set(headKey!, head, null);
    keep(db, historyKey, head, Number(kept));
    return [1];
  },
});

export const ADVANCE: StoreScript = defineScript({
  name: "control:advance",
  lua: file("advance"),
  durable: true,
  embedded(db, [headKey, historyKey, numberKey], [seen, json, kept], nowMs) {
    const standing = text(db, headKey);
    if (Number(first(standing)) !== Number(seen)) return [0, standing];
    const number = Math.max(Number(text(db, numberKey)) + 1, Math.floor(nowMs));
    db.set(numberKey!, String(number), null);
    const epoch = Number(seen) + 1;
    const head = `${epoch} {"rollout":${number},${String(json).slice(1)}`;
    db.set(headKey!, head, null);
    keep(db, historyKey, head, Number(kept));
    return [epoch, number];
  },
});

export const COUNT: StoreScript = defineScript({
  name: "control:count",
  lua: file("count"),
  repeatable: true,
  embedded(db, [countsKey], [name, json, lifeMs, rememberedMs], nowMs) {
    const now = Math.floor(nowMs);
    const counts = table(db, countsKey);
    counts[String(name)] = `${now + Number(lifeMs)} ${json}`;
    const asks = Number(rememberedMs) > 0;
    if (asks) for (const [other, line] of Object.entries(counts)) if (Number(first(line)) + Number(rememberedMs) < now) delete counts[other];
    db.set(countsKey!, counts, null);
    return asks ? [now, ...Object.entries(counts).flat()] : [now];
  },
});

export const REPLACE_SHADOW: StoreScript = defineScript({
  name: "control:replace-shadow",
  lua: file("replace-shadow"),
  durable: true,
  embedded(db, [key], [begins, json]) {
    const standing = text(db, key);
    if ((begins === "" && standing !== "") || !standing.startsWith(String(begins))) return [0];
    db.set(key!, String(json), null);
    return [1];
  },
});

export const INDEX: StoreScript = defineScript({
  name: "control:index",
  lua: file("index"),
  durable: true,
  repeatable: true,
  embedded(db, [releasesKey], [id, json, kept, ...stay]) {
    const stays = new Set([id, ...stay].map(String));
    const entries = [...list(db, releasesKey).filter((entry) => first(entry) !== String(id)), `${id} ${json}`];
    const dropped: string[] = [];
    let over = entries.length - Number(kept);
    const left = entries.filter((entry) => {
      if (over <= 0 || stays.has(first(entry))) return true;
      dropped.push(first(entry));
      over--;
      return false;
    });
    db.set(releasesKey!, left, null);
    return dropped;
  },
});

export const LIST: StoreScript = defineScript({
  name: "control:list",
  lua: file("list"),
  repeatable: true,
  embedded(db, [releasesKey, historyKey]) {
    const releases = list(db, releasesKey);
    return [releases.length, ...releases, ...list(db, historyKey)];
  },
});

export const CONTROL_SCRIPTS: readonly StoreScript[] = [REPORT, PROPOSE, VOTE, VOTES, COMMIT, ABANDON, RESTORE, ADVANCE, COUNT, REPLACE_SHADOW, INDEX, LIST];
