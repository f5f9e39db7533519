import assert from "node:assert/strict";
import { test } from "node:test";
import { createServer } from "node:net";
import { ManualClock } from "../../runtime/clock.ts";
import { answering, closedPort, failure, origin, readAll, request, rig, until, upstreamOf } from "./origin.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

test("a target that refuses connections is passed over, and each request is answered", async () => {
  await using good = await origin(answering(() => OK));
  const dead = `http://127.0.0.1:${await closedPort()}`;
  using room = rig(upstreamOf([dead, good.url]));
  const attempts: number[] = [];
  for (let i = 0; i < 4; i++) {
    const answer = await room.upstreams.send("shop", request(), null);
    assert.equal(answer.target, good.url);
    attempts.push(answer.attempts);
    await readAll(answer.body);
  }
  assert.equal(attempts[0], 2);
  const [first] = room.upstreams.status();
  assert.equal(first!.connectFailures, attempts.filter((n) => n === 2).length);
  assert.equal(first!.active, 0);
  assert.ok(room.events.every(({ kind, target }) => kind === "connect-failed" && target === dead));
});

test("with all targets dead the answer is UPSTREAM_CONNECT_FAILED after each was tried once", async () => {
  const urls = [`http://127.0.0.1:${await closedPort()}`, `http://127.0.0.1:${await closedPort()}`, `http://127.0.0.1:${await closedPort()}`];
  using room = rig(upstreamOf(urls));
  const error = await failure(room.upstreams.send("shop", request(), null));
  assert.equal(error.code, "UPSTREAM_CONNECT_FAILED");
  assert.deepEqual(
    room.upstreams.status().map(({ requests, connectFailures, active }) => [requests, connectFailures, active]),
    [
      [1, 1, 0],
      [1, 1, 0],
      [1, 1, 0],
    ],
  );
  for (const url of urls) assert.ok(error.detail.includes(url), error.detail);
});

test("targets that do not answer the handshake in time are UPSTREAM_CONNECT_TIMEOUT", async () => {
  // A TLS client waits for the server's half of the handshake; a server that says nothing stands for a black hole.
  const silent = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => silent.once("listening", resolve));
  const accepted = new Promise<void>((resolve) =>
    silent.on("connection", (socket) => {
      socket.on("error", (error) => assert.match(error.message, /ECONNRESET/));
      resolve();
    }),
  );
  const { port } = silent.address() as { port: number };
  const clock = new ManualClock();
  using room = rig(upstreamOf([`https://127.0.0.1:${port}`], { timeouts: { connectMs: 1_000, firstByteMs: 30_000, idleMs: 60_000 } }), { clock });
  const sending = failure(room.upstreams.send("shop", request(), null));
  await accepted;
  clock.advance(999);
  assert.equal(room.upstreams.status()[0]!.active, 1);
  clock.advance(2);
  assert.equal((await sending).code, "UPSTREAM_CONNECT_TIMEOUT");
  assert.equal(room.upstreams.status()[0]!.active, 0);
  assert.deepEqual(
    room.events.map(({ kind }) => kind),
    ["connect-timeout"],
  );
  silent.close();
});

test("a pinned target is the only one asked", async () => {
  await using a = await origin(answering(() => OK));
  await using b = await origin(answering(() => OK));
  using room = rig(upstreamOf([a.url, b.url]));
  for (let i = 0; i < 3; i++) assert.equal((await room.upstreams.send("shop", request({ pinnedTarget: b.url }), null)).target, b.url);
  const error = await failure(room.upstreams.send("shop", request({ pinnedTarget: "http://127.0.0.1:9" }), null));
  assert.equal(error.code, "UPSTREAM_UNKNOWN");
});

test("a pinned target that is dead is not replaced by another", async () => {
  await using good = await origin(answering(() => OK));
  const dead = `http://127.0.0.1:${await closedPort()}`;
  using room = rig(upstreamOf([good.url, dead]));
  assert.equal((await failure(room.upstreams.send("shop", request({ pinnedTarget: dead }), null))).code, "UPSTREAM_CONNECT_FAILED");
  assert.equal(good.connections.length, 0);
});

test("an upstream that config does not name is refused by name", async () => {
  using room = rig(upstreamOf(["http://127.0.0.1:1"]));
  const error = await failure(room.upstreams.send("shpo", request(), null));
  assert.equal(error.code, "UPSTREAM_UNKNOWN");
  assert.match(error.detail, /shpo.*shop/);
  assert.deepEqual([room.upstreams.has("shop"), room.upstreams.has("shpo")], [true, false]);
});

test("weights of 0 on all targets leave nobody to ask", async () => {
  using room = rig(upstreamOf([{ url: "http://127.0.0.1:1", weight: 0 }]));
  assert.equal((await failure(room.upstreams.send("shop", request(), null))).code, "NO_TARGET");
});

test("requests follow the weights over real connections", async () => {
  await using a = await origin(answering(() => OK));
  await using b = await origin(answering(() => OK));
  using room = rig(
    upstreamOf([
      { url: a.url, weight: 3 },
      { url: b.url, weight: 1 },
    ]),
  );
  for (let i = 0; i < 8; i++) await room.upstreams.send("shop", request(), null);
  assert.deepEqual(
    room.upstreams.status().map(({ requests }) => requests),
    [6, 2],
  );
  await until(() => room.upstreams.status().every(({ active }) => active === 0));
});
