import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../runtime/clock.ts";
import { answering, failure, origin, readAll, request, rig, until, upstreamOf } from "./origin.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

test("maxConnections holds for all targets together; what is above it is refused, and served again when one is free", async () => {
  const open: (() => void)[] = [];
  const script = async (connection: import("./origin.ts").OriginConnection): Promise<void> => {
    await connection.head();
    open.push(() => connection.send(OK));
  };
  await using a = await origin(script);
  await using b = await origin(script);
  using room = rig(upstreamOf([a.url, b.url], { maxConnections: 3 }));
  const running = [1, 2, 3].map(() => room.upstreams.send("shop", request(), null));
  await until(() => open.length === 3);
  const error = await failure(room.upstreams.send("shop", request(), null));
  assert.equal(error.code, "NO_TARGET");
  assert.match(error.detail, /maxConnections/);
  for (const answer of open.splice(0)) answer();
  for (const answer of await Promise.all(running)) assert.equal((await readAll(answer.body)).text, "ok");
  assert.equal(a.connections.length + b.connections.length, 3);
});

test("an idle connection to another target makes room", async () => {
  await using a = await origin(answering(() => OK));
  await using b = await origin(answering(() => OK));
  using room = rig(upstreamOf([a.url, b.url], { maxConnections: 1 }));
  for (let i = 0; i < 4; i++) assert.equal((await room.upstreams.send("shop", request(), null)).status, 200);
  assert.deepEqual([a.connections.length, b.connections.length], [2, 2]);
  assert.deepEqual(
    room.upstreams.status().map(({ idle }) => idle),
    [0, 1],
  );
});

test("idle connections are closed after keepAlive", async () => {
  const clock = new ManualClock();
  await using good = await origin(answering(() => OK));
  using room = rig(upstreamOf([good.url], { keepAliveMs: 30_000 }), { clock });
  await room.upstreams.send("shop", request(), null);
  clock.advance(29_999);
  assert.equal(room.upstreams.status()[0]!.idle, 1);
  clock.advance(1);
  assert.equal(room.upstreams.status()[0]!.idle, 0);
  await good.connections[0]!.closed;
});

test("an origin that announces a shorter time is believed, less a second", async () => {
  const clock = new ManualClock();
  await using good = await origin(answering(() => "HTTP/1.1 200 OK\r\nkeep-alive: timeout=5, max=100\r\ncontent-length: 0\r\n\r\n"));
  using room = rig(upstreamOf([good.url]), { clock });
  await room.upstreams.send("shop", request(), null);
  clock.advance(3_999);
  assert.equal(room.upstreams.status()[0]!.idle, 1);
  clock.advance(1);
  assert.equal(room.upstreams.status()[0]!.idle, 0);
});

test("an origin that announces a longer time does not lengthen ours", async () => {
  const clock = new ManualClock();
  await using good = await origin(answering(() => "HTTP/1.1 200 OK\r\nkeep-alive: timeout=500\r\ncontent-length: 0\r\n\r\n"));
  using room = rig(upstreamOf([good.url]), { clock });
  await room.upstreams.send("shop", request(), null);
  clock.advance(30_000);
  assert.equal(room.upstreams.status()[0]!.idle, 0);
});

test("twenty at once and then one by one: the youngest is used, the others grow old", async () => {
  const clock = new ManualClock();
  await using good = await origin(
    answering((_head, connection) => `HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n${String(connection.number).padStart(2, "0")}`),
  );
  using room = rig(upstreamOf([good.url]), { clock });
  await Promise.all(Array.from({ length: 20 }, () => room.upstreams.send("shop", request(), null)));
  assert.equal(room.upstreams.status()[0]!.idle, 20);
  const used = new Set<string>();
  for (let i = 0; i < 6; i++) {
    clock.advance(5_000);
    used.add((await readAll((await room.upstreams.send("shop", request(), null)).body)).text);
  }
  assert.equal(used.size, 1);
  assert.equal(room.upstreams.status()[0]!.idle, 1);
});

test("close() ends idle connections at once, and one in use when its answer is complete", async () => {
  let finish = (): void => undefined;
  await using good = await origin(async (connection) => {
    const head = await connection.head();
    if (head.startsWith("GET /slow")) finish = () => connection.send(OK);
    else connection.send(OK);
  });
  using room = rig(upstreamOf([good.url]));
  const slow = room.upstreams.send("shop", request({ target: "/slow" }), null);
  await until(() => good.connections.length === 1);
  await room.upstreams.send("shop", request(), null);
  room.upstreams.close();
  assert.deepEqual([room.upstreams.status()[0]!.idle, room.upstreams.status()[0]!.active], [0, 1]);
  finish();
  assert.equal((await readAll((await slow).body)).text, "ok");
  assert.deepEqual([room.upstreams.status()[0]!.idle, room.upstreams.status()[0]!.active], [0, 0]);
});
