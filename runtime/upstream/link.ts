/** One socket to a target, plain or TLS, with the differences between the two ways of reading hidden. */
import { connect as connectPlain } from "node:net";
import type { Socket, SocketConstructorOpts, TcpNetConnectOpts } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Target } from "./target.ts";

/**
 * All plain links read into one buffer: whoever gets the bytes copies what outlives the callback. It is as large as
 * libuv's own reads, so that a response of that size arrives in one piece.
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(65_536);

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
  /** Certificates to believe beside the system's; null for the system's only. */
  readonly certificateAuthorities: readonly string[] | null;
  /** The socket shall be handed over later (an upgrade): it is read by events, because a socket with `onread` has no "data" and no `pipe`. */
  readonly detachable: boolean;
}

export class Link {
  readonly #socket: Socket;
  readonly #events: LinkEvents;
  #error: NodeJS.ErrnoException | null = null;
  readonly #onData = (bytes: Buffer): void => {
    if (!this.#events.linkBytes(bytes, bytes.length)) this.#socket.pause();
  };
  readonly #onEnd = (): void => this.#events.linkEnded();
  readonly #onDrain = (): void => this.#events.linkDrained();

  constructor(target: Target, events: LinkEvents, options: LinkOptions) {
    this.#events = events;
    // Half-open, because a tunnel may be closed one direction at a time; everyone else destroys on "end".
    const common: TcpNetConnectOpts & SocketConstructorOpts = { host: target.host, port: target.port, noDelay: true, keepAlive: true, allowHalfOpen: true, ...(target.lookup ? { lookup: target.lookup } : {}) };
    const tls = target.scheme === "https";
    if (tls) this.#socket = connectTls({ ...common, ...tlsOptions(target, options) });
    else if (options.detachable) this.#socket = connectPlain(common);
    else this.#socket = connectPlain({ ...common, onread: { buffer: READ_BUFFER, callback: (length, buffer) => events.linkBytes(buffer as Buffer, length) } });
    const socket = this.#socket;
    if (tls || options.detachable) socket.on("data", this.#onData);
    socket.once(tls ? "secureConnect" : "connect", () => events.linkConnected());
    socket.on("drain", this.#onDrain);
    socket.once("end", this.#onEnd);
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#error ??= error;
      if (!socket.destroyed) events.linkWriteFailed(error);
    });
    if (!options.detachable) surviveWriteErrors(socket);
    socket.once("close", () => events.linkClosed(this.#error));
  }

  /** Strings are bytes (Latin-1). False: `linkDrained` follows. */
  write(data: string | Buffer): boolean {
    return typeof data === "string" ? this.#socket.write(data, "latin1") : this.#socket.write(data);
  }

  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** The bare socket, paused, with `early` to be read first. `linkClosed` still comes; nothing else does. */
  detach(early: Buffer | null): Socket {
    const socket = this.#socket;
    socket.pause();
    socket.off("data", this.#onData);
    socket.off("end", this.#onEnd);
    socket.off("drain", this.#onDrain);
    if (early !== null && early.length > 0) socket.unshift(early);
    return socket;
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

/**
 * A socket destroys itself when a write fails. But a target that refuses an upload (413) answers, closes, and resets what still
 * comes: the answer lies in the receive buffer while the next write gets EPIPE. So the socket stays open until it is destroyed here.
 * `autoDestroy` is an option of every stream, which net.Socket overrides in its constructor.
 */
function surviveWriteErrors(socket: Socket): void {
  const states = socket as unknown as Record<"_readableState" | "_writableState", { autoDestroy: boolean } | undefined>;
  if (states._readableState) states._readableState.autoDestroy = false;
  if (states._writableState) states._writableState.autoDestroy = false;
}
