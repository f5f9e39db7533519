/** When a client is too slow: with its head, its body, its reading, or in saying anything at all. */
import type { Clock } from "../../clock.ts";
import type { LimitsConfig } from "../../config/resolved.ts";
import { GatewayError } from "../../errors.ts";
import type { Connection } from "./connection.ts";
import { Deadline } from "./deadline.ts";
import { unsentBytes } from "./socket.ts";

/** How long a closing connection waits for the client's end. */
const LINGER_MS = 2000;
/**
 * A request may be on its way to a connection that was accepted a moment ago, or that was told it may be used again. Cutting such
 * connections at once failed 4 requests of 8 clients without pause in one rolling replacement; this fails none.
 */
const DRAIN_IDLE_MS = 1000;
/** After a body broke off the handler should answer at once. */
const ANSWER_AFTER_FAILURE_MS = 5000;
/**
 * A half-closed client may be waiting for its answer, or gone: both look the same until something is written to it. An
 * informational response is harmless to the first (RFC 9110 section 15.2) and draws RST from the second; its effect is seen with the write after it.
 */
const HALF_CLOSED_PROBES_MS = [250, 250, 5000, 5000];
const PROBE = "HTTP/1.1 102 Processing\r\n\r\n";

export class ConnectionDeadlines {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #limits: LimitsConfig;
  readonly #deadline: Deadline;

  /** Start of the idle span, or of the head when one has begun. */
  #sinceMs = 0;
  #headStartMs = -1;
  #closingMs = -1;
  #drainMs = -1;
  #lastBodyReadMs = 0;
  #rateWindowMs = -1;
  #rateBytes = 0;
  #failedMs = -1;
  #sendProgressMs = -1;
  #unsent = 0;
  #probes = 0;
  #probeAtMs = Infinity;

  constructor(connection: Connection, clock: Clock, limits: LimitsConfig) {
    this.#connection = connection;
    this.#clock = clock;
    this.#limits = limits;
    this.#deadline = new Deadline(clock, () => this.#expired());
  }

  opened(): void {
    this.#sinceMs = this.#clock.now();
    this.update();
  }
  /** Some bytes of a head have come, not all. */
  headBytes(): void {
    if (this.#headStartMs >= 0 || !this.#connection.headStarted) return;
    this.#headStartMs = this.#clock.now();
    this.update();
  }
  requestStarted(): void {
    this.#headStartMs = -1;
    this.#failedMs = -1;
    this.#probes = 0;
    this.#deadline.set(Infinity);
  }
  requestEnded(): void {
    this.#probeAtMs = Infinity;
    this.#sinceMs = this.#clock.now();
    this.update();
  }
  bodyWanted(): void {
    this.#lastBodyReadMs = this.#clock.now();
    this.#rateWindowMs = this.#lastBodyReadMs;
    this.#rateBytes = 0;
    this.update();
  }
  bodyBytes(count: number): void {
    this.#rateBytes += count;
    this.#lastBodyReadMs = this.#clock.now();
  }
  bodyFailed(): void {
    this.#failedMs = this.#clock.now();
    this.update();
  }
  writeBlocked(): void {
    this.#sendProgressMs = this.#clock.now();
    this.#unsent = unsentBytes(this.#connection.socket);
    this.update();
  }
  halfClosed(): void {
    if (this.#connection.exchange?.version === "1.0" || this.#probeAtMs !== Infinity || this.#probes > 0) return;
    this.#probeAtMs = this.#clock.now() + HALF_CLOSED_PROBES_MS[0]!;
    this.update();
  }
  draining(): void {
    this.#drainMs = this.#clock.now();
    this.update();
  }
  closing(): void {
    this.#closingMs = this.#clock.now();
    this.#sendProgressMs = this.#closingMs;
    this.#unsent = unsentBytes(this.#connection.socket);
    this.update();
  }
  cancel(): void {
    this.#deadline.cancel();
  }

  update(): void {
    this.#deadline.set(this.#next());
  }

  /** The earliest moment at which something may have to be done. */
  #next(): number {
    const connection = this.#connection;
    const limits = this.#limits;
    switch (connection.mode) {
      case "closing":
        return this.#closingMs + LINGER_MS;
      case "head": {
        const wait = this.#headStartMs >= 0 ? this.#headStartMs + limits.headTimeoutMs : this.#idleUntilMs();
        return connection.writeBlocked ? Math.min(wait, this.#sendProgressMs + limits.sendTimeoutMs) : wait;
      }
      case "exchange": {
        let next = connection.writeBlocked ? this.#sendProgressMs + limits.sendTimeoutMs : Infinity;
        if (this.#bodyAwaited()) next = Math.min(next, this.#lastBodyReadMs + limits.bodyTimeoutMs, this.#rateWindowMs + limits.bodyTimeoutMs);
        if (this.#failedMs >= 0 && connection.exchange?.answered === false) next = Math.min(next, this.#failedMs + ANSWER_AFTER_FAILURE_MS);
        return Math.min(next, this.#probeAtMs);
      }
      case "tunnel":
      case "closed":
        return Infinity;
    }
  }

  /** Does the connection now wait for the client to send body bytes? */
  #bodyAwaited(): boolean {
    const exchange = this.#connection.exchange;
    const body = exchange?.requestBody;
    if (!exchange || !body || body.complete || body.failed) return false;
    return body.wanting || (body.cancelled && exchange.over);
  }

  #expired(): void {
    const connection = this.#connection;
    const nowMs = this.#clock.now();
    if (connection.mode === "closing") this.#expireClosing(nowMs);
    else if (connection.writeBlocked && this.#sendStalled(nowMs)) connection.socket.resetAndDestroy();
    else if (connection.mode === "head") this.#expireHead(nowMs);
    else if (connection.mode === "exchange") this.#expireExchange(nowMs);
    if (!connection.socket.destroyed) this.update();
  }

  /** Too little has left in `sendTimeoutMs`: a reader that takes a byte now and then would hold its connection, and the origin's, for ever. */
  #sendStalled(nowMs: number): boolean {
    const { sendTimeoutMs, bodyMinBytesPerSecond } = this.#limits;
    if (nowMs - this.#sendProgressMs < sendTimeoutMs) return false;
    const unsent = unsentBytes(this.#connection.socket);
    const leastBytes = Math.max(1, (bodyMinBytesPerSecond * sendTimeoutMs) / 1000);
    if (unsent > 0 && this.#unsent - unsent < leastBytes) return true;
    this.#unsent = unsent;
    this.#sendProgressMs = nowMs;
    return false;
  }

  #expireClosing(nowMs: number): void {
    const { socket } = this.#connection;
    if (socket.writableLength === 0) {
      socket.destroy();
      return;
    }
    // The end waits behind bytes that a slow client has not taken.
    if (this.#sendStalled(nowMs)) socket.resetAndDestroy();
    else this.#closingMs = nowMs;
  }

  #expireHead(nowMs: number): void {
    const limits = this.#limits;
    if (this.#headStartMs >= 0) {
      if (nowMs - this.#headStartMs >= limits.headTimeoutMs)
        this.#connection.refuse(new GatewayError("REQUEST_TIMEOUT", `the head was not complete after ${limits.headTimeoutMs} ms`));
      return;
    }
    // Nothing was asked, so nothing is answered: a 408 here would be taken for the answer to a request on its way.
    if (nowMs >= this.#idleUntilMs()) this.#connection.close();
  }

  #idleUntilMs(): number {
    const untilMs = this.#sinceMs + (this.#connection.requests === 0 ? this.#limits.headTimeoutMs : this.#limits.keepAliveMs);
    return this.#drainMs < 0 ? untilMs : Math.min(untilMs, Math.max(this.#drainMs, this.#sinceMs) + DRAIN_IDLE_MS);
  }

  #expireExchange(nowMs: number): void {
    const connection = this.#connection;
    const limits = this.#limits;
    if (this.#bodyAwaited()) {
      if (nowMs - this.#lastBodyReadMs >= limits.bodyTimeoutMs) {
        connection.failBody(new GatewayError("REQUEST_TIMEOUT", `no body byte for ${limits.bodyTimeoutMs} ms`));
        return;
      }
      const windowMs = nowMs - this.#rateWindowMs;
      if (windowMs >= limits.bodyTimeoutMs) {
        // Each span counts alone, so that a fast start buys no slow end.
        if (this.#rateBytes * 1000 < limits.bodyMinBytesPerSecond * windowMs) {
          connection.failBody(
            new GatewayError(
              "REQUEST_TIMEOUT",
              `${this.#rateBytes} body bytes in ${Math.round(windowMs)} ms, at least ${limits.bodyMinBytesPerSecond} a second expected`,
            ),
          );
          return;
        }
        this.#rateWindowMs = nowMs;
        this.#rateBytes = 0;
      }
    }
    if (this.#failedMs >= 0 && connection.exchange?.answered === false && nowMs - this.#failedMs >= ANSWER_AFTER_FAILURE_MS) {
      connection.socket.destroy();
      return;
    }
    if (nowMs >= this.#probeAtMs) this.#probe(nowMs);
  }

  #probe(nowMs: number): void {
    this.#probes++;
    const nextMs = HALF_CLOSED_PROBES_MS[this.#probes];
    this.#probeAtMs = nextMs === undefined ? Infinity : nowMs + nextMs;
    if (this.#connection.exchange?.answered === false) this.#connection.writeText(PROBE);
  }
}
