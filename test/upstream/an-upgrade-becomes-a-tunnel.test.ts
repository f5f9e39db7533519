import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { ManualClock } from "../../runtime/clock.ts";
import { tunnel } from "../../runtime/proxy/tunnel.ts";
import { failure, origin, readAll, request, rig, until, upstreamOf } from "./origin.ts";

const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: WebSocket\r\nsec-websocket-accept: abc\r\n\r\n";

/** Two ends of a real connection. */
async function pair(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const near = connect({ port: (server.address() as { port: number }).port, host: "127.0.0.1", allowHalfOpen: true });
  const [far] = (await once(server, "connection")) as [Socket];
  server.close();
  for (const socket of [near, far]) socket.on("error", (error: NodeJS.ErrnoException) => assert.equal(error.code, "ECONNRESET"));
  return [near, far];
}

test("101 gives the raw connection, with what came behind the head to be read first", async () => {
  await using echo = await origin(
    async (connection) => {
      assert.match(await connection.head(), /\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n$/);
      connection.send(`${SWITCH}early`);
      connection.send(`echo:${await connection.take("ping")}`);
      connection.socket.end();
    },
    { allowHalfOpen: true },
  );
  using room = rig(upstreamOf([echo.url]));
  const answer = await room.upstreams.send("shop", request({ upgradeProtocol: "websocket" }), null);
  assert.equal(answer.status, 101);
  assert.deepEqual(answer.fields.list, ["sec-websocket-accept", "abc"]);
  const raw = answer.tunnel!;
  let got = "";
  raw.on("data", (bytes: Buffer) => (got += bytes.toString("latin1")));
  raw.resume();
  await until(() => got === "early");
  raw.write("ping");
  await until(() => got === "earlyecho:ping");
  assert.equal(room.upstreams.status()[0]!.active, 1, "a tunnel counts as a connection");
  raw.end();
  await until(() => room.upstreams.status()[0]!.active === 0);
});

test("an upgrade that is declined is an ordinary answer on an ordinary connection", async () => {
  await using plain = await origin(async (connection) => {
    await connection.head();
    connection.send("HTTP/1.1 426 Upgrade Required\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\nno");
    await connection.head();
    connection.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n");
  });
  using room = rig(upstreamOf([plain.url]));
  const answer = await room.upstreams.send("shop", request({ upgradeProtocol: "websocket" }), null);
  assert.deepEqual([answer.status, answer.tunnel, (await readAll(answer.body)).text], [426, null, "no"]);
  assert.equal((await readAll((await room.upstreams.send("shop", request(), null)).body)).text, "yes");
  assert.equal(plain.connections.length, 1);
});

test("a switch to another protocol than the one asked for is refused", async () => {
  await using odd = await origin(async (connection) => {
    await connection.head();
    connection.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n");
  });
  using room = rig(upstreamOf([odd.url]));
  assert.equal((await failure(room.upstreams.send("shop", request({ upgradeProtocol: "websocket" }), null))).code, "UPSTREAM_MALFORMED");
  await odd.connections[0]!.closed;
});

test("an upgrade never goes out on a kept connection", async () => {
  await using good = await origin(async (connection) => {
    for (;;) {
      const head = await connection.head().catch(() => null);
      if (head === null) return;
      connection.send(head.includes("upgrade") ? SWITCH : "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    }
  });
  using room = rig(upstreamOf([good.url]));
  await room.upstreams.send("shop", request(), null);
  const answer = await room.upstreams.send("shop", request({ upgradeProtocol: "websocket" }), null);
  assert.equal(good.connections.length, 2);
  answer.tunnel!.destroy();
  await until(() => room.upstreams.status()[0]!.active === 0);
});

async function joined(clock = new ManualClock()) {
  const [client, a] = await pair();
  const [upstream, b] = await pair();
  const ended = new Promise<[number, number]>((resolve) => tunnel(a, b, { idleTimeoutMs: 60_000, clock, onEnd: (up, down) => resolve([up, down]) }));
  return { client, upstream, a, b, ended, clock };
}

test("a tunnel carries bytes both ways and counts them; each direction ends by itself", async () => {
  const { client, upstream, ended } = await joined();
  let up = "";
  let down = "";
  upstream.on("data", (bytes) => (up += bytes.toString()));
  client.on("data", (bytes) => (down += bytes.toString()));
  client.end("question");
  await once(upstream, "end");
  assert.equal(up, "question");
  upstream.end("a longer answer");
  await once(client, "end");
  assert.equal(down, "a longer answer");
  assert.deepEqual(await ended, [8, 15]);
});

for (const side of ["client", "upstream"] as const) {
  test(`a reset on the ${side}'s side destroys both ends`, async () => {
    const ends = await joined();
    const other = side === "client" ? ends.upstream : ends.client;
    other.resume();
    const told = once(other, "end");
    ends[side].resetAndDestroy();
    await Promise.all([ends.ended, told]);
    assert.ok(ends.a.destroyed && ends.b.destroyed);
  });
}

test("a tunnel that is silent for idleTimeout is closed; each byte begins a new wait", async () => {
  const { client, upstream, ended, clock, a } = await joined();
  client.resume();
  clock.advance(59_000);
  upstream.write("x");
  await once(client, "data");
  clock.advance(59_000);
  assert.ok(!a.destroyed);
  clock.advance(1_000);
  assert.ok(a.destroyed);
  await ended;
});

test("a side that takes nothing pauses the other", async () => {
  const taken: { piece: Buffer; done: () => void }[] = [];
  const slow = new Duplex({ read: () => undefined, write: (piece: Buffer, _encoding, done) => void taken.push({ piece, done }) });
  const fast = new Duplex({ read: () => undefined, write: (_piece, _encoding, done) => done() });
  tunnel(slow, fast, { idleTimeoutMs: 1_000, clock: new ManualClock(), onEnd: () => undefined });
  for (let i = 0; i < 100; i++) fast.push(Buffer.alloc(16_384));
  await until(() => fast.isPaused());
  assert.ok(slow.writableLength <= 16_384 * 5, `${slow.writableLength} bytes wait`);
  while (fast.readableLength > 0 || slow.writableLength > 0) {
    taken.shift()?.done();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(!fast.isPaused());
  slow.destroy();
  fast.destroy();
});

test("an end that is gone before the tunnel opens closes the other", async () => {
  const [client, a] = await pair();
  const [, b] = await pair();
  client.resume();
  b.destroy();
  await once(b, "close");
  const told = once(client, "end");
  await new Promise<void>((resolve) => tunnel(a, b, { idleTimeoutMs: 60_000, clock: new ManualClock(), onEnd: () => resolve() }));
  await told;
});
