/** One HTTP/1.1 connection to a target: what it carries, how long each wait may take, and what a break means in each phase. */
import type { Duplex } from "node:stream";
import type { Clock } from "../clock.ts";
import type { UpstreamConfig } from "../config/resolved.ts";
import { type ErrorCode, GatewayError } from "../errors.ts";
import { type BodySource, NO_BODY, type UpstreamRequest } from "../proxy/exchange.ts";
import type { Fields } from "../proxy/fields.ts";
import { Deadline } from "../proxy/http1/deadline.ts";
import { Link, type LinkEvents } from "./link.ts";
import type { Pooled } from "./pool.ts";
import { type BodyCarrier, RequestBodySender } from "./request-body.ts";
import { requestHead } from "./request-head.ts";
import { type BodyOrigin, ResponseBody } from "./response-body.ts";
import { type Answer, type HeadLimits, type ResponseEvents, ResponseReader } from "./response-reader.ts";
import type { Target } from "./target.ts";

/** How long an answer may still come after a write failed. It was sent before the reset, so that it lies in our buffer or never comes. */
const ANSWER_AFTER_WRITE_ERROR_MS = 250;

/** The exchange on a connection, as the connection sees it. */
export interface Carried {
  readonly request: UpstreamRequest;
  /** The connection stands, the request goes out now. */
  sent(nowMs: number): void;
  informational(status: number, fields: Fields): void;
  answered(answer: Answer, body: BodySource, tunnel: Duplex | null, nowMs: number): void;
  /** No answer will come. The connection is destroyed already. */
  failed(error: GatewayError, connection: Connection): void;
}

/** Whoever counts and keeps connections. */
export interface ConnectionOwner {
  readonly config: UpstreamConfig;
  readonly clock: Clock;
  readonly limits: HeadLimits;
  readonly certificateAuthorities: readonly string[] | null;
  /** It can carry another exchange. */
  release(connection: Connection): void;
  /** It is gone; called once. */
  forget(connection: Connection, wasIdle: boolean): void;
}

type Phase = "connecting" | "idle" | "asking" | "answering" | "tunnel" | "closed";

export class Connection implements Pooled, LinkEvents, BodyCarrier, BodyOrigin, ResponseEvents {
  readonly target: Target;
  idleSinceMs = 0;
  reusableUntilMs = 0;
  /** It has carried an exchange before the present one. */
  reused = false;

  readonly #owner: ConnectionOwner;
  readonly #link: Link;
  readonly #reader: ResponseReader;
  #phase: Phase = "connecting";
  #call: Carried | null;
  #sender: RequestBodySender | null = null;
  #body: ResponseBody | null = null;
  #readerWaits = false;
  #stopped = false;
  #writeError: NodeJS.ErrnoException | null = null;
  readonly #deadline: Deadline;

  /** Connects, then sends the request of `call`. */
  constructor(owner: ConnectionOwner, target: Target, call: Carried) {
    this.#owner = owner;
    this.target = target;
    this.#call = call;
    this.#deadline = new Deadline(owner.clock, () => this.#expired());
    this.#reader = new ResponseReader(owner.limits, this);
    this.#link = new Link(target, this, { certificateAuthorities: owner.certificateAuthorities, detachable: call.request.upgradeProtocol !== "" });
    this.#deadline.set(owner.clock.now() + owner.config.timeouts.connectMs);
  }

  get idle(): boolean {
    return this.#phase === "idle";
  }

  /** Has a byte of the present answer arrived? */
  get heard(): boolean {
    return this.#reader.heard;
  }

  /** Sends the request of `call` on an idle connection. */
  send(call: Carried, nowMs: number): void {
    this.#call = call;
    this.reused = true;
    this.#begin(call, nowMs);
  }

  /** Ends it without a word to the call: cancelled, too old, superfluous. */
  destroy(): void {
    if (this.#phase === "closed") return;
    const sender = this.#sender;
    const wasIdle = this.#phase === "idle";
    this.#phase = "closed";
    this.#call = null;
    this.#body = null;
    this.#sender = null;
    this.#deadline.cancel();
    this.#reader.stop();
    this.#link.destroy();
    this.#owner.forget(this, wasIdle);
    sender?.stop();
  }

  #begin(call: Carried, nowMs: number): void {
    const { request } = call;
    this.#phase = "asking";
    this.#reader.expect(request.method, request.upgradeProtocol);
    call.sent(nowMs);
    const head = requestHead(request);
    if (request.body.length === 0) {
      this.#deadline.set(nowMs + this.#owner.config.timeouts.firstByteMs);
      this.#link.writeSoon(head);
      return;
    }
    // Waiting for the client is its front's affair; the target's time begins when it has something to take or to answer.
    this.#deadline.set(Infinity);
    const sender = new RequestBodySender(request.body, this);
    this.#sender = sender;
    sender.start(head);
  }

  #finish(reusable: boolean, keepAliveMs: number, nowMs: number): void {
    const uploadPending = this.#sender !== null;
    this.#call = null;
    this.#body = null;
    if (!reusable || uploadPending || this.#writeError !== null || keepAliveMs <= 0) return this.destroy();
    this.#phase = "idle";
    this.idleSinceMs = nowMs;
    this.reusableUntilMs = nowMs + keepAliveMs;
    this.#deadline.set(this.reusableUntilMs);
    this.#owner.release(this);
  }

  #fail(code: ErrorCode, detail: string, cause?: unknown): void {
    this.#break(new GatewayError(code, `${this.target.url}: ${detail}`, cause === undefined || cause === null ? undefined : { cause }));
  }

  #break(error: GatewayError): void {
    const call = this.#call;
    const body = this.#body;
    this.destroy();
    if (body) body.fail(error);
    else call?.failed(error, this);
  }

  #expired(): void {
    const { connectMs, firstByteMs, idleMs } = this.#owner.config.timeouts;
    switch (this.#phase) {
      case "connecting":
        return this.#fail("UPSTREAM_CONNECT_TIMEOUT", `no connection within ${connectMs} ms`);
      case "asking":
        if (this.#writeError) return this.#closed(this.#writeError);
        if (this.#sender) return this.#fail("UPSTREAM_TIMEOUT", `the request body was not taken for ${firstByteMs} ms`);
        return this.#fail("UPSTREAM_TIMEOUT", `${this.#reader.progress()} after ${firstByteMs} ms`);
      case "answering":
        return this.#fail("UPSTREAM_IDLE_TIMEOUT", `${this.#reader.progress()}, then nothing for ${idleMs} ms`);
      case "idle":
        return this.destroy();
      case "tunnel":
      case "closed":
        return;
    }
  }

  // The socket's side.

  linkConnected(): void {
    this.target.connects++;
    if (this.#phase === "connecting" && this.#call) this.#begin(this.#call, this.#owner.clock.now());
  }

  linkBytes(buffer: Buffer, length: number): boolean {
    if (this.#phase === "asking" || this.#phase === "answering") {
      const problem = this.#reader.feed(buffer, length);
      if (problem !== null) this.#fail(problem.code, problem.detail);
      return !this.#stopped;
    }
    // Nobody asked: an answer to nothing, perhaps meant for whoever comes next (response splitting).
    if (this.#phase !== "closed") this.destroy();
    return true;
  }

  linkDrained(): void {
    const sender = this.#sender;
    if (!sender?.blocked) return;
    // Now it is the client's turn again. First the clock: the source may send, and block, before it returns.
    if (this.#phase === "asking") this.#deadline.set(Infinity);
    sender.drained();
  }

  linkWriteFailed(error: NodeJS.ErrnoException): void {
    if (this.#phase !== "asking" && this.#phase !== "answering") return this.destroy();
    this.#writeError = error;
    this.#stopSending();
    if (this.#phase === "asking") this.#deadline.set(this.#owner.clock.now() + ANSWER_AFTER_WRITE_ERROR_MS);
  }

  linkEnded(): void {
    if (this.#phase === "answering" && this.#reader.untilClose) this.#reader.closed();
    else this.#closed(null);
  }

  linkClosed(error: NodeJS.ErrnoException | null): void {
    this.#closed(error);
  }

  #closed(error: NodeJS.ErrnoException | null): void {
    switch (this.#phase) {
      case "connecting":
        return this.#fail("UPSTREAM_CONNECT_FAILED", error ? error.message || (error.code ?? error.name) : "closed while connecting", error);
      case "asking":
      case "answering":
        return this.#fail("UPSTREAM_RESET", `${error ? (error.code ?? error.message) : "closed"}; ${this.#reader.progress()}`, error);
      default:
        this.destroy();
    }
  }

  // The response, as the reader finds it.

  informational(status: number, fields: Fields): void {
    if (!this.#sender) this.#deadline.set(this.#owner.clock.now() + this.#owner.config.timeouts.firstByteMs);
    this.#call?.informational(status, fields);
  }

  responseWhole(answer: Answer, body: BodySource, overrun: boolean): void {
    const call = this.#call!;
    const nowMs = this.#owner.clock.now();
    this.#finish(answer.keepAlive && !overrun, this.#keepAliveMs(answer), nowMs);
    call.answered(answer, body, null, nowMs);
  }

  responseBegins(answer: Answer, length: number): void {
    const call = this.#call!;
    this.#phase = "answering";
    this.#readerWaits = false;
    this.#deadline.set(Infinity);
    // RFC 9112 section 9.5: who sees an error while sending a body stops sending.
    if (answer.status >= 400) this.#stopSending();
    this.#body = new ResponseBody(length, this.#reader.untilClose, this);
    call.answered(answer, this.#body, null, this.#owner.clock.now());
  }

  responseBytes(bytes: Buffer): void {
    const body = this.#body;
    if (body === null) return;
    if (this.#readerWaits) this.#deadline.set(this.#owner.clock.now() + this.#owner.config.timeouts.idleMs);
    // The sink may have cancelled: then the connection is destroyed.
    if (!body.push(bytes) && this.#body === body) this.#stopped = true;
  }

  responseEnds(answer: Answer, trailers: Fields | null, overrun: boolean): void {
    const body = this.#body;
    if (body === null) return;
    this.#stopped = false;
    this.#finish(answer.keepAlive && !overrun, this.#keepAliveMs(answer), this.#owner.clock.now());
    body.finish(trailers);
  }

  responseSwitches(answer: Answer, early: Buffer | null): void {
    const call = this.#call!;
    this.#call = null;
    this.#phase = "tunnel";
    this.#deadline.set(Infinity);
    call.answered(answer, NO_BODY, this.#link.detach(early === null ? null : Buffer.from(early)), this.#owner.clock.now());
  }

  /** The origin closes its idle side after `timeout` seconds: a second less, or its FIN meets the next request half-way. */
  #keepAliveMs(answer: Answer): number {
    const own = this.#owner.config.keepAliveMs;
    return answer.keepAliveTimeoutMs < 0 ? own : Math.min(own, answer.keepAliveTimeoutMs - 1_000);
  }

  // The response body's side.

  resumeReading(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#link.resumeReading();
  }

  readerWaits(waits: boolean): void {
    this.#readerWaits = waits;
    this.#deadline.set(waits ? this.#owner.clock.now() + this.#owner.config.timeouts.idleMs : Infinity);
  }

  abandon(): void {
    this.destroy();
  }

  // The request body's side.

  write(latin1: string): boolean {
    return this.#link.write(latin1);
  }

  writeLent(bytes: Buffer): boolean {
    return this.#link.writeLent(bytes);
  }

  cork(): void {
    this.#link.cork();
  }

  uncork(): void {
    this.#link.uncork();
  }

  bodySent(): void {
    this.#sender = null;
    if (this.#phase === "asking") this.#deadline.set(this.#owner.clock.now() + this.#owner.config.timeouts.firstByteMs);
  }

  bodyBroke(error: GatewayError): void {
    this.#sender = null;
    this.#break(error);
  }

  bodyBlocked(): void {
    if (this.#phase === "asking") this.#deadline.set(this.#owner.clock.now() + this.#owner.config.timeouts.firstByteMs);
  }

  /** The connection can't be used again: the target still waits for the rest. */
  #stopSending(): void {
    this.#sender?.stop();
  }
}
