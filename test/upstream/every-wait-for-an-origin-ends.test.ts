import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../runtime/clock.ts";
import type { BodySink } from "../../runtime/proxy/exchange.ts";
import { failure, HandFedBody, origin, type OriginConnection, readAll, request, rig, until, upstreamOf } from "./origin.ts";

const TIMEOUTS = { connectMs: 1_000, firstByteMs: 30_000, idleMs: 60_000 };

/** An origin that leaves every byte to the test. */
async function stage() {
  const clock = new ManualClock();
  const scripted = await origin(() => undefined);
  const room = rig(upstreamOf([scripted.url], { timeouts: TIMEOUTS }), { clock });
  const connection = async (): Promise<OriginConnection> => {
    await until(() => scripted.connections.length > 0);
    return scripted.connections[0]!;
  };
  return {
    clock,
    room,
    connection,
    status: () => room.upstreams.status()[0]!,
    async [Symbol.asyncDispose]() {
      room[Symbol.dispose]();
      await scripted[Symbol.asyncDispose]();
    },
  };
}

test("no head within firstByte is UPSTREAM_TIMEOUT, counted from the request's last byte", async () => {
  await using s = await stage();
  const sending = failure(s.room.upstreams.send("shop", request(), null));
  const connection = await s.connection();
  await connection.head();
  s.clock.advance(29_999);
  assert.equal(s.status().active, 1);
  s.clock.advance(1);
  assert.equal((await sending).code, "UPSTREAM_TIMEOUT");
  assert.equal(s.status().active, 0);
  await connection.closed;
});

test("half a head does not buy time", async () => {
  await using s = await stage();
  const sending = failure(s.room.upstreams.send("shop", request(), null));
  const connection = await s.connection();
  await connection.head();
  s.clock.advance(20_000);
  connection.send("HTTP/1.1 200 OK\r\nx-slow");
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  s.clock.advance(10_000);
  const error = await sending;
  assert.equal(error.code, "UPSTREAM_TIMEOUT");
});

test("an informational response does", async () => {
  await using s = await stage();
  let hints = 0;
  const sending = s.room.upstreams.send("shop", request({ onInformational: () => hints++ }), null);
  const connection = await s.connection();
  await connection.head();
  s.clock.advance(20_000);
  connection.send("HTTP/1.1 102 Processing\r\n\r\n");
  await until(() => hints === 1);
  s.clock.advance(20_000);
  connection.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  assert.equal((await sending).status, 200);
});

test("silence in the middle of a body for idle is UPSTREAM_IDLE_TIMEOUT", async () => {
  await using s = await stage();
  const sending = s.room.upstreams.send("shop", request(), null);
  const connection = await s.connection();
  await connection.head();
  connection.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n");
  const { body } = await sending;
  let got = "";
  const broken = new Promise<string>((resolve) => {
    body.read({ chunk: (bytes) => ((got += bytes.toString("latin1")), true), end: () => assert.fail("the body ended"), error: (error) => resolve(error.code) });
  });
  s.clock.advance(59_000);
  connection.send("abc");
  await until(() => got === "abc");
  s.clock.advance(59_000);
  assert.equal(s.status().active, 1, "each piece begins a new wait");
  s.clock.advance(1_000);
  assert.equal(await broken, "UPSTREAM_IDLE_TIMEOUT");
  await connection.closed;
});

test("a reader that pauses is no silence of the origin's", async () => {
  await using s = await stage();
  const sending = s.room.upstreams.send("shop", request(), null);
  const connection = await s.connection();
  await connection.head();
  connection.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
  const { body } = await sending;
  s.clock.advance(600_000);
  let text = "";
  let ended = false;
  body.read({ chunk: (bytes) => ((text += bytes.toString("latin1")), false), end: () => (ended = true), error: assert.fail });
  await until(() => text === "abc");
  s.clock.advance(600_000);
  assert.equal(s.status().active, 1);
  body.resume();
  connection.send("0\r\n\r\n");
  await until(() => ended);
});

test("a slow client's upload does not use up the origin's time; the origin's silence behind its end does", async () => {
  await using s = await stage();
  const body = new HandFedBody(6);
  const sending = failure(s.room.upstreams.send("shop", request({ method: "POST", body }), null));
  const sink: BodySink = await body.begun;
  sink.chunk(Buffer.from("abc"));
  s.clock.advance(600_000);
  assert.equal(s.status().active, 1);
  sink.chunk(Buffer.from("def"));
  sink.end(null);
  s.clock.advance(29_999);
  assert.equal(s.status().active, 1);
  s.clock.advance(1);
  assert.equal((await sending).code, "UPSTREAM_TIMEOUT");
});

test("an origin that stops taking the upload is UPSTREAM_TIMEOUT", async () => {
  await using s = await stage();
  const body = new HandFedBody(-1);
  const sending = failure(s.room.upstreams.send("shop", request({ method: "POST", body }), null));
  const sink = await body.begun;
  const connection = await s.connection();
  connection.socket.pause();
  const piece = Buffer.alloc(1 << 20);
  while (sink.chunk(piece));
  s.clock.advance(30_000);
  const error = await sending;
  assert.equal(error.code, "UPSTREAM_TIMEOUT");
  assert.match(error.detail, /not taken/);
  assert.ok(body.cancelled);
});

test("an upload whose last piece had to wait for the origin does not take its time-out away", async () => {
  await using s = await stage();
  const body = new HandFedBody(8 << 20);
  const sending = failure(s.room.upstreams.send("shop", request({ method: "POST", body }), null));
  const sink = await body.begun;
  assert.equal(sink.chunk(Buffer.alloc(8 << 20)), false);
  sink.end(null);
  const connection = await s.connection();
  let received = 0;
  connection.socket.on("data", (bytes: Buffer) => (received += bytes.length));
  await until(() => received >= 8 << 20);
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  s.clock.advance(30_000);
  assert.equal((await sending).code, "UPSTREAM_TIMEOUT");
});

test("deadlines follow each other on one kept connection without leaving timers behind", async () => {
  await using s = await stage();
  for (let i = 0; i < 5; i++) {
    const sending = s.room.upstreams.send("shop", request(), null);
    const connection = await s.connection();
    await connection.head();
    s.clock.advance(20_000);
    connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    assert.equal((await readAll((await sending).body)).text, "ok");
    s.clock.advance(20_000);
    assert.deepEqual([s.status().active, s.status().idle], [0, 1]);
  }
  s.clock.advance(10_000);
  assert.equal(s.status().idle, 0);
});
