/** The door of the upstream room. `createUpstreams` stands in `groups.ts`. */
import type { UpstreamRequest, UpstreamResponse } from "../proxy/exchange.ts";

export interface Upstreams {
  /**
   * Picks a target, sends, and resolves with the response head. Rejects with a `GatewayError` (NO_TARGET, UPSTREAM_*; CLIENT_CLOSED
   * when cancelled; whatever error the request's body source reports).
   * Tries the next target when no connection can be made; sends again on a reused connection that died before a byte of the answer,
   * when that is safe (RFC 9110 section 9.2.2: idempotent, and nothing of the body consumed).
   */
  send(upstream: string, request: UpstreamRequest, cancel: CancelHolder | null): Promise<UpstreamResponse>;
  has(upstream: string): boolean;
  status(): readonly TargetStatus[];
  /** Closes idle connections; those in use end with their exchange. */
  close(): void;
}

/**
 * How the caller of `send` cancels. The room fills the member while it waits for the response head, and sets it back to null before
 * the promise settles; from then on `body.cancel()` or `tunnel.destroy()` does the same. Calling it destroys the connection in use.
 * (An AbortController with one listener costs 250 to 330 ns, this 12.)
 */
export interface CancelHolder {
  cancelUpstream: (() => void) | null;
}

export interface TargetStatus {
  readonly upstream: string;
  readonly target: string;
  readonly active: number;
  readonly idle: number;
  readonly requests: number;
  /** Connections made since the start. */
  readonly connects: number;
  readonly connectFailures: number;
  readonly resolved: boolean;
}

/** What the room learns about its targets while it works; for logs and metrics. */
export interface TargetEvent {
  readonly kind: "connect-failed" | "connect-timeout" | "name-unresolved" | "name-resolved" | "repeated";
  readonly upstream: string;
  readonly target: string;
  readonly detail: string;
}
