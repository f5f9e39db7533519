/** What an unsafe request makes invalid (RFC 9111 section 4.4). */
import type { Fields } from "../../proxy/fields.ts";
import type { RequestTerms } from "./terms.ts";

/** Targets (path and query) of the same origin: the request's own, and what Location and Content-Location point at. */
export function invalidatedTargets(request: RequestTerms, status: number, fields: Fields, scheme: string, authority: string, target: string): string[] {
  if (request.kind !== "unsafe" || status < 200 || status >= 400) return [];
  const targets = new Set([target]);
  const base = URL.parse(`${scheme}://${authority}${target}`);
  if (base === null) return [...targets];
  for (const name of ["location", "content-location"]) {
    const url = URL.parse(fields.get(name) ?? "", base);
    // Another origin's answers are not this one's to invalidate: that would be a way to empty somebody else's cache.
    if (url !== null && url.origin === base.origin && fields.has(name)) targets.add(`${url.pathname}${url.search}`);
  }
  return [...targets];
}
