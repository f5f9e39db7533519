/** One request on its way: which target it goes to, and whether it may be sent again. */
import type { Duplex } from "node:stream";
import { type ErrorCode, GatewayError } from "../errors.ts";
import type { BodySource, UpstreamRequest, UpstreamResponse } from "../proxy/exchange.ts";
import { Fields } from "../proxy/fields.ts";
import type { Carried, Connection } from "./connection.ts";
import type { Group } from "./groups.ts";
import { isIdempotent } from "./request-head.ts";
import type { Answer } from "./response-reader.ts";
import type { Target } from "./target.ts";
import type { CancelHolder } from "./upstreams.ts";

/**
 * A request that may not be repeated goes out on a connection only when that was idle for no longer than this. Origins close idle
 * connections after 2 s (gunicorn), 5 s (Node, Apache) or more; one second keeps clear of all of these and still spares
 * a busy gateway the handshakes.
 */
const UNREPEATABLE_IDLE_MS = 1_000;

/** How many targets' failures the error tells of. */
const TOLD_FAILURES = 8;

export class Call implements Carried {
  readonly request: UpstreamRequest;
  readonly #group: Group;
  readonly #cancelHolder: CancelHolder | null;
  readonly #resolve: (response: UpstreamResponse) => void;
  readonly #reject: (error: GatewayError) => void;
  readonly #startedMs: number;
  /** Could go out twice with the effect of once, and nothing of its body would be missing then. */
  readonly #repeatable: boolean;
  readonly #pinned: Target | null;
  #target: Target | null = null;
  #connection: Connection | null = null;
  #connectMs = 0;
  #attempts = 0;
  #tried: Target[] | null = null;
  #failures: GatewayError[] | null = null;
  #settled = false;

  constructor(
    group: Group,
    request: UpstreamRequest,
    pinned: Target | null,
    cancelHolder: CancelHolder | null,
    resolve: (response: UpstreamResponse) => void,
    reject: (error: GatewayError) => void,
  ) {
    this.request = request;
    this.#group = group;
    this.#pinned = pinned;
    this.#cancelHolder = cancelHolder;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#startedMs = group.clock.now();
    this.#repeatable = request.body.length === 0 && request.upgradeProtocol === "" && isIdempotent(request.method);
    if (cancelHolder) cancelHolder.cancelUpstream = () => this.#cancel();
  }

  /** Sends to the next target that was not tried. */
  start(): void {
    const target = this.#nextTarget();
    if (target === null) return this.#fail(this.#noTargetLeft());
    this.#target = target;
    this.#attempts++;
    target.requests++;
    const kept = this.#keptConnection(target);
    if (kept === null) return this.#connect(target);
    this.#connection = kept;
    target.active++;
    kept.send(this, this.#startedMs);
  }

  // What the connection reports.

  sent(nowMs: number): void {
    this.#connectMs = nowMs - this.#startedMs;
  }

  informational(status: number, fields: Fields): void {
    this.request.onInformational?.(status, fields);
  }

  answered(answer: Answer, body: BodySource, tunnel: Duplex | null, nowMs: number): void {
    this.#settle();
    this.#resolve({
      status: answer.status,
      fields: new Fields(answer.fields),
      body,
      declaredLength: answer.declaredLength,
      target: this.#target!.url,
      tunnel,
      connectMs: this.#connectMs,
      firstByteMs: nowMs - this.#startedMs,
      attempts: this.#attempts,
    });
  }

  failed(error: GatewayError, connection: Connection): void {
    if (this.#settled) return;
    this.#connection = null;
    const target = this.#target!;
    if (error.code === "UPSTREAM_CONNECT_FAILED" || error.code === "UPSTREAM_CONNECT_TIMEOUT") {
      target.connectFailures++;
      this.#group.tell(error.code === "UPSTREAM_CONNECT_TIMEOUT" ? "connect-timeout" : "connect-failed", target, error.detail);
      (this.#tried ??= []).push(target);
      (this.#failures ??= []).push(error);
      return this.start();
    }
    // The race of every keep-alive: the origin closed while the request was on its way. Only a fresh connection is sure not to lose it again.
    if (error.code === "UPSTREAM_RESET" && connection.reused && !connection.heard && this.#repeatable) {
      this.#group.tell("repeated", target, error.detail);
      this.#attempts++;
      return this.#connect(target);
    }
    this.#fail(error);
  }

  #nextTarget(): Target | null {
    if (this.#pinned === null) return this.#group.balancer.pick(this.request, this.#tried);
    return this.#tried === null ? this.#pinned : null;
  }

  #keptConnection(target: Target): Connection | null {
    if (this.request.upgradeProtocol !== "") return null;
    return this.#group.pool.take(target.idle, this.#startedMs, this.#repeatable ? Infinity : UNREPEATABLE_IDLE_MS);
  }

  #connect(target: Target): void {
    const { pool, config } = this.#group;
    if (!pool.reserve())
      return this.#fail(new GatewayError("NO_TARGET", `upstream "${config.name}": all ${config.maxConnections} connections (maxConnections) are in use`));
    target.active++;
    this.#connection = this.#group.open(target, this);
  }

  #noTargetLeft(): GatewayError {
    const failures = this.#failures;
    if (failures === null) return new GatewayError("NO_TARGET", `upstream "${this.#group.config.name}" has no target that takes requests (all weights are 0)`);
    const code: ErrorCode = failures.every((failure) => failure.code === "UPSTREAM_CONNECT_TIMEOUT") ? "UPSTREAM_CONNECT_TIMEOUT" : "UPSTREAM_CONNECT_FAILED";
    const told = failures.slice(0, TOLD_FAILURES).map((failure) => failure.detail);
    if (failures.length > told.length) told.push(`and ${failures.length - told.length} more`);
    return new GatewayError(code, told.join("; "), { cause: failures[failures.length - 1] });
  }

  #cancel(): void {
    if (this.#settled) return;
    const connection = this.#connection;
    this.#fail(new GatewayError("CLIENT_CLOSED", "cancelled before the response head came"));
    connection?.destroy();
  }

  #fail(error: GatewayError): void {
    this.#settle();
    this.#reject(error);
  }

  #settle(): void {
    this.#settled = true;
    this.#connection = null;
    if (this.#cancelHolder) this.#cancelHolder.cancelUpstream = null;
  }
}
