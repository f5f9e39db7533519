/** Accepts connections for a front, within the limits on connections. */
import net from "node:net";
import type { LimitsConfig } from "../config/resolved.ts";
import { GatewayError } from "../errors.ts";
import { clientKey } from "./client-counts.ts";
import type { Http1Front } from "./http1/front.ts";

/** A listening socket that was inherited, by one or more descriptors, or where to bind one. Port 0 asks the system for a free one. */
export type ListenAt = { readonly fds: readonly number[] } | { readonly host: string; readonly port: number };

/**
 * Descriptors of each listening socket. libuv accepts one connection a turn by each: of a thousand that came together while a busy worker's turns
 * take 25 ms, half still waited after 2.4 s with one descriptor. Connections for one request each cost 74 µs of CPU with sixteen, 82 with one.
 */
export const ACCEPTS_PER_TURN = 16;

export interface ListenOptions {
  readonly limits: Pick<LimitsConfig, "connections" | "connectionsPerClient">;
  /** A connection was dropped without an answer (floods), or accepting failed (out of descriptors). Those answered with 503 are reported by the front. */
  readonly onRefused: (error: GatewayError, facts: AcceptFacts) => void;
}

export interface AcceptFacts {
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly localPort: number;
}

export interface Listener {
  /** Listening; rejects when the address cannot be bound. */
  readonly ready: Promise<void>;
  readonly host: string;
  readonly port: number;
  readonly accepted: number;
  /** Closes this process's copy of the listening socket. Others that inherited it go on, and so do connections already accepted. */
  stopAccepting(): void;
}

/** Connections that may wait to be accepted, if the system allows as many (`net.core.somaxconn`). Whom it has no room for tries again after a second. */
const BACKLOG = 4096;
/** Saying 503 costs a connection for as long as the client reads it. A flood beyond this many is dropped without a word. */
const TURNED_AWAY_AT_ONCE = 256;

export function listen(at: ListenAt, front: Http1Front, options: ListenOptions): Listener {
  let accepted = 0;
  let turnedAway = 0;
  const { limits, onRefused } = options;
  const left = (): void => void turnedAway--;

  const take = (socket: net.Socket): void => {
    accepted++;
    const key = clientKey(socket.remoteAddress ?? "");
    const all = front.connections - turnedAway >= limits.connections;
    if (!all && front.clients.of(key) < limits.connectionsPerClient) {
      front.clients.enter(key);
      front.accept(socket, () => front.clients.leave(key));
      return;
    }
    const error = new GatewayError(
      "TOO_MANY_CONNECTIONS",
      all ? `${limits.connections} connections are open` : `${key} has ${limits.connectionsPerClient} connections open`,
    );
    if (turnedAway < TURNED_AWAY_AT_ONCE) {
      turnedAway++;
      front.turnAway(socket, error, left);
    } else {
      onRefused(error, { clientAddress: socket.remoteAddress ?? "", clientPort: socket.remotePort ?? 0, localPort: socket.localPort ?? 0 });
      socket.resetAndDestroy();
    }
  };
  // Out of descriptors: libuv has shed the connection, and later ones may succeed.
  const failed = (error: Error): void =>
    onRefused(new GatewayError("TOO_MANY_CONNECTIONS", `accept failed: ${error.message}`, { cause: error }), {
      clientAddress: "",
      clientPort: 0,
      localPort: portOf(first!),
    });
  const open = (): net.Server => net.createServer({ noDelay: true, pauseOnConnect: true, allowHalfOpen: true }, take);
  // Beside a descriptor Node reads the backlog from the second argument only.
  const servers = "fds" in at ? at.fds.map((fd) => open().listen({ fd }, BACKLOG)) : [open().listen({ host: at.host, port: at.port, backlog: BACKLOG })];
  const [first] = servers;

  return {
    ready: Promise.all(servers.map((server) => listening(server, failed))).then(() => undefined),
    get host() {
      const address = first!.address();
      return typeof address === "object" && address !== null ? address.address : "";
    },
    get port() {
      return portOf(first!);
    },
    get accepted() {
      return accepted;
    },
    stopAccepting() {
      for (const server of servers) server.close();
    },
  };
}

/** Rejects when it cannot; what fails later is told to `failed`. */
function listening(server: net.Server, failed: (error: Error) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      server.on("error", failed);
      resolve();
    });
  });
}

function portOf(server: net.Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
