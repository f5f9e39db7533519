/** What a User-Agent says of its client, remembered: patterns over it take 10 µs, and browsers are of a few thousand kinds. */
import { isbot } from "isbot";
import { CookieMemory } from "../../experiments/assign/assign.ts";

export type Device = "mobile" | "tablet" | "desktop";

export interface UserAgent {
  readonly isBot: boolean;
  readonly device: Device;
}

/** Longer ones are made up. */
const READ_UNITS = 512;
const TABLET = /iPad|Tablet|PlayBook|Silk(?!.*Mobile)|Kindle|Android(?!.*Mobile)/i;
const MOBILE = /Mobi|iPhone|iPod|Android|BlackBerry|IEMobile|Opera Mini/i;

/** Whoever says nothing about itself is no browser: all of them do. */
const SILENT: UserAgent = { isBot: true, device: "desktop" };

const known = new CookieMemory<UserAgent>(judged);

export function userAgentOf(text: string | undefined): UserAgent {
  if (text === undefined || text === "") return SILENT;
  return text.length > READ_UNITS ? judged(text.slice(0, READ_UNITS)) : known.read(text)!;
}

function judged(text: string): UserAgent {
  return { isBot: isbot(text), device: TABLET.test(text) ? "tablet" : MOBILE.test(text) ? "mobile" : "desktop" };
}
