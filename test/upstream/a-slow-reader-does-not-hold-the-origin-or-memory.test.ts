import assert from "node:assert/strict";
import { test } from "node:test";
import type { BodySource } from "../../runtime/proxy/exchange.ts";
import type { GatewayError } from "../../runtime/errors.ts";
import { origin, type OriginConnection, readAll, request, rig, until, upstreamOf } from "./origin.ts";

/** Sends without end while the socket takes it; tells how much it got rid of. */
function pump(connection: OriginConnection, totalBytes: number, chunked: boolean): { sent: number; stalled: boolean } {
  const state = { sent: 0, stalled: false };
  const piece = Buffer.alloc(65_536, "x");
  const more = (): void => {
    state.stalled = false;
    while (state.sent < totalBytes) {
      state.sent += piece.length;
      if (chunked) connection.socket.write(`${piece.length.toString(16)}\r\n`);
      const flowing = connection.socket.write(piece);
      if (chunked) connection.socket.write("\r\n");
      if (!flowing) {
        state.stalled = true;
        return;
      }
    }
    if (chunked) connection.socket.write("0\r\n\r\n");
  };
  connection.socket.on("drain", more);
  more();
  return state;
}

const TOTAL = 64 << 20;

for (const [framing, fields, chunked] of [
  ["length", `content-length: ${TOTAL}`, false],
  ["chunked", "transfer-encoding: chunked", true],
] as const) {
  test(`64 MiB by ${framing} to a reader that has not begun, then pauses at every piece: the origin waits, nothing is lost`, async () => {
    let pumping: { sent: number; stalled: boolean } | null = null;
    await using big = await origin(async (connection) => {
      await connection.head();
      connection.send(`HTTP/1.1 200 OK\r\n${fields}\r\n\r\n`);
      pumping = pump(connection, TOTAL, chunked);
    });
    using room = rig(upstreamOf([big.url]));
    const answer = await room.upstreams.send("shop", request(), null);
    // Nobody reads: the kernel's buffers fill and the origin stands still.
    await until(() => pumping?.stalled === true);
    const before = pumping!.sent;
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(pumping!.sent <= before + (8 << 20) && pumping!.sent < TOTAL / 2, `${pumping!.sent} bytes left the origin`);
    assert.equal(await readPausing(answer.body), TOTAL);
    await until(() => room.upstreams.status()[0]!.idle === 1);
  });
}

/** Takes one piece at a time and resumes in a later turn. Refuses a piece that comes while paused. */
function readPausing(source: BodySource): Promise<number> {
  return new Promise((resolve, reject: (error: GatewayError | Error) => void) => {
    let total = 0;
    let paused = false;
    let pieces = 0;
    source.read({
      chunk(bytes) {
        if (paused) reject(new Error("a piece came while paused"));
        total += bytes.length;
        if (++pieces % 8 !== 0) return true;
        paused = true;
        setImmediate(() => {
          paused = false;
          source.resume();
        });
        return false;
      },
      end: () => (paused ? reject(new Error("the end came while paused")) : resolve(total)),
      error: reject,
    });
  });
}

test("pause() and resume() from outside a piece hold and release the flow", async () => {
  await using good = await origin(async (connection) => {
    await connection.head();
    connection.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n");
    await connection.take("more");
    connection.send("3\r\ntwo\r\n0\r\n\r\n");
  });
  using room = rig(upstreamOf([good.url]));
  const { body } = await room.upstreams.send("shop", request(), null);
  let got = "";
  let ended = false;
  body.read({ chunk: (bytes) => ((got += bytes.toString("latin1")), true), end: () => (ended = true), error: assert.fail });
  await until(() => got === "one");
  body.pause();
  good.connections[0]!.received = "more";
  good.connections[0]!.socket.emit("data", Buffer.alloc(0));
  await until(() => room.upstreams.status()[0]!.idle === 1);
  assert.deepEqual([got, ended], ["one", false]);
  body.resume();
  assert.deepEqual([got, ended], ["onetwo", true]);
});

test("a slow reader of a page that fits in the read-ahead frees the connection while it still reads", async () => {
  await using good = await origin(async (connection) => {
    await connection.head();
    connection.send("HTTP/1.1 200 OK\r\ncontent-length: 30000\r\n\r\n");
    for (let i = 0; i < 30; i++) {
      connection.send("y".repeat(1_000));
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  using room = rig(upstreamOf([good.url]));
  const { body } = await room.upstreams.send("shop", request(), null);
  let got = 0;
  let ended = false;
  body.read({ chunk: (bytes) => ((got += bytes.length), false), end: () => (ended = true), error: assert.fail });
  await until(() => room.upstreams.status()[0]!.idle === 1);
  assert.ok(got < 30_000);
  for (let pieces = 0; pieces < 31; pieces++) body.resume();
  assert.ok(ended);
  assert.equal(got, 30_000);
});

test("a reader that cancels within a piece gets nothing more, and the origin learns of it", async () => {
  await using good = await origin(async (connection) => {
    await connection.head();
    connection.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n");
  });
  using room = rig(upstreamOf([good.url]));
  const { body } = await room.upstreams.send("shop", request(), null);
  let got = "";
  body.read({
    chunk(bytes) {
      got += bytes.toString("latin1");
      body.cancel();
      return true;
    },
    end: () => assert.fail("the body ended"),
    error: assert.fail,
  });
  await good.connections[0]!.closed;
  assert.ok("abc".startsWith(got));
  assert.deepEqual([room.upstreams.status()[0]!.active, room.upstreams.status()[0]!.idle], [0, 0]);
});

test("many answers at once read through one shared buffer do not mix", async () => {
  await using good = await origin(async (connection) => {
    const head = await connection.head();
    const letter = head.slice(5, 6);
    connection.send("HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n");
    for (let i = 0; i < 20; i++) {
      connection.send(letter.repeat(10_000));
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  using room = rig(upstreamOf([good.url]));
  await Promise.all(
    ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].map(async (letter) => {
      const { body } = await room.upstreams.send("shop", request({ target: `/${letter}` }), null);
      assert.equal((await readAll(body)).text, letter.repeat(200_000));
    }),
  );
});
