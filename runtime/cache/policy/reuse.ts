/** What to do with a request, given what is stored. RFC 9111 section 4, as comparisons of numbers that `storable` computed. */
import type { Freshness, RequestDirectives, RequestTerms, Verdict } from "./terms.ts";

export function decide(request: RequestTerms, entry: Freshness | null, nowMs: number): Verdict {
  const { directives } = request;
  if (request.forOrigin || (request.kind !== "get" && request.kind !== "head")) return "bypass";
  if (directives !== null) return decideAsAsked(directives, entry, nowMs);
  if (entry === null) return "miss";
  if (nowMs < entry.freshUntilMs) return "hit";
  return nowMs < entry.staleWhileRevalidateUntilMs ? "stale" : "revalidate";
}

/** RFC 9111 section 5.2.1. */
function decideAsAsked(asked: RequestDirectives, entry: Freshness | null, nowMs: number): Verdict {
  const otherwise = (verdict: Verdict): Verdict => (asked.onlyIfCached ? "gateway-timeout" : verdict);
  if (asked.noStore) return otherwise("bypass");
  if (entry === null) return otherwise("miss");
  if (asked.noCache) return otherwise("revalidate");
  const freshForMs = entry.freshUntilMs - nowMs;
  // RFC 8246 section 2: a plain reload doesn't ask again for what will not change.
  if (entry.immutable && asked.maxAgeMs === 0 && freshForMs > 0) return "hit";
  if (asked.maxAgeMs >= 0 && nowMs - entry.bornAtMs > asked.maxAgeMs) return otherwise("revalidate");
  if (asked.maxAgeMs === 0) return otherwise("revalidate");
  if (asked.minFreshMs >= 0 && freshForMs < asked.minFreshMs) return otherwise("revalidate");
  if (freshForMs > 0) return "hit";
  if (asked.maxStaleMs >= 0 && entry.staleAllowed && -freshForMs <= asked.maxStaleMs) return "stale-allowed";
  // Without max-stale, max-age says that nothing stale is wanted (section 5.2.1.1).
  if (asked.maxAgeMs < 0 && nowMs < entry.staleWhileRevalidateUntilMs) return asked.onlyIfCached ? "stale-allowed" : "stale";
  return otherwise("revalidate");
}

/** RFC 5861 section 4: the origin could not be reached, or answered 500, 502, 503 or 504. */
export function mayServeOnError(request: RequestTerms, entry: Freshness, nowMs: number): boolean {
  if (request.directives?.noCache === true || request.directives?.noStore === true) return false;
  if (nowMs < entry.staleIfErrorUntilMs) return true;
  const askedMs = request.directives?.staleIfErrorMs ?? -1;
  return askedMs >= 0 && entry.staleAllowed && nowMs - entry.freshUntilMs <= askedMs;
}

/** Whole seconds, for the Age field (RFC 9111 section 4.2.3). */
export function ageSeconds(entry: Freshness, nowMs: number): number {
  return Math.max(0, Math.floor((nowMs - entry.bornAtMs) / 1000));
}
