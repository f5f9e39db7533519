import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../runtime/clock.ts";
import { failure, HandFedBody, origin, readAll, request, rig, until, upstreamOf } from "./origin.ts";

test("413 before the body is sent: the upload stops, the answer arrives, the connection is not used again", async () => {
  await using strict = await origin(async (connection) => {
    await connection.head();
    connection.send("HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig");
  });
  using room = rig(upstreamOf([strict.url]));
  const body = new HandFedBody(1_000_000);
  const answer = await room.upstreams.send("shop", request({ method: "POST", body }), null);
  assert.ok(body.cancelled);
  assert.equal(answer.status, 413);
  assert.equal((await readAll(answer.body)).text, "big");
  await strict.connections[0]!.closed;
  assert.deepEqual([room.upstreams.status()[0]!.active, room.upstreams.status()[0]!.idle], [0, 0]);
});

test("the same with a long streamed refusal: every byte of it arrives", async () => {
  const page = "p".repeat(300_000);
  await using strict = await origin(async (connection) => {
    await connection.head();
    connection.send(`HTTP/1.1 403 Forbidden\r\ncontent-length: ${page.length}\r\n\r\n${page}`);
  });
  using room = rig(upstreamOf([strict.url]));
  const body = new HandFedBody(-1);
  const answer = await room.upstreams.send("shop", request({ method: "POST", body }), null);
  assert.ok(body.cancelled);
  assert.equal((await readAll(answer.body)).text, page);
  await strict.connections[0]!.closed;
});

test("an answer is not lost when the origin sent it, closed and reset while the upload still runs", async () => {
  await using hasty = await origin((connection) => void connection.socket.pause());
  using room = rig(upstreamOf([hasty.url]));
  const body = new HandFedBody(-1);
  const sending = room.upstreams.send("shop", request({ method: "POST", body }), null);
  const sink = await body.begun;
  const piece = Buffer.alloc(16_384);
  for (let i = 0; i < 20; i++) assert.ok(sink.chunk(piece), "the kernels take this much, so that no write is pending");
  await until(() => hasty.connections.length === 1);
  // Unread bytes in its buffer make the origin's kernel send RST at close. The next write, in the same turn, fails before anything is read.
  const { socket } = hasty.connections[0]!;
  socket.write("HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig");
  socket.destroy();
  sink.chunk(piece);
  const answer = await sending;
  assert.equal(answer.status, 413);
  assert.equal((await readAll(answer.body)).text, "big");
  assert.ok(body.cancelled);
  assert.deepEqual([room.upstreams.status()[0]!.active, room.upstreams.status()[0]!.idle], [0, 0]);
});

test("a write that fails without an answer on its way is UPSTREAM_RESET", async () => {
  await using hasty = await origin((connection) => void connection.socket.pause());
  const clock = new ManualClock();
  using room = rig(upstreamOf([hasty.url]), { clock });
  const body = new HandFedBody(-1);
  const sending = failure(room.upstreams.send("shop", request({ method: "POST", body }), null));
  const sink = await body.begun;
  const piece = Buffer.alloc(16_384);
  for (let i = 0; i < 20; i++) assert.ok(sink.chunk(piece), "the kernels take this much, so that no write is pending");
  await until(() => hasty.connections.length === 1);
  hasty.connections[0]!.socket.destroy();
  sink.chunk(piece);
  await until(() => body.cancelled);
  clock.advance(250);
  assert.equal((await sending).code, "UPSTREAM_RESET");
});

test("an origin may answer 200 while it still reads: both directions flow to their ends, and the connection is kept", async () => {
  await using echo = await origin(async (connection) => {
    await connection.head();
    connection.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    for (const word of ["one", "two", "six"]) {
      await connection.take(word);
      connection.send(`3\r\n${word}\r\n`);
    }
    await connection.take("0\r\n\r\n");
    connection.send("0\r\n\r\n");
  });
  using room = rig(upstreamOf([echo.url]));
  const body = new HandFedBody(-1);
  const sending = room.upstreams.send("shop", request({ method: "POST", body }), null);
  const sink = await body.begun;
  const answer = await sending;
  let echoed = "";
  const reading = new Promise<void>((resolve, reject) => {
    answer.body.read({
      chunk(bytes) {
        echoed += bytes.toString("latin1");
        if (echoed === "one") sink.chunk(Buffer.from("two"));
        if (echoed === "onetwo") {
          sink.chunk(Buffer.from("six"));
          sink.end(null);
        }
        return true;
      },
      end: () => resolve(),
      error: reject,
    });
  });
  sink.chunk(Buffer.from("one"));
  await reading;
  assert.equal(echoed, "onetwosix");
  assert.ok(!body.cancelled);
  assert.equal(room.upstreams.status()[0]!.idle, 1);
});

test("a 200 that is complete before the body was sent ends the upload too", async () => {
  await using careless = await origin(async (connection) => {
    await connection.head();
    connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
  });
  using room = rig(upstreamOf([careless.url]));
  const body = new HandFedBody(10);
  const answer = await room.upstreams.send("shop", request({ method: "POST", body }), null);
  assert.equal((await readAll(answer.body)).text, "ok");
  assert.ok(body.cancelled);
  await careless.connections[0]!.closed;
  assert.equal(room.upstreams.status()[0]!.idle, 0);
});
