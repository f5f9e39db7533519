/** `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11), and `Retry-After` (RFC 9110 section 10.2.3). */
import type { LimitResult } from "./decision.ts";
import type { LimitPolicy } from "./policy.ts";

/** One member of `RateLimit-Policy`. Names are of a safe alphabet (`LIMIT_NAME`): nothing needs escaping. */
export function policyMember({ name, algorithm, limit, windowMs }: LimitPolicy): string {
  if (algorithm === "concurrency") return `"${name}";q=${limit};qu="concurrent-requests"`;
  // Windows are whole seconds there.
  const seconds = Math.max(1, Math.ceil(windowMs / 1000));
  return `"${name}";q=${Math.floor((limit * seconds * 1000) / windowMs)};w=${seconds}`;
}

/** One member of `RateLimit`: what is left, and in how many seconds there is more. */
export function stateMember({ name, algorithm }: LimitPolicy, { allowed, remaining, resetMs, retryAfterMs }: LimitResult): string {
  if (algorithm === "concurrency") return `"${name}";r=${remaining}`;
  return `"${name}";r=${remaining};t=${Math.ceil((allowed ? resetMs : retryAfterMs) / 1000)}`;
}

/** Never 0: a client that asks again at once is refused again. */
export function retryAfterSeconds(retryAfterMs: number): number {
  return Math.max(1, Math.ceil(retryAfterMs / 1000));
}
