import assert from "node:assert/strict";
import { test } from "node:test";
import { answering, failure, HandFedBody, origin, readAll, request, rig, until, upstreamOf } from "./origin.ts";

const GOOD = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

for (const [how, close] of [
  ["closes", (socket: import("node:net").Socket) => socket.end()],
  ["resets", (socket: import("node:net").Socket) => socket.resetAndDestroy()],
] as const) {
  for (const [phase, sent, expected] of [
    ["before a byte of the answer", "", /no byte of an answer, expected a status line/],
    ["in the status line", "HTTP/1.1 2", /10 bytes of a response head/],
    ["in the fields", "HTTP/1.1 200 OK\r\ncontent-le", /27 bytes of a response head, expected its end/],
    ["after hints only", "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", /informational responses only/],
  ] as const) {
    test(`an origin that ${how} ${phase} gives UPSTREAM_RESET and says what was expected`, async () => {
      let asked = 0;
      await using breaking = await origin(async (connection) => {
        await connection.head();
        if (++asked > 1) return connection.send(GOOD);
        if (sent !== "") connection.send(sent);
        // A reset overtakes bytes that were not read yet; an informational response shows when they were.
        if (how === "resets" && sent !== "") await new Promise((resolve) => setImmediate(resolve));
        close(connection.socket);
      });
      using room = rig(upstreamOf([breaking.url]));
      const error = await failure(room.upstreams.send("shop", request(), null));
      assert.equal(error.code, "UPSTREAM_RESET");
      if (how === "closes") assert.match(error.detail, expected);
      assert.ok(error.detail.startsWith(breaking.url));
      const [status] = room.upstreams.status();
      assert.deepEqual([status!.active, status!.idle], [0, 0]);
      const innocent = await room.upstreams.send("shop", request(), null);
      assert.equal((await readAll(innocent.body)).text, "ok");
    });
  }

  for (const [phase, sent, text, expected] of [
    ["in a body of known length", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", "abc", /3 of 10 bytes of the body/],
    ["before the first byte of a body", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n", "", /0 of 10 bytes of the body/],
    ["in a chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc", "abc", /3 bytes of a chunked body, expected its last chunk/],
    ["before the last chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", "abc", /expected its last chunk/],
    ["in the trailers", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n", "abc", /expected its last chunk/],
  ] as const) {
    test(`an origin that ${how} ${phase} breaks the body off, never ends it`, async () => {
      let answered = (): void => undefined;
      const headTaken = new Promise<void>((resolve) => (answered = resolve));
      await using breaking = await origin(async (connection) => {
        await connection.head();
        connection.send(sent);
        await headTaken;
        close(connection.socket);
      });
      using room = rig(upstreamOf([breaking.url]));
      const answer = await room.upstreams.send("shop", request(), null);
      assert.equal(answer.status, 200);
      const reading = readAll(answer.body);
      answered();
      const body = await reading;
      assert.equal(body.error?.code, "UPSTREAM_RESET");
      assert.equal(body.text, text);
      assert.match(body.error.detail, expected);
      assert.equal(room.upstreams.status()[0]!.active, 0);
    });
  }
}

test("an origin that closes in the middle of an upload gives UPSTREAM_RESET and stops the upload", async () => {
  await using breaking = await origin(async (connection) => {
    await connection.head();
    await connection.take("first");
    connection.socket.resetAndDestroy();
  });
  using room = rig(upstreamOf([breaking.url]));
  const body = new HandFedBody(1_000);
  const sending = failure(room.upstreams.send("shop", request({ method: "POST", body }), null));
  (await body.begun).chunk(Buffer.from("first"));
  assert.equal((await sending).code, "UPSTREAM_RESET");
  assert.ok(body.cancelled);
  assert.equal(room.upstreams.status()[0]!.active, 0);
});

test("a connection that the origin closes while idle is forgotten", async () => {
  await using polite = await origin(answering(() => GOOD));
  using room = rig(upstreamOf([polite.url]));
  await readAll((await room.upstreams.send("shop", request(), null)).body);
  assert.equal(room.upstreams.status()[0]!.idle, 1);
  polite.connections[0]!.socket.end();
  await until(() => room.upstreams.status()[0]!.idle === 0);
  await polite.connections[0]!.closed;
});

test("what was received before the break is delivered to a reader that comes late, then the error", async () => {
  await using breaking = await origin(async (connection) => {
    await connection.head();
    connection.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
    connection.socket.end();
  });
  using room = rig(upstreamOf([breaking.url]));
  const answer = await room.upstreams.send("shop", request(), null);
  await until(() => room.upstreams.status()[0]!.active === 0);
  const body = await readAll(answer.body);
  assert.deepEqual([body.text, body.error?.code], ["abc", "UPSTREAM_RESET"]);
});
