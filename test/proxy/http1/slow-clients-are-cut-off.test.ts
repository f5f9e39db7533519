import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../../runtime/clock.ts";
import type { GatewayError } from "../../../runtime/errors.ts";
import type { Exchange } from "../../../runtime/proxy/exchange.ts";
import { Fields } from "../../../runtime/proxy/fields.ts";
import { ask, INNOCENT, LIMITS, ok, startFront } from "./front-harness.ts";
import type { Harness, HarnessOptions } from "./front-harness.ts";

async function start(options: HarnessOptions = {}): Promise<{ harness: Harness; clock: ManualClock; settle: () => Promise<void> }> {
  const clock = new ManualClock();
  const harness = await startFront({ clock, ...options });
  // Whatever another connection sent before this has been read when this has been answered.
  const settle = async (): Promise<void> => {
    await ask(harness, INNOCENT);
    await ask(harness, INNOCENT);
  };
  return { harness, clock, settle };
}
const POST = "POST /up HTTP/1.1\r\nHost: a\r\n";
const isInnocent = (exchange: Exchange): boolean => exchange.target === "/innocent";

test("a head that trickles in is answered 408 when its time is over, however busily it trickles", async () => {
  const { harness, clock, settle } = await start();
  const client = await harness.connect();
  client.send("GET / HTTP/1.1\r\n");
  await settle();
  for (let i = 0; i < 9; i++) {
    clock.advance(1000);
    client.send(`X-${i}: 1\r\n`);
    await settle();
    assert.equal(client.received, "");
  }
  clock.advance(1000);
  const received = await client.whole();
  assert.match(received, /^HTTP\/1\.1 408 Request Timeout\r\n/);
  assert.match(received, /sluice-error: REQUEST_TIMEOUT/);
  await harness.close();
});

test("a connection that never says anything is closed without an answer", async () => {
  const { harness, clock, settle } = await start();
  const client = await harness.connect();
  await settle();
  clock.advance(LIMITS.headTimeoutMs);
  assert.equal(await client.whole(), "");
  await harness.close();
});

test("an idle keep-alive connection is closed after its time, and not before", async () => {
  const { harness, clock } = await start({ onExchange: ok });
  const client = await harness.connect();
  client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
  await client.until((received) => received.endsWith("ok"));
  clock.advance(LIMITS.keepAliveMs - 1);
  client.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
  await client.until((received) => received.split("200 OK").length === 3);
  clock.advance(LIMITS.keepAliveMs);
  assert.equal((await client.whole()).split("200 OK").length, 3);
  await harness.close();
});

test("a body that stops is answered 408", async () => {
  const { harness, clock, settle } = await start();
  const client = await harness.connect();
  client.send(`${POST}Content-Length: 10\r\n\r\nhello`);
  await settle();
  clock.advance(LIMITS.bodyTimeoutMs - 1);
  client.send("x");
  await settle();
  assert.equal(client.received, "");
  clock.advance(LIMITS.bodyTimeoutMs);
  assert.match(await client.whole(), /^HTTP\/1\.1 408 /);
  await harness.close();
});

test("a body slower than the minimum rate is answered 408 although it never stops", async () => {
  const { harness, clock, settle } = await start();
  const client = await harness.connect();
  // A fast start buys no slow end.
  client.send(`${POST}Content-Length: 1000000\r\n\r\n${"x".repeat(100_000)}`);
  await settle();
  for (let waited = 0; waited < 2 * LIMITS.bodyTimeoutMs && client.received === ""; waited += 5000) {
    clock.advance(5000);
    client.send("x");
    await settle();
  }
  assert.match(await client.whole(), /^HTTP\/1\.1 408 /);
  await harness.close();
});

test("a body at the minimum rate goes on", async () => {
  const { harness, clock, settle } = await start();
  const client = await harness.connect();
  client.send(`${POST}Content-Length: 60000\r\n\r\n`);
  await settle();
  for (let sent = 0; sent < 60_000; sent += 6000) {
    client.send("x".repeat(6000));
    await settle();
    clock.advance(10_000);
  }
  await client.until((received) => received.startsWith("HTTP/1.1 200 "));
  await harness.close();
});

test("time in which the sink itself pauses does not count against the client", async () => {
  let body = 0;
  const whole = Promise.withResolvers<void>();
  const { harness, clock, settle } = await start({
    onExchange(exchange) {
      if (isInnocent(exchange)) return ok(exchange);
      exchange.body.read({
        chunk(bytes) {
          body += bytes.length;
          if (body === 10) whole.resolve();
          return false;
        },
        end: () => ok(exchange),
        error: (error: GatewayError) => exchange.reply(error.status, new Fields(), ""),
      });
    },
  });
  const client = await harness.connect();
  client.send(`${POST}Content-Length: 10\r\n\r\nhello`);
  const uploading = await harness.exchange(0);
  await settle();
  clock.advance(10 * LIMITS.bodyTimeoutMs);
  assert.equal(client.received, "");
  client.send("world");
  await settle();
  assert.equal(body, 5);
  uploading.body.resume();
  await whole.promise;
  uploading.body.resume();
  await client.until((received) => received.startsWith("HTTP/1.1 200 "));
  await harness.close();
});

/** Answers without end for as long as there is room. */
function flood(exchange: Exchange): void {
  if (isInnocent(exchange)) return ok(exchange);
  exchange.head(200, new Fields(), -1);
  const piece = Buffer.alloc(65536, "x");
  const pour = (): void => {
    for (let i = 0; i < 1000; i++) if (!exchange.out.chunk(piece)) return;
    setImmediate(pour);
  };
  exchange.out.onDrain = pour;
  pour();
}

test("a client that does not read its answer is cut off, and its source stays paused meanwhile", async () => {
  let sent = -1;
  const { harness, clock, settle } = await start({
    onExchange(exchange) {
      exchange.onComplete = (bytes, completed) => {
        if (!isInnocent(exchange)) sent = completed ? -2 : bytes;
      };
      flood(exchange);
    },
  });
  const client = await harness.connect();
  client.socket.pause();
  client.send("GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
  await harness.exchange(0);
  await settle();
  // What the system has taken so far may still move a little at first.
  for (let i = 0; i < 4; i++) {
    clock.advance(LIMITS.sendTimeoutMs);
    await settle();
  }
  await harness.front.idle();
  assert.ok(sent > 0 && sent < 64 << 20, `${sent} bytes`);
  await harness.close();
});

test("a client that asks and asks without reading stops being heard", async () => {
  const body = Buffer.alloc(1 << 20, "x");
  const { harness, clock, settle } = await start({ onExchange: (exchange) => (isInnocent(exchange) ? ok(exchange) : exchange.reply(200, new Fields(), body)) });
  const client = await harness.connect();
  client.socket.pause();
  client.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000));
  await harness.exchange(0);
  await settle();
  const served = harness.seen.filter((exchange) => !isInnocent(exchange)).length;
  assert.ok(served < 50, `${served} of 1000 served to a client that reads nothing`);
  for (let i = 0; i < 4; i++) {
    clock.advance(LIMITS.sendTimeoutMs);
    await settle();
  }
  await harness.front.idle();
  await harness.close();
});

test("a refused client that neither reads nor leaves is gone after the linger time", async () => {
  const { harness, clock, settle } = await start();
  const client = await harness.connect();
  client.send("nonsense\r\n\r\n");
  await client.until((received) => received.includes("REQUEST_MALFORMED"));
  await settle();
  assert.ok(harness.front.connections >= 1);
  clock.advance(2000);
  await harness.front.idle();
  await harness.close();
});
