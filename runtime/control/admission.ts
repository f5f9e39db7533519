/** Who may speak to the admin listener. Pure. */
import { isIP } from "node:net";

/**
 * Host must be an address, localhost, or a name that is the listener's own: a page in a browser whose own name was pointed at this
 * machine (DNS rebinding) always sends that name.
 */
export function hostAllowed(host: string | undefined, isOwnName: (name: string) => boolean): boolean {
  if (host === undefined) return false;
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+)(?::\d{1,5})?$/.exec(host);
  if (!match) return false;
  const name = match[1]!.toLowerCase();
  if (name.startsWith("[")) return isIP(name.slice(1, -1)) === 6;
  return name === "localhost" || isIP(name) === 4 || isOwnName(name);
}

/** Browsers send Origin with what a page asks for on its own; only the listener's own pages may. */
export function originAllowed(origin: string | undefined, host: string | undefined): boolean {
  return origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
}
