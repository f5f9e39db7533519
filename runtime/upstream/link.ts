/** One socket to a target, plain or TLS, with the differences between the two hidden. */
import { connect as connectPlain } from "node:net";
import type { Socket, TcpNetConnectOpts } from "node:net";
import { connect as connectTls } from "node:tls";
import { writeLent } from "../proxy/http1/lent-bytes.ts";
import { connectSocket, readByEvents, resumeReading, type WireReceiver } from "../proxy/http1/socket.ts";
import { EndOfTurn, type Flushable } from "../end-of-turn.ts";
import type { Target } from "./target.ts";

export interface LinkEvents {
  linkConnected(): void;
  /** The first `length` bytes of `buffer`, valid during this call only. False: stop reading until `resumeReading`. */
  linkBytes(buffer: Buffer, length: number): boolean;
  linkDrained(): void;
  /** The target takes nothing more, but what it sent before may still be read. */
  linkWriteFailed(error: NodeJS.ErrnoException): void;
  /** The target sent its FIN. */
  linkEnded(): void;
  /** Once, last; with the error that closed it, or null. */
  linkClosed(error: NodeJS.ErrnoException | null): void;
}

export interface LinkOptions {
  /** PEM certificates to believe instead of the system's; null for the system's. */
  readonly certificateAuthorities: readonly string[] | null;
  /** The socket shall be handed over later (an upgrade): it is read by events, because a socket with `onread` has no "data" and no `pipe`. */
  readonly detachable: boolean;
}

/** Of all groups together: they leave in a row. */
const REQUESTS = new EndOfTurn<Link>();

export class Link implements WireReceiver, Flushable {
  readonly #socket: Socket;
  readonly #events: LinkEvents;
  #detached = false;
  #waiting = "";

  constructor(target: Target, events: LinkEvents, options: LinkOptions) {
    this.#events = events;
    // Half-open, because a tunnel may be closed one direction at a time; everyone else destroys at its end.
    const common: TcpNetConnectOpts = {
      host: target.host,
      port: target.port,
      noDelay: true,
      keepAlive: true,
      allowHalfOpen: true,
      ...(target.lookup ? { lookup: target.lookup } : {}),
    };
    if (target.scheme === "https") {
      this.#socket = readByEvents(connectTls({ ...common, ...tlsOptions(target, options) }), this);
      this.#socket.once("secureConnect", () => events.linkConnected());
    } else if (options.detachable) {
      this.#socket = readByEvents(connectPlain(common), this);
      this.#socket.once("connect", () => events.linkConnected());
    } else {
      this.#socket = connectSocket(common, this);
    }
    if (!options.detachable) this.#surviveWriteErrors();
  }

  /** At the end of this turn, with the requests of others. Strings are bytes (Latin-1). */
  writeSoon(latin1: string): void {
    if (this.#waiting === "") REQUESTS.add(this);
    this.#waiting += latin1;
  }

  flush(): void {
    const waiting = this.#waiting;
    this.#waiting = "";
    if (waiting !== "" && !this.#socket.destroyed) this.#socket.write(waiting, "latin1");
  }

  /** Strings are bytes (Latin-1). False: `linkDrained` follows. */
  write(latin1: string): boolean {
    if (this.#waiting !== "") this.flush();
    return this.#socket.write(latin1, "latin1");
  }

  /** The bytes are the caller's again when this returns. */
  writeLent(bytes: Buffer): boolean {
    if (this.#waiting !== "") this.flush();
    return writeLent(this.#socket, bytes);
  }

  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  resumeReading(): void {
    resumeReading(this.#socket);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** The bare socket, paused, with `early` to be read first. Of the events only `linkClosed` still comes. */
  detach(early: Buffer | null): Socket {
    this.#detached = true;
    this.#socket.pause();
    if (early !== null && early.length > 0) this.#socket.unshift(early);
    return this.#socket;
  }

  onConnect(): void {
    this.#events.linkConnected();
  }

  onBytes(bytes: Buffer, length: number): boolean {
    return this.#detached || this.#events.linkBytes(bytes, length);
  }

  onEnd(): void {
    if (!this.#detached) this.#events.linkEnded();
  }

  onDrain(): void {
    if (!this.#detached) this.#events.linkDrained();
  }

  onClose(error: Error | null): void {
    this.#events.linkClosed(error);
  }

  /**
   * A socket destroys itself when a write fails. But a target that refuses an upload (413) answers, closes, and resets what still
   * comes: the answer lies in the receive buffer while the next write gets ECONNRESET. So the socket stays open until it is destroyed
   * here. `autoDestroy` is an option of every stream, which net.Socket overrides in its constructor.
   */
  #surviveWriteErrors(): void {
    const states = this.#socket as unknown as Record<"_readableState" | "_writableState", { autoDestroy: boolean }>;
    states._readableState.autoDestroy = false;
    states._writableState.autoDestroy = false;
    this.#socket.on("error", (error) => {
      if (!this.#socket.destroyed) this.#events.linkWriteFailed(error);
    });
  }
}

function tlsOptions(target: Target, options: LinkOptions): { servername: string; ALPNProtocols: string[]; ca?: string[] } {
  return {
    // An address is no server name (RFC 6066 section 3).
    servername: target.lookup === null ? "" : target.host,
    ALPNProtocols: ["http/1.1"],
    ...(options.certificateAuthorities ? { ca: [...options.certificateAuthorities] } : {}),
  };
}
