/** Accepts connections for a front, within the limits on connections. */
import net from "node:net";
import type { LimitsConfig } from "../config/resolved.ts";
import { GatewayError } from "../errors.ts";
import { clientKey } from "./client-counts.ts";
import type { Http1Front } from "./http1/front.ts";

/** A listening socket that was inherited, or where to bind one. Port 0 asks the system for a free one. */
export type ListenAt = { readonly fd: number } | { readonly host: string; readonly port: number };

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

  const server = net.createServer({ noDelay: true, pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
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
  });

  const ready = new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      // Out of descriptors: libuv has shed the connection, and later ones may succeed.
      server.on("error", (error) =>
        onRefused(new GatewayError("TOO_MANY_CONNECTIONS", `accept failed: ${error.message}`, { cause: error }), {
          clientAddress: "",
          clientPort: 0,
          localPort: portOf(server),
        }),
      );
      resolve();
    });
  });
  // Beside a descriptor Node reads the backlog from the second argument only.
  if ("fd" in at) server.listen({ fd: at.fd }, BACKLOG);
  else server.listen({ host: at.host, port: at.port, backlog: BACKLOG });

  return {
    ready,
    get host() {
      const address = server.address();
      return typeof address === "object" && address !== null ? address.address : "";
    },
    get port() {
      return portOf(server);
    },
    get accepted() {
      return accepted;
    },
    stopAccepting: () => void server.close(),
  };
}

function portOf(server: net.Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
