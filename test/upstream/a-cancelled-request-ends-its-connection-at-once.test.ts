import assert from "node:assert/strict";
import { test } from "node:test";
import { createServer } from "node:net";
import type { CancelHolder } from "../../runtime/upstream/upstreams.ts";
import { failure, HandFedBody, origin, readAll, request, rig, until, upstreamOf } from "./origin.ts";

test("while the answer is awaited: every origin connection is closed, none is left over", async () => {
  let asked = 0;
  await using silent = await origin(async (connection) => {
    await connection.head();
    asked++;
  });
  using room = rig(upstreamOf([silent.url], { maxConnections: 3 }));
  for (let i = 0; i < 10; i++) {
    const cancel: CancelHolder = { cancelUpstream: null };
    const sending = failure(room.upstreams.send("shop", request(), cancel));
    await until(() => asked === i + 1);
    cancel.cancelUpstream!();
    assert.equal((await sending).code, "CLIENT_CLOSED");
    assert.equal(cancel.cancelUpstream, null);
    assert.equal(room.upstreams.status()[0]!.active, 0, "its place is free at once");
  }
  await Promise.all(silent.connections.map(({ closed }) => closed));
  assert.equal(silent.connections.length, 10);
});

test("in the turn in which it was asked for: the origin sees nothing of it", async () => {
  await using good = await origin(async (connection) => {
    await connection.head();
    connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
  });
  using room = rig(upstreamOf([good.url]));
  await readAll((await room.upstreams.send("shop", request(), null)).body);
  const cancel: CancelHolder = { cancelUpstream: null };
  const sending = failure(room.upstreams.send("shop", request({ target: "/second" }), cancel));
  cancel.cancelUpstream!();
  assert.equal((await sending).code, "CLIENT_CLOSED");
  await good.connections[0]!.closed;
  assert.equal(good.connections[0]!.received, "");
  assert.equal(good.connections.length, 1);
});

test("while connecting", async () => {
  const silent = createServer((socket) => void socket.on("error", (error) => assert.match(error.message, /ECONNRESET/)));
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  using room = rig(upstreamOf([`https://127.0.0.1:${(silent.address() as { port: number }).port}`]));
  const cancel: CancelHolder = { cancelUpstream: null };
  const sending = failure(room.upstreams.send("shop", request(), cancel));
  cancel.cancelUpstream!();
  assert.equal((await sending).code, "CLIENT_CLOSED");
  assert.equal(room.upstreams.status()[0]!.active, 0);
  silent.close();
});

test("in the middle of an upload: the source is cancelled with it", async () => {
  await using waiting = await origin(async (connection) => void (await connection.take("some")));
  using room = rig(upstreamOf([waiting.url]));
  const cancel: CancelHolder = { cancelUpstream: null };
  const body = new HandFedBody(100);
  const sending = failure(room.upstreams.send("shop", request({ method: "POST", body }), cancel));
  (await body.begun).chunk(Buffer.from("some"));
  cancel.cancelUpstream!();
  assert.equal((await sending).code, "CLIENT_CLOSED");
  assert.ok(body.cancelled);
  await waiting.connections[0]!.closed;
});

test("in the middle of a download, by cancelling the body, read or not", async () => {
  await using endless = await origin(async (connection) => {
    await connection.head();
    connection.send(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n400\r\n${"x".repeat(1_024)}\r\n`);
  });
  using room = rig(upstreamOf([endless.url], { maxConnections: 1 }));
  for (const begin of [false, true]) {
    const cancel: CancelHolder = { cancelUpstream: null };
    const answer = await room.upstreams.send("shop", request(), cancel);
    assert.equal(cancel.cancelUpstream, null, "the answer's own handles count from here on");
    if (begin) answer.body.read({ chunk: () => true, end: () => assert.fail("the body ended"), error: assert.fail });
    answer.body.cancel();
    assert.equal(room.upstreams.status()[0]!.active, 0);
  }
  await Promise.all(endless.connections.map(({ closed }) => closed));
});

test("cancelling an answer that came whole does not touch the connection, which others may use by then", async () => {
  await using good = await origin(async (connection) => {
    for (;;) {
      const head = await connection.head().catch(() => null);
      if (head === null) return;
      connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    }
  });
  using room = rig(upstreamOf([good.url]));
  const first = await room.upstreams.send("shop", request(), null);
  const second = room.upstreams.send("shop", request(), null);
  first.body.cancel();
  assert.equal((await readAll((await second).body)).text, "ok");
  assert.equal(good.connections.length, 1);
});
