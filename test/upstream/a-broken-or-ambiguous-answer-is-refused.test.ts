import assert from "node:assert/strict";
import { test } from "node:test";
import { asGatewayError } from "../../runtime/errors.ts";
import { failure, origin, readAll, request, rig, until, upstreamOf } from "./origin.ts";

const GOOD = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async function answerOf(first: string, method = "GET") {
  let asked = 0;
  await using odd = await origin(async (connection) => {
    for (;;) {
      const head = await connection.head().catch(() => null);
      if (head === null) return;
      connection.send(asked++ === 0 ? first : GOOD);
    }
  });
  using room = rig(upstreamOf([odd.url]));
  const outcome = await room.upstreams.send("shop", request({ method }), null).then(
    async (answer) => {
      const body = await readAll(answer.body);
      return { code: body.error?.code ?? "", status: answer.status, text: body.text, detail: body.error?.detail ?? "" };
    },
    (thrown: unknown) => ({ code: asGatewayError(thrown).code as string, status: 0, text: "", detail: asGatewayError(thrown).detail }),
  );
  // Whatever happened: the next request is answered well, on a connection that nothing foreign waits in.
  const innocent = await room.upstreams.send("shop", request(), null);
  assert.deepEqual([innocent.status, (await readAll(innocent.body)).text], [200, "ok"]);
  return { ...outcome, connections: odd.connections.length };
}

for (const [what, bytes] of [
  ["garbage", "hello, is this HTTP?\r\n\r\n"],
  ["garbage without an end of line", "\0\x01\x02\x03\x04\x05\x06\x07\x08"],
  ["an HTTP/2 preface", "\0\0\x12\x04\0\0\0\0\0"],
  ["HTTP/2.0 in the status line", "HTTP/2.0 200 OK\r\n\r\n"],
  ["a status of four digits", "HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n"],
  ["Content-Length with Transfer-Encoding", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
  ["two different Content-Lengths", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc"],
  ["a list of different Content-Lengths", "HTTP/1.1 200 OK\r\ncontent-length: 3, 4\r\n\r\nabc"],
  ["a negative Content-Length", "HTTP/1.1 200 OK\r\ncontent-length: -3\r\n\r\nabc"],
  ["an unknown coding", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
  ["a tab behind chunked", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\t\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
  ["an obfuscated chunked", "HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
  ["Transfer-Encoding in HTTP/1.0", "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
  ["a bare LF", "HTTP/1.1 200 OK\ncontent-length: 0\r\n\r\n"],
  ["a folded field", "HTTP/1.1 200 OK\r\na: b\r\n c\r\ncontent-length: 0\r\n\r\n"],
  ["a space before the colon", "HTTP/1.1 200 OK\r\ncontent-length : 0\r\n\r\n"],
  ["NUL in a value", "HTTP/1.1 200 OK\r\na: b\0c\r\ncontent-length: 0\r\n\r\n"],
  ["an informational response with a body", `HTTP/1.1 103 Early Hints\r\ncontent-length: ${GOOD.length}\r\n\r\n${GOOD}${GOOD}`],
  ["101 that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"],
] as const) {
  test(`${what} is UPSTREAM_MALFORMED`, async () => {
    const outcome = await answerOf(bytes);
    assert.equal(outcome.code, "UPSTREAM_MALFORMED");
    assert.notEqual(outcome.detail, "");
    assert.equal(outcome.connections, 2, "the connection was given up");
  });
}

for (const [what, bytes] of [
  ["a chunk size that is none", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"],
  ["a chunk longer than its size", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n"],
  ["a chunk size that overflows", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc"],
] as const) {
  test(`${what} breaks the body off with UPSTREAM_MALFORMED`, async () => {
    const outcome = await answerOf(bytes);
    assert.equal(outcome.code, "UPSTREAM_MALFORMED");
    assert.equal(outcome.connections, 2);
  });
}

for (const [what, bytes] of [
  ["all fields together too large", `HTTP/1.1 200 OK\r\n${`x: ${"y".repeat(1_000)}\r\n`.repeat(40)}content-length: 0\r\n\r\n`],
  ["one line too long", `HTTP/1.1 200 OK\r\nx: ${"y".repeat(17_000)}\r\ncontent-length: 0\r\n\r\n`],
  ["too many fields", `HTTP/1.1 200 OK\r\n${"x: y\r\n".repeat(101)}content-length: 0\r\n\r\n`],
  ["a head without an end", `HTTP/1.1 200 OK\r\nx: ${"y".repeat(70_000)}`],
] as const) {
  test(`${what} is UPSTREAM_HEAD_TOO_LARGE`, async () => {
    const outcome = await answerOf(bytes);
    assert.equal(outcome.code, "UPSTREAM_HEAD_TOO_LARGE");
    assert.equal(outcome.connections, 2);
  });
}

test("an endless row of informational responses is UPSTREAM_MALFORMED", async () => {
  assert.equal((await answerOf("HTTP/1.1 102 Processing\r\n\r\n".repeat(100))).code, "UPSTREAM_MALFORMED");
});

for (const [what, bytes, method] of [
  ["a second answer behind the first", `${GOOD}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil`, "GET"],
  [
    "bytes behind the last chunk",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
    "GET",
  ],
  ["a body behind the answer to HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", "HEAD"],
  ["a body behind 204", "HTTP/1.1 204 No Content\r\n\r\nevil", "GET"],
  ["a body behind 304", "HTTP/1.1 304 Not Modified\r\n\r\nevil", "GET"],
] as const) {
  test(`${what} never reaches the next request`, async () => {
    const outcome = await answerOf(bytes, method);
    assert.equal(outcome.code, "");
    assert.ok(!outcome.text.includes("evil"));
    assert.equal(outcome.connections, 2);
  });
}

test("an answer to nothing on an idle connection ends that connection", async () => {
  await using odd = await origin(async (connection) => {
    await connection.head();
    connection.send(GOOD);
  });
  using room = rig(upstreamOf([odd.url]));
  await readAll((await room.upstreams.send("shop", request(), null)).body);
  odd.connections[0]!.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil");
  await odd.connections[0]!.closed;
  await until(() => room.upstreams.status()[0]!.idle === 0);
  const error = await failure(room.upstreams.send("shop", request({ pinnedTarget: "http://elsewhere" }), null));
  assert.equal(error.code, "UPSTREAM_UNKNOWN");
});
