/** Which events of a unit have been counted, so that what is told again counts once. */
export interface Seen {
  readonly id: string;
  readonly atMs: number;
}

/** Of one goal. */
const MOST_IDS = 8;
/** The same value of the same unit within so long is one event told twice: a retry, a quick refresh, a page after its 302. */
const REPEAT_MS = 60_000;

export const isRepeated = (seen: readonly Seen[], atMs: number, onceId: string, repeatId: string): boolean =>
  seen.some((one) => one.id === onceId || (one.id === repeatId && Math.abs(atMs - one.atMs) <= REPEAT_MS));

/** A page that was read after its 302 is known by its own id when it is read again. */
export function rememberRepeated(seen: Seen[], atMs: number, onceId: string): void {
  if (!seen.some(({ id }) => id === onceId)) remember(seen, atMs, onceId);
}

/** "~": left for others, not heeded itself. */
export function rememberBoth(seen: Seen[], atMs: number, onceId: string, repeatId: string): void {
  remember(seen, atMs, onceId);
  remember(seen, atMs, repeatId.replace("~", ""));
}

function remember(seen: Seen[], atMs: number, id: string): void {
  if (id !== "-") seen.push({ id, atMs });
  while (seen.length > MOST_IDS) seen.shift();
}

export function readSeen(texts: readonly string[]): Seen[] {
  return texts.map((one) => {
    const at = one.indexOf("@");
    return { id: one.slice(0, at), atMs: Number(one.slice(at + 1)) };
  });
}

export const seenText = (seen: readonly Seen[]): string => seen.map(({ id, atMs }) => `;${id}@${atMs}`).join("");
