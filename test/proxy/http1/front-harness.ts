/** A front on a real port, spoken to in raw bytes. */
import net from "node:net";
import { once } from "node:events";
import type { Clock } from "../../../runtime/clock.ts";
import { systemClock } from "../../../runtime/clock.ts";
import type { LimitsConfig } from "../../../runtime/config/resolved.ts";
import type { GatewayError } from "../../../runtime/errors.ts";
import type { Exchange } from "../../../runtime/proxy/exchange.ts";
import { Fields } from "../../../runtime/proxy/fields.ts";
import { createHttp1Front } from "../../../runtime/proxy/http1/front.ts";
import type { Http1Front } from "../../../runtime/proxy/http1/front.ts";
import { listen } from "../../../runtime/proxy/listener.ts";
import type { Listener } from "../../../runtime/proxy/listener.ts";

export const LIMITS: LimitsConfig = {
  targetBytes: 8192,
  headerLineBytes: 16384,
  headerBytes: 32768,
  headers: 100,
  bodyBytes: 100 << 20,
  ruleBodyBytes: 1 << 20,
  headTimeoutMs: 10_000,
  bodyTimeoutMs: 30_000,
  bodyMinBytesPerSecond: 500,
  keepAliveMs: 60_000,
  sendTimeoutMs: 30_000,
  connections: 10_000,
  connectionsPerClient: 1000,
  ruleCpuMs: 50,
  ruleWallMs: 5000,
  ruleMemoryBytes: 64 << 20,
  ruleFetches: 16,
  ruleRecallBytes: 0,
  releaseBytes: 4 << 20,
  crossingBytes: 1 << 20,
  drainMs: 10_000,
  tunnelIdleMs: 3_600_000,
};

export interface Harness {
  readonly front: Http1Front;
  readonly listener: Listener;
  readonly port: number;
  readonly refused: GatewayError[];
  readonly seen: Exchange[];
  /** Resolves with the exchange number `index`, counted from 0. */
  exchange(index: number): Promise<Exchange>;
  /** Resolves with the refusal number `index`. */
  refusal(index: number): Promise<GatewayError>;
  connect(options?: Partial<net.TcpNetConnectOpts>): Promise<Client>;
  close(): Promise<void>;
}

export interface HarnessOptions {
  readonly limits?: Partial<LimitsConfig>;
  readonly clock?: Clock;
  readonly onExchange?: (exchange: Exchange) => void;
}

export async function startFront(options: HarnessOptions = {}): Promise<Harness> {
  const limits = { ...LIMITS, ...options.limits };
  const seen = new Arrivals<Exchange>();
  const refused = new Arrivals<GatewayError>();
  let connections = 0;
  const front = createHttp1Front({
    limits,
    clock: options.clock ?? systemClock,
    scheme: "http",
    connectionId: () => String(connections++),
    onExchange(exchange) {
      (options.onExchange ?? echo)(exchange);
      seen.add(exchange);
    },
    onRefused: (error) => refused.add(error),
  });
  const listener = listen({ host: "127.0.0.1", port: 0 }, front, { limits, onRefused: (error) => refused.add(error) });
  await listener.ready;
  const { port } = listener;
  const clients = new Set<Client>();
  return {
    front,
    listener,
    port,
    seen: seen.list,
    refused: refused.list,
    exchange: (index) => seen.at(index),
    refusal: (index) => refused.at(index),
    async connect(more = {}) {
      const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true, ...more });
      const client = new Client(socket);
      clients.add(client);
      await once(socket, "connect");
      return client;
    },
    async close() {
      for (const client of clients) client.socket.destroy();
      listener.stopAccepting();
      front.closeAll();
      await front.idle();
    },
  };
}

class Arrivals<T> {
  readonly list: T[] = [];
  #waiting: { index: number; resolve: (item: T) => void }[] = [];
  add(item: T): void {
    this.list.push(item);
    for (const { index, resolve } of this.#waiting) if (index === this.list.length - 1) resolve(item);
  }
  at(index: number): Promise<T> {
    const item = this.list[index];
    if (item !== undefined) return Promise.resolve(item);
    return new Promise((resolve) => this.#waiting.push({ index, resolve }));
  }
}

/** Reads the whole body, then answers with what came, one fact a line. */
export function echo(exchange: Exchange): void {
  const pieces: Buffer[] = [];
  exchange.body.read({
    chunk(bytes) {
      pieces.push(Buffer.from(bytes));
      return true;
    },
    end(trailers) {
      const body = Buffer.concat(pieces).toString("latin1");
      const facts = {
        method: exchange.method,
        target: exchange.target,
        authority: exchange.authority,
        version: exchange.version,
        fields: exchange.fields.list,
        body,
        trailers: trailers?.list ?? null,
      };
      exchange.reply(200, Fields.of(["content-type", "application/json"]), JSON.stringify(facts));
    },
    error(error) {
      if (error.status > 0) exchange.reply(error.status, Fields.of(["sluice-error", error.code]), `${error.code}\n`);
    },
  });
}

export const ok = (exchange: Exchange): void => exchange.reply(200, new Fields(), "ok");

/** A raw client that remembers everything it got. */
export class Client {
  readonly socket: net.Socket;
  received = "";
  ended = false;
  error: NodeJS.ErrnoException | null = null;
  #watchers: (() => void)[] = [];

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on("data", (bytes: Buffer) => {
      this.received += bytes.toString("latin1");
      this.#changed();
    });
    socket.on("end", () => {
      this.ended = true;
      this.#changed();
    });
    socket.on("error", (error) => (this.error = error));
    socket.on("close", () => {
      this.ended = true;
      this.#changed();
    });
  }
  send(text: string | Buffer): void {
    if (typeof text === "string") this.socket.write(text, "latin1");
    else this.socket.write(text);
  }
  /** Waits until `holds` is true of what was received. */
  async until(holds: (received: string) => boolean): Promise<string> {
    while (!holds(this.received)) {
      if (this.ended) throw new Error(`the connection ended after ${JSON.stringify(this.received)}`);
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
    return this.received;
  }
  /** Waits for the end of the stream and gives everything. */
  async whole(): Promise<string> {
    while (!this.ended) await new Promise<void>((resolve) => this.#watchers.push(resolve));
    return this.received;
  }
  #changed(): void {
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const watcher of watchers) watcher();
  }
}

/** One request on a connection of its own, the client's half closed only when `halfClose`; everything that comes back. */
export async function ask(harness: Harness, text: string | Buffer, halfClose = false): Promise<string> {
  const client = await harness.connect();
  client.send(text);
  if (halfClose) client.socket.end();
  const whole = await client.whole();
  client.socket.destroy();
  return whole;
}

export const INNOCENT = "GET /innocent HTTP/1.1\r\nHost: good.example\r\nConnection: close\r\n\r\n";

/** Splits what came back into status and body of each response; only for responses with Content-Length. */
export function responses(received: string): { status: number; head: string; body: string }[] {
  const found: { status: number; head: string; body: string }[] = [];
  let rest = received;
  while (rest !== "") {
    const end = rest.indexOf("\r\n\r\n");
    const head = rest.slice(0, end + 2);
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
    const length = Number(/\r\ncontent-length: (\d+)\r\n/.exec(head)?.[1] ?? "0");
    found.push({ status, head, body: rest.slice(end + 4, end + 4 + length) });
    rest = rest.slice(end + 4 + length);
  }
  return found;
}
