/** Cache-Status (RFC 9211): one member, to be appended to what caches nearer to the origin said. */
import type { CacheStatus } from "./terms.ts";

const TOKEN = /^[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*$/;

export function cacheStatus(status: CacheStatus): string {
  let text = status.hit ? "sluice; hit" : "sluice";
  if (status.fwd !== null && !status.hit) {
    text += `; fwd=${status.fwd}`;
    if (status.fwdStatus > 0) text += `; fwd-status=${status.fwdStatus}`;
    if (status.stored) text += "; stored";
    if (status.collapsed) text += "; collapsed";
  }
  if (status.ttlMs !== null) text += `; ttl=${Math.floor(status.ttlMs / 1000)}`;
  if (status.detail !== "") text += `; detail=${sfItem(status.detail)}`;
  return text;
}

/** A token where it can be one, else a string; anything but visible ASCII is left out. */
function sfItem(text: string): string {
  if (TOKEN.test(text)) return text;
  return `"${text.replace(/[^\x20-\x7e]/g, "").replace(/["\\]/g, "\\$&")}"`;
}
