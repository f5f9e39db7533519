/** What a User-Agent says of its client, remembered: patterns over it take 10 µs, and browsers are of a few thousand kinds. */
import { isbot } from "isbot";
import { LRUCache } from "lru-cache";

export type Device = "mobile" | "tablet" | "desktop";

export interface UserAgent {
  readonly isBot: boolean;
  readonly device: Device;
}

const KEPT = 5_000;
/** Longer ones are made up. */
const READ_UNITS = 512;
const TABLET = /iPad|Tablet|PlayBook|Silk(?!.*Mobile)|Kindle|Android(?!.*Mobile)/i;
const MOBILE = /Mobi|iPhone|iPod|Android|BlackBerry|IEMobile|Opera Mini/i;

const known = new LRUCache<string, UserAgent>({ max: KEPT });

/** Whoever says nothing about itself is no browser: all of them do. */
const SILENT: UserAgent = { isBot: true, device: "desktop" };

export function userAgentOf(text: string | undefined): UserAgent {
  if (text === undefined || text === "") return SILENT;
  let found = known.get(text);
  if (found === undefined) {
    const read = text.slice(0, READ_UNITS);
    found = { isBot: isbot(read), device: TABLET.test(read) ? "tablet" : MOBILE.test(read) ? "mobile" : "desktop" };
    // A copy: the text may be a slice of a whole request head.
    known.set(Buffer.from(text, "latin1").toString("latin1"), found);
  }
  return found;
}
