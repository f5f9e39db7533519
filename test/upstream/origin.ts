/** Origins made of plain sockets, so that each test decides about every byte; and small parts for requests and answers. */
import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { UpstreamConfig } from "../../runtime/config/resolved.ts";
import { type Clock, systemClock } from "../../runtime/clock.ts";
import { asGatewayError, type GatewayError } from "../../runtime/errors.ts";
import { type BodySink, type BodySource, bodyOf, NO_BODY, type UpstreamRequest } from "../../runtime/proxy/exchange.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import { createUpstreams, type UpstreamsOptions } from "../../runtime/upstream/groups.ts";
import type { TargetEvent, Upstreams } from "../../runtime/upstream/upstreams.ts";

export const WIRE = { targetBytes: 8_192, headerLineBytes: 16_384, headerBytes: 32_768, headers: 100 };

/** One accepted connection of a scripted origin. */
export class OriginConnection {
  readonly socket: Socket;
  readonly number: number;
  received = "";
  readonly closed: Promise<void>;
  #wake: () => void = () => undefined;

  constructor(socket: Socket, number: number) {
    this.socket = socket;
    this.number = number;
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
    socket.on("error", (error: NodeJS.ErrnoException) => assertExpected(error));
    socket.on("data", (bytes) => {
      this.received += bytes.toString("latin1");
      this.#wake();
    });
  }

  /** Waits until `text` came and takes everything up to and with it. */
  async take(text: string): Promise<string> {
    for (;;) {
      const at = this.received.indexOf(text);
      if (at >= 0) {
        const taken = this.received.slice(0, at + text.length);
        this.received = this.received.slice(at + text.length);
        return taken;
      }
      if (this.socket.destroyed) throw new Error(`closed while waiting for ${JSON.stringify(text)}; got ${JSON.stringify(this.received)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.socket.once("close", () => resolve());
      });
    }
  }

  /** The next request's head. */
  head(): Promise<string> {
    return this.take("\r\n\r\n");
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }
}

function assertExpected(error: NodeJS.ErrnoException): void {
  if (error.code !== "ECONNRESET" && error.code !== "EPIPE") throw error;
}

export interface Origin extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly connections: OriginConnection[];
}

/** Listens on a free port and runs `script` for each connection; a script that throws fails the test through `unhandledRejection`. */
export async function origin(script: (connection: OriginConnection) => Promise<void> | void, { allowHalfOpen = false } = {}): Promise<Origin> {
  const connections: OriginConnection[] = [];
  const server: Server = createServer({ noDelay: true, allowHalfOpen }, (socket) => {
    const connection = new OriginConnection(socket, connections.length);
    connections.push(connection);
    void Promise.resolve(script(connection));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    connections,
    async [Symbol.asyncDispose]() {
      for (const { socket } of connections) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** Answers every request on every connection with `answer(head, connection)`. */
export function answering(answer: (head: string, connection: OriginConnection) => string): (connection: OriginConnection) => Promise<void> {
  return async (connection) => {
    for (;;) {
      const head = await connection.head().catch(() => null);
      if (head === null) return;
      connection.send(answer(head, connection));
    }
  };
}

/** A port on 127.0.0.1 that refuses connections. */
export async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

export function upstreamOf(urls: readonly (string | { url: string; weight: number })[], overrides: Partial<UpstreamConfig> = {}): UpstreamConfig {
  const targets = urls.map((entry) => {
    const { url, weight } = typeof entry === "string" ? { url: entry, weight: 1 } : entry;
    const parsed = new URL(url);
    const scheme = parsed.protocol === "https:" ? ("https" as const) : ("http" as const);
    return { url, scheme, host: parsed.hostname, port: Number(parsed.port) || (scheme === "https" ? 443 : 80), weight };
  });
  return { name: "shop", targets, timeouts: { connectMs: 5_000, firstByteMs: 30_000, idleMs: 60_000 }, keepAliveMs: 30_000, maxConnections: 100, ...overrides };
}

export interface Rig extends Disposable {
  readonly upstreams: Upstreams;
  readonly warnings: string[];
  readonly events: TargetEvent[];
}

/** The room under test with one upstream, "shop". Closed when the test's scope ends. */
export function rig(config: UpstreamConfig, options: Partial<UpstreamsOptions> & { clock?: Clock } = {}): Rig {
  const warnings: string[] = [];
  const events: TargetEvent[] = [];
  const upstreams = createUpstreams({
    upstreams: { shop: config },
    wire: WIRE,
    clock: systemClock,
    warn: (text) => warnings.push(text),
    onTargetEvent: (event) => events.push(event),
    ...options,
  });
  return { upstreams, warnings, events, [Symbol.dispose]: () => upstreams.close() };
}

export function request(overrides: Partial<UpstreamRequest> = {}): UpstreamRequest {
  return {
    method: "GET",
    target: "/",
    authority: "shop.example.com",
    fields: new Fields(),
    body: NO_BODY,
    upgradeProtocol: "",
    pinnedTarget: "",
    onInformational: null,
    ...overrides,
  };
}

export interface ReadBody {
  readonly text: string;
  readonly trailers: Fields | null;
  readonly error: GatewayError | null;
}

/** Reads a body to its end or its break. */
export function readAll(source: BodySource): Promise<ReadBody> {
  return new Promise((resolve) => {
    let text = "";
    source.read({
      chunk(bytes) {
        text += bytes.toString("latin1");
        return true;
      },
      end: (trailers) => resolve({ text, trailers, error: null }),
      error: (error) => resolve({ text, trailers: null, error }),
    });
  });
}

/** The error with which a promise rejects. */
export async function failure(promise: Promise<unknown>): Promise<GatewayError> {
  const outcome = await promise.then(
    () => null,
    (thrown: unknown) => asGatewayError(thrown),
  );
  if (outcome === null) throw new Error("expected a failure, found an answer");
  return outcome;
}

/** A body that the test feeds by hand. */
export class HandFedBody implements BodySource {
  readonly length: number;
  sink: BodySink | null = null;
  cancelled = false;
  paused = 0;
  resumed = 0;
  readonly begun: Promise<BodySink>;
  readonly ended: Promise<void>;
  #begin: (sink: BodySink) => void = () => undefined;
  #end: () => void = () => undefined;

  constructor(length: number) {
    this.length = length;
    this.begun = new Promise((resolve) => (this.#begin = resolve));
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }
  read(sink: BodySink): void {
    this.sink = sink;
    this.#begin(sink);
  }
  pause(): void {
    this.paused++;
  }
  resume(): void {
    this.resumed++;
  }
  cancel(): void {
    this.cancelled = true;
    this.sink = null;
    this.#end();
  }
}

export function textBody(text: string): BodySource {
  return bodyOf(Buffer.from(text, "latin1"));
}

/** Resolves when `holds` does; looked at after each turn of the event loop. The test runner's own limit ends an endless wait. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
