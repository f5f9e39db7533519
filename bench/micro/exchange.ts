/**
 * What an exchange costs on the client's side of the core, without kernel and network: front (bytes of a request to the bytes of its answer), what is
 * believed of a client and told an origin, and what is counted and logged.
 * Run: node --conditions=sluice-source bench/micro/exchange.ts
 */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { bench, do_not_optimize, group, run } from "mitata";
import { systemClock } from "../../runtime/clock.ts";
import { resolveConfig } from "../../runtime/config/config.ts";
import { createObserver, type ExchangeRecord } from "../../runtime/observe/observe.ts";
import type { ConnectionFacts } from "../../runtime/proxy/exchange.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import { addForwarded, receive, TrustedProxies } from "../../runtime/proxy/forwarded.ts";
import { createHttp1Front } from "../../runtime/proxy/http1/front.ts";

const REQUEST =
  "GET /products/12?x=1 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n" +
  "Accept: text/html,application/xhtml+xml\r\nAccept-Encoding: gzip, deflate, br\r\nCookie: sid=abcdef0123456789\r\n\r\n";
const BODY = "x".repeat(930);

/** A socket without a system behind it: what is written is gone. */
class NoSocket extends Duplex {
  remoteAddress = "203.0.113.7";
  remotePort = 40_000;
  localAddress = "192.0.2.1";
  localPort = 80;
  writes = 0;
  override _read(): void {}
  override _write(_bytes: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.writes++;
    done();
  }
}

const config = resolveConfig({ upstreams: { site: { targets: ["http://127.0.0.1:9001"] } } }, { baseDir: import.meta.dirname, file: "" });
const ANSWER = ["content-type", "text/html", "cache-control", "max-age=60", "etag", '"abc"', "x-request-id", "1-1", "sluice-release", "000000000000"];

function connected(): NoSocket {
  const front = createHttp1Front({
    limits: config.limits,
    clock: systemClock,
    scheme: "http",
    connectionId: () => "0.1",
    onExchange: (exchange) => exchange.reply(200, new Fields(ANSWER), BODY),
    onRefused: (error) => {
      throw error;
    },
  });
  const socket = new NoSocket();
  front.accept(socket as unknown as Socket);
  return socket;
}

const socket = connected();
const bytes = Buffer.from(REQUEST);
const others = Array.from({ length: 1_024 }, (_, i) => Buffer.from(REQUEST.replace("abcdef", `abc${i}`)));
let next = 0;
socket.emit("data", bytes);
if (socket.writes !== 1) throw new Error(`expected one write for an answer, found ${socket.writes}`);

group("front: a request of five fields, answered with 930 bytes in one write", () => {
  bench("the same fields again", () => void socket.emit("data", bytes));
  bench("fields that the connection has not had", () => void socket.emit("data", others[next++ & 1_023]!));
});

const stranger: ConnectionFacts = { id: "0.1", remoteAddress: "203.0.113.7", remotePort: 40_000, localAddress: "192.0.2.1", localPort: 80, scheme: "http" };
const nobody = new TrustedProxies([]);
const received = ["user-agent", "bench", "accept", "*/*", "accept-encoding", "gzip, br", "cookie", "sid=abcdef0123456789", "x-forwarded-for", "6.6.6.6"];
group("forwarded", () => {
  bench("receive: a stranger with a claim", () => do_not_optimize(receive(new Fields(received.slice()), stranger, nobody)));
  bench("addForwarded: a copy for the origin", () => {
    const fields = new Fields(received.slice());
    addForwarded(fields, { address: "203.0.113.7", scheme: "http", trusted: false }, "203.0.113.7", "shop.example.com", "1.1", "1-1");
    return do_not_optimize(fields);
  });
});

const record: ExchangeRecord = {
  id: "5f3c-1a",
  startMs: 1_767_225_600_000,
  clientAddress: "203.0.113.7",
  scheme: "http",
  httpVersion: "1.1",
  method: "GET",
  host: "shop.example.com",
  target: "/products/12?x=1",
  status: 200,
  code: "",
  detail: "",
  from: "upstream",
  route: 0,
  upstream: "site",
  upstreamTarget: "http://127.0.0.1:9001",
  release: "000000000000",
  beside: "",
  rule: "",
  variants: "",
  durationMs: 1.2,
  upstreamMs: 0.8,
  receivedBytes: 0,
  sentBytes: 930,
  completed: true,
  userAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
};
const sink = { dropped: 0, write: () => undefined, flushSync: () => undefined };
const now = (): number => performance.now();
group("observe: an exchange is over", () => {
  const quiet = createObserver({ log: resolveConfig({ ...site(), log: { access: "off" } }, { baseDir: "/", file: "" }).log, sink, now });
  const logging = createObserver({ log: resolveConfig({ ...site(), log: { access: "all" } }, { baseDir: "/", file: "" }).log, sink, now });
  bench("counted", () => quiet.exchange(record));
  bench("counted and logged", () => logging.exchange(record));
});

function site(): { upstreams: { site: { targets: string[] } } } {
  return { upstreams: { site: { targets: ["http://127.0.0.1:9001"] } } };
}
await run();
