import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { ManualClock } from "../../../runtime/clock.ts";
import type { GatewayError } from "../../../runtime/errors.ts";
import { GatewayError as Failure } from "../../../runtime/errors.ts";
import type { BodySink, Exchange } from "../../../runtime/proxy/exchange.ts";
import { Fields } from "../../../runtime/proxy/fields.ts";
import { ask, INNOCENT, ok, responses, startFront } from "./front-harness.ts";

const EXPECTING = "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

function collect(exchange: Exchange, done: (body: string) => void): void {
  let body = "";
  exchange.body.read({ chunk: (bytes) => ((body += bytes.toString("latin1")), true), end: () => done(body), error: () => done("broken") });
}

test("100 (Continue) is sent when the body is first read, and not before", async () => {
  const harness = await startFront({ onExchange: () => undefined });
  const client = await harness.connect();
  client.send(EXPECTING);
  const exchange = await harness.exchange(0);
  assert.equal(client.received, "");
  collect(exchange, (body) => exchange.reply(200, new Fields(), body));
  await client.until((received) => received === "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("hello");
  await client.until((received) => received.endsWith("hello"));
  client.send(INNOCENT);
  await harness.exchange(1).then(ok);
  assert.match(await client.whole(), /ok$/);
  await harness.close();
});

test("a client that expects 100 and gets a final answer instead is closed, because nobody knows whether its body follows", async () => {
  const harness = await startFront({ onExchange: (exchange) => exchange.reply(403, new Fields(), "no") });
  const received = await ask(harness, `${EXPECTING}${INNOCENT}`);
  assert.match(received, /^HTTP\/1\.1 403 Forbidden\r\n/);
  assert.match(received, /connection: close/);
  assert.equal(harness.seen.length, 1);
  await harness.close();
});

test("no 100 goes to a client that has begun to send its body", async () => {
  const harness = await startFront({ onExchange: (exchange) => setImmediate(() => collect(exchange, (body) => exchange.reply(200, new Fields(), body))) });
  const client = await harness.connect();
  client.send(`${EXPECTING}hello${INNOCENT}`);
  await client.until((received) => received.endsWith("hello"));
  assert.match(client.received, /^HTTP\/1\.1 200 /);
  await harness.close();
});

test("an early answer keeps the connection when the unread body is small, and the body is not taken for a request", async () => {
  const harness = await startFront({ onExchange: ok });
  const client = await harness.connect();
  client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
  await client.until((received) => received.endsWith("ok"));
  client.send(`${"x".repeat(25)}${INNOCENT}`);
  assert.equal(responses(await client.whole()).length, 2);
  assert.deepEqual(
    harness.seen.map((exchange) => exchange.target),
    ["/", "/innocent"],
  );
  await harness.close();
});

test("an early answer to a large upload arrives although the client is still sending", async () => {
  const harness = await startFront({ onExchange: (exchange) => exchange.reply(413, new Fields(), "too much") });
  const client = await harness.connect();
  client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 800000\r\n\r\n`);
  client.send(Buffer.alloc(800_000, "x"));
  const received = await client.whole();
  assert.match(received, /^HTTP\/1\.1 413 [^]*connection: close\r\n\r\ntoo much$/);
  assert.equal(client.error, null);
  await harness.close();
});

test("a chunked body above the limit breaks off at its sink, which can still answer", async () => {
  const harness = await startFront({
    limits: { bodyBytes: 1000 },
    onExchange: (exchange) =>
      exchange.body.read({
        chunk: () => true,
        end: () => ok(exchange),
        error: (error: GatewayError) => exchange.reply(error.status, new Fields(), error.code),
      }),
  });
  const received = await ask(harness, `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${`64\r\n${"x".repeat(100)}\r\n`.repeat(11)}`);
  assert.match(received, /^HTTP\/1\.1 413 [^]*connection: close\r\n\r\nBODY_TOO_LARGE$/);
  await harness.close();
});

test("a client that leaves within its upload breaks the body off and ends the exchange", async () => {
  const events: string[] = [];
  const harness = await startFront({
    onExchange(exchange) {
      exchange.onClientGone = () => events.push("gone");
      exchange.onComplete = (bytes, completed) => events.push(`complete ${bytes} ${completed}`);
      exchange.body.read({ chunk: () => true, end: () => events.push("end"), error: (error) => events.push(error.code) });
    },
  });
  const client = await harness.connect();
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nhello");
  await harness.exchange(0);
  client.socket.end();
  await client.whole();
  assert.deepEqual(events, ["CLIENT_CLOSED", "gone", "complete 0 false"]);
  // Whatever comes afterwards does nothing.
  harness.seen[0]!.reply(200, new Fields(), "late");
  harness.seen[0]!.abort(new Failure("INTERNAL", "late"));
  assert.equal(events.length, 3);
  await harness.close();
});

test("a client that resets while it waits is noticed", async () => {
  const harness = await startFront({ onExchange: () => undefined });
  const client = await harness.connect();
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const exchange = await harness.exchange(0);
  const gone = new Promise<void>((resolve) => (exchange.onClientGone = resolve));
  client.socket.resetAndDestroy();
  await gone;
  await harness.close();
});

test("a client that closes while it waits is noticed, too, and one that only half-closes is not mistaken for it", async () => {
  const clock = new ManualClock();
  const harness = await startFront({ clock, onExchange: (exchange) => (exchange.target === "/innocent" ? ok(exchange) : undefined) });
  const leaving = await harness.connect();
  leaving.send("GET /leaving HTTP/1.1\r\nHost: a\r\n\r\n");
  const left = await harness.exchange(0);
  const gone = new Promise<void>((resolve) => (left.onClientGone = resolve));
  const waiting = await harness.connect();
  waiting.send("GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n");
  const held = await harness.exchange(1);
  leaving.socket.destroy();
  waiting.socket.end();
  for (let i = 0; i < 3; i++) {
    await ask(harness, INNOCENT);
    clock.advance(250);
  }
  await gone;
  held.reply(200, new Fields(), "still here");
  assert.match(await waiting.whole(), /^(?:HTTP\/1\.1 102 Processing\r\n\r\n)+HTTP\/1\.1 200 OK\r\n[^]*still here$/);
  await harness.close();
});

/** Takes what it is given and gives it back, pausing whenever the other side is slow. */
function mirror(exchange: Exchange): void {
  exchange.head(200, new Fields(), exchange.body.length);
  const { out, body } = exchange;
  out.onDrain = () => body.resume();
  body.read({ chunk: (bytes) => out.chunk(bytes), end: (trailers) => out.end(trailers), error: (error) => out.error(error) });
}

for (const chunked of [false, true]) {
  test(`24 MiB ${chunked ? "chunked" : "by length"} go up and come down at once, byte-exact, with bounded memory`, async () => {
    const harness = await startFront({ onExchange: mirror });
    const client = await harness.connect();
    const size = 24 << 20;
    const piece = Buffer.allocUnsafe(1 << 20);
    for (let i = 0; i < piece.length; i++) piece[i] = (i * 31 + (i >> 8)) & 255;
    client.socket.removeAllListeners("data");
    const received = createHash("sha256");
    let head = Buffer.alloc(0);
    let bodyBytes = 0;
    const done = new Promise<void>((resolve) => {
      let inBody = false;
      let text = "";
      const body = (bytes: Buffer): void => {
        if (!chunked) {
          received.update(bytes);
          bodyBytes += bytes.length;
          if (bodyBytes === size) resolve();
        } else {
          text += bytes.toString("latin1");
          for (;;) {
            const end = text.indexOf("\r\n");
            if (end < 0) break;
            const length = parseInt(text.slice(0, end), 16);
            if (length === 0) return resolve();
            if (text.length < end + 4 + length) break;
            received.update(Buffer.from(text.slice(end + 2, end + 2 + length), "latin1"));
            bodyBytes += length;
            text = text.slice(end + 4 + length);
          }
        }
      };
      client.socket.on("data", (bytes: Buffer) => {
        if (inBody) return body(bytes);
        head = Buffer.concat([head, bytes]);
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return;
        inBody = true;
        body(head.subarray(end + 4));
      });
    });
    const sent = createHash("sha256");
    client.send(`POST / HTTP/1.1\r\nHost: a\r\n${chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${size}`}\r\n\r\n`);
    for (let i = 0; i < size / piece.length; i++) {
      sent.update(piece);
      if (chunked) client.send(`${piece.length.toString(16)}\r\n`);
      if (!client.socket.write(piece)) await new Promise((resolve) => client.socket.once("drain", resolve));
      if (chunked) client.send("\r\n");
    }
    if (chunked) client.send("0\r\n\r\n");
    await done;
    assert.equal(bodyBytes, size);
    assert.equal(received.digest("hex"), sent.digest("hex"));
    await harness.close();
  });
}

test("a body longer or shorter than declared breaks the connection instead of the framing", async () => {
  const harness = await startFront({
    onExchange(exchange) {
      exchange.head(200, new Fields(), 5);
      exchange.out.chunk(Buffer.from(exchange.target === "/long" ? "hello!" : "hell"));
      exchange.out.end(null);
    },
  });
  for (const target of ["/long", "/short"]) {
    const received = await ask(harness, `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n${INNOCENT}`);
    assert.ok(received.split("\r\n\r\n")[1] === undefined || received.split("\r\n\r\n")[1]!.length < 5, received);
  }
  assert.equal(harness.seen.length, 2);
  await harness.close();
});

test("a streamed response that breaks off never looks complete", async () => {
  const harness = await startFront({
    onExchange(exchange) {
      exchange.head(200, new Fields(), -1);
      exchange.out.chunk(Buffer.from("some"));
      setImmediate(() => setImmediate(() => exchange.abort(new Failure("UPSTREAM_RESET", "gone"))));
    },
  });
  const received = await ask(harness, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  assert.match(received, /4\r\nsome\r\n$/);
  const old = await harness.connect();
  old.send("GET / HTTP/1.0\r\n\r\n");
  await old.whole();
  assert.equal(old.error?.code, "ECONNRESET");
  await harness.close();
});

test("a response that breaks off in the turn in which it began still shows how far it came", async () => {
  const harness = await startFront({
    onExchange(exchange) {
      exchange.head(200, new Fields(), 10);
      exchange.out.chunk(Buffer.from("some"));
      exchange.abort(new Failure("UPSTREAM_RESET", "gone"));
    },
  });
  assert.match(await ask(harness, INNOCENT), /^HTTP\/1\.1 200 OK\r\n[^]*content-length: 10\r\n[^]*\r\n\r\nsome$/);
  await harness.close();
});

test("a head and its first piece of body leave in one write", async () => {
  const harness = await startFront({
    onExchange(exchange) {
      exchange.head(200, new Fields(), -1);
      // The piece comes in a later microtask of the same turn, as an upstream's does.
      void Promise.resolve().then(() => {
        exchange.out.chunk(Buffer.from("hello"));
        exchange.out.end(null);
      });
    },
  });
  const client = await harness.connect();
  let reads = 0;
  client.socket.on("data", () => reads++);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await client.until((received) => received.endsWith("0\r\n\r\n"));
  assert.equal(reads, 1);
  await harness.close();
});

test("a head without a body yet leaves within the turn", async () => {
  const harness = await startFront({ onExchange: (exchange) => exchange.head(200, new Fields(), -1) });
  const client = await harness.connect();
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await client.until((received) => received.endsWith("transfer-encoding: chunked\r\n\r\n"));
  await harness.close();
});

test("an upgrade becomes a tunnel both ways, early bytes included", async () => {
  const harness = await startFront({
    onExchange(exchange) {
      assert.equal(exchange.upgradeProtocol, "echo/1");
      const tunnel = exchange.upgrade(Fields.of(["x-a", "1"]));
      tunnel.on("data", (bytes: Buffer) => tunnel.write(bytes));
      tunnel.on("end", () => tunnel.end("bye"));
    },
  });
  const client = await harness.connect();
  client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: Echo/1\r\n\r\nearly");
  assert.match(
    await client.until((received) => received.endsWith("early")),
    /^HTTP\/1\.1 101 Switching Protocols\r\nx-a: 1\r\nconnection: upgrade\r\nupgrade: echo\/1\r\n\r\nearly$/,
  );
  client.send("later");
  await client.until((received) => received.endsWith("later"));
  const big = "0123456789".repeat(200_000);
  client.send(big);
  await client.until((received) => received.endsWith(`later${big}`));
  client.socket.end();
  assert.match(await client.whole(), /bye$/);
  await harness.close();
});

test("an upgrade to h2c, or with a body, is served as if nobody had asked", async () => {
  const harness = await startFront({ onExchange: ok });
  for (const more of ["Upgrade: h2c\r\n", "Upgrade: websocket\r\nContent-Length: 1\r\n", "Upgrade: a, b\r\n", ""]) {
    const client = await harness.connect();
    client.send(`POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n${more}\r\nx`);
    await client.until((received) => received.includes("ok"));
    assert.equal(harness.seen.at(-1)!.upgradeProtocol, "");
    client.socket.destroy();
  }
  await harness.close();
});

test("a sink that cancels its body is not called again", async () => {
  let calls = 0;
  const harness = await startFront({
    onExchange(exchange) {
      const sink: BodySink = {
        chunk() {
          calls++;
          exchange.body.cancel();
          setImmediate(() => ok(exchange));
          return true;
        },
        end: () => calls++,
        error: () => calls++,
      };
      exchange.body.read(sink);
    },
  });
  await ask(harness, `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n${INNOCENT}`);
  assert.equal(calls, 1);
  await harness.close();
});
