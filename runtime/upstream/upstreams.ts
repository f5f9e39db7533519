/** The door of the upstream room. `createUpstreams` stands in `groups.ts`. */
import type { UpstreamRequest, UpstreamResponse } from "../proxy/exchange.ts";

export interface Upstreams {
  /**
   * Picks a target, sends, and resolves with the response head. Rejects with a `GatewayError` (NO_TARGET, UPSTREAM_*).
   * Tries the next target when no connection can be made; sends again on a reused connection that died before a byte of the answer,
   * when that is safe (RFC 9110 section 9.2.2: idempotent, and nothing of the body consumed).
   * `signal` cancels: the connection in use is destroyed.
   */
  send(upstream: string, request: UpstreamRequest, signal: AbortSignal | null): Promise<UpstreamResponse>;
  has(upstream: string): boolean;
  status(): readonly TargetStatus[];
  /** Closes idle connections; those in use end with their exchange. */
  close(): void;
}

export interface TargetStatus {
  readonly upstream: string;
  readonly target: string;
  readonly active: number;
  readonly idle: number;
  readonly requests: number;
  readonly connectFailures: number;
  readonly resolved: boolean;
}
