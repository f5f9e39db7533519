/** The door of this room: a front that turns accepted sockets into exchanges. */
import type { Socket } from "node:net";
import type { Clock } from "../../clock.ts";
import type { LimitsConfig } from "../../config/resolved.ts";
import { EndOfTurn } from "../../end-of-turn.ts";
import type { GatewayError } from "../../errors.ts";
import { ClientCounts } from "../client-counts.ts";
import type { ConnectionFacts, Exchange, Scheme } from "../exchange.ts";
import { Connection } from "./connection.ts";
import type { Http1Exchange } from "./http1-exchange.ts";
import type { SectionBudget } from "./repeated-section.ts";
import { DateLine } from "./response-head.ts";

export interface Http1FrontOptions {
  readonly limits: LimitsConfig;
  readonly clock: Clock;
  readonly scheme: Scheme;
  readonly connectionId: () => string;
  /** A request with a whole, valid head. Must answer sooner or later; must not throw. */
  readonly onExchange: (exchange: Exchange) => void;
  /** Bytes that were no request have been answered with this error. */
  readonly onRefused: (error: GatewayError, facts: ConnectionFacts) => void;
}

export interface Http1Front {
  /** Takes over a socket; `onClosed` once it is gone. Sockets of a `net.Server` must have been accepted with `pauseOnConnect`. */
  accept(socket: Socket, onClosed?: () => void): void;
  /** Answers with `error` without reading a request, then closes. Counts under `connections` until it is gone. */
  turnAway(socket: Socket, error: GatewayError, onClosed?: () => void): void;
  /** From now on every response says Connection: close; connections that stay idle for a second more are closed. */
  drain(): void;
  /** Destroys every connection, whatever runs on it. */
  closeAll(): void;
  readonly connections: number;
  /** Connections of each client; whoever accepts sockets counts here, so that all listeners of a front count together. */
  readonly clients: ClientCounts;
  /** Resolves when no connection is left. */
  idle(): Promise<void>;
}

/** Some ten thousand connections' worth. */
const KEPT_SECTIONS_BYTES = 16 << 20;

/** What connections share. */
export class FrontState implements Http1Front {
  readonly options: Http1FrontOptions;
  readonly dates: DateLine;
  readonly clients = new ClientCounts();
  readonly sections: SectionBudget = { leftBytes: KEPT_SECTIONS_BYTES };
  draining = false;
  readonly #connections = new Set<Connection>();
  /** Exchanges whose head waits for a first piece of body that may come within the same turn. */
  readonly #heads = new EndOfTurn<Http1Exchange>();
  #whenIdle: (() => void)[] = [];

  constructor(options: Http1FrontOptions) {
    this.options = options;
    this.dates = new DateLine(options.clock);
  }

  get connections(): number {
    return this.#connections.size;
  }

  accept(socket: Socket, onClosed: () => void = nothing): void {
    this.#connections.add(new Connection(socket, this, onClosed));
  }

  turnAway(socket: Socket, error: GatewayError, onClosed: () => void = nothing): void {
    const connection = new Connection(socket, this, onClosed);
    this.#connections.add(connection);
    connection.refuse(error);
  }

  forget(connection: Connection): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    const waiting = this.#whenIdle;
    this.#whenIdle = [];
    for (const resolve of waiting) resolve();
  }

  drain(): void {
    this.draining = true;
    for (const connection of this.#connections) connection.drain();
  }

  closeAll(): void {
    this.draining = true;
    for (const connection of this.#connections) connection.socket.destroy();
  }

  idle(): Promise<void> {
    if (this.#connections.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  flushSoon(exchange: Http1Exchange): void {
    this.#heads.add(exchange);
  }
}

function nothing(): void {
  // Nobody asked to be told.
}

export function createHttp1Front(options: Http1FrontOptions): Http1Front {
  return new FrontState(options);
}
