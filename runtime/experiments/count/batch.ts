/** Events of one worker and one run, on their way to the store. */
import type { Store, StoreArgument } from "../../store/store.ts";
import type { JournalEvent, Lost } from "./journal.ts";
import { bucketKey, countsKey, positionKey } from "./run.ts";
import { COUNT } from "./scripts/scripts.ts";

export interface CountedBatch {
  readonly run: string;
  readonly worker: string;
  /** By number. */
  readonly events: readonly JournalEvent[];
  /** By this worker since its start. */
  readonly lost: Readonly<Lost>;
}

/** Who stays away for so long is a new unit. */
export const KEPT_MS = 90 * 24 * 60 * 60 * 1000;
/** Longer than workers may differ in when they reach the store. */
const WAIT_MS = 10 * 60 * 1000;

/** May be sent again, also cut otherwise: what the store has, it knows by its number. */
export async function sendBatch(store: Store, { run, worker, events, lost }: CountedBatch, mostUnits: number): Promise<void> {
  const keys = [countsKey(run), positionKey(run, worker)];
  const places = new Map<string, number>();
  const args: StoreArgument[] = [mostUnits, KEPT_MS, WAIT_MS, ...lost];
  for (const { number, text } of events) {
    const colon = text.indexOf(":");
    const space = text.indexOf(" ", colon);
    const bucket = text.slice(colon + 1, space);
    let place = places.get(bucket);
    if (place === undefined) {
      places.set(bucket, (place = places.size + 1));
      keys.push(bucketKey(run, Number(bucket)));
    }
    args.push(`${number} ${place} ${text.slice(0, colon)}${text.slice(space)}`);
  }
  await store.run(COUNT, keys, args);
}
