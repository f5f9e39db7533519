import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { GatewayError } from "../../runtime/errors.ts";
import { bodyOf, type UpstreamRequest } from "../../runtime/proxy/exchange.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import { failure, HandFedBody, origin, readAll, request, rig, textBody, until, upstreamOf } from "./origin.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/** What the origin receives up to `end`, for a request that is sent by `feed`. */
async function received(sent: UpstreamRequest, end: string, feed: () => Promise<void> | void = () => undefined): Promise<string> {
  let got = "";
  await using good = await origin(async (connection) => {
    got = await connection.take(end);
    connection.send(OK);
  });
  using room = rig(upstreamOf([good.url]));
  const sending = room.upstreams.send("shop", sent, null);
  await feed();
  assert.equal((await readAll((await sending).body)).text, "ok");
  await until(() => room.upstreams.status()[0]!.idle === 1);
  return got;
}

test("method, target, Host and fields go out as they are, in order, in one head", async () => {
  const fields = Fields.of(["accept", "*/*"], ["cookie", "a=1"], ["cookie", "b=2"], ["x-name", "caf\xe9"]);
  const got = await received(request({ method: "GET", target: "/a%20b?c=d&e", authority: "shop.example.com:8080", fields }), "\r\n\r\n");
  assert.equal(got, "GET /a%20b?c=d&e HTTP/1.1\r\nhost: shop.example.com:8080\r\naccept: */*\r\ncookie: a=1\r\ncookie: b=2\r\nx-name: caf\xe9\r\n\r\n");
});

for (const [method, framing] of [
  ["POST", "content-length: 0\r\n"],
  ["PUT", "content-length: 0\r\n"],
  ["PATCH", "content-length: 0\r\n"],
  ["GET", ""],
  ["DELETE", ""],
] as const) {
  test(`${method} without a body says ${framing === "" ? "nothing about its length" : "Content-Length: 0"}`, async () => {
    assert.equal(await received(request({ method }), "\r\n\r\n"), `${method} / HTTP/1.1\r\nhost: shop.example.com\r\n${framing}\r\n`);
  });
}

test("a body of known length follows its Content-Length, with GET too", async () => {
  assert.equal(await received(request({ body: textBody("hello") }), "hello"), "GET / HTTP/1.1\r\nhost: shop.example.com\r\ncontent-length: 5\r\n\r\nhello");
});

test("a body of unknown length is chunked, its trailers behind the last chunk", async () => {
  const body = new HandFedBody(-1);
  const got = await received(request({ method: "POST", body }), "x-sum: 1\r\n\r\n", async () => {
    const sink = await body.begun;
    sink.chunk(Buffer.from("hello"));
    sink.chunk(Buffer.alloc(0));
    sink.chunk(Buffer.alloc(20, "x"));
    sink.end(Fields.of(["x-sum", "1"]));
  });
  assert.equal(
    got,
    `POST / HTTP/1.1\r\nhost: shop.example.com\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n14\r\n${"x".repeat(20)}\r\n0\r\nx-sum: 1\r\n\r\n`,
  );
});

test("a chunked body that turns out empty is one last chunk", async () => {
  const body = new HandFedBody(-1);
  const got = await received(request({ method: "POST", body }), "0\r\n\r\n", async () => (await body.begun).end(null));
  assert.ok(got.endsWith("transfer-encoding: chunked\r\n\r\n0\r\n\r\n"));
});

test("8 MiB in views of one buffer that is overwritten after each call arrive byte for byte", async () => {
  const total = 8 << 20;
  const hash = createHash("sha256");
  const expected = createHash("sha256");
  await using good = await origin((connection) => {
    let seen = 0;
    let headEnded = false;
    connection.socket.removeAllListeners("data");
    connection.socket.on("data", (bytes: Buffer) => {
      const from = headEnded ? 0 : bytes.indexOf("\r\n\r\n") + 4;
      headEnded = true;
      hash.update(bytes.subarray(from));
      seen += bytes.length - from;
      if (seen === total) connection.send(OK);
    });
  });
  using room = rig(upstreamOf([good.url]));
  const body = new HandFedBody(total);
  const sending = room.upstreams.send("shop", request({ method: "PUT", body }), null);
  const sink = await body.begun;
  const buffer = Buffer.alloc(65_536);
  let blocked = 0;
  for (let sent = 0; sent < total; sent += buffer.length) {
    buffer.fill(sent / buffer.length);
    expected.update(buffer);
    const resumed = body.resumed;
    if (!sink.chunk(buffer)) {
      blocked++;
      await until(() => body.resumed > resumed);
    }
  }
  sink.end(null);
  await sending;
  assert.ok(blocked > 0, "the source was asked to wait");
  assert.equal(hash.digest("hex"), expected.digest("hex"));
});

test("an origin that does not read pauses the source instead of filling memory", async () => {
  let release = (): void => undefined;
  await using lazy = await origin((connection) => {
    connection.socket.pause();
    release = () => connection.socket.resume();
  });
  using room = rig(upstreamOf([lazy.url]));
  const body = new HandFedBody(-1);
  const sending = room.upstreams.send("shop", request({ method: "POST", body }), null);
  const sink = await body.begun;
  const piece = Buffer.alloc(65_536);
  let sent = 0;
  while (sink.chunk(piece)) sent += piece.length;
  // Both kernels' socket buffers and one piece in ours.
  assert.ok(sent < 64 << 20, `${sent} bytes were taken`);
  assert.equal(body.resumed, 0);
  release();
  await until(() => body.resumed === 1);
  sink.end(null);
  lazy.connections[0]!.send(OK);
  assert.equal((await sending).status, 200);
});

for (const [what, feed] of [
  ["longer", (sink: import("../../runtime/proxy/exchange.ts").BodySink) => void sink.chunk(Buffer.from("four"))],
  ["shorter", (sink: import("../../runtime/proxy/exchange.ts").BodySink) => sink.end(null)],
] as const) {
  test(`a body ${what} than declared never shifts the next request: the connection is destroyed`, async () => {
    await using good = await origin(async (connection) => void (await connection.head()));
    using room = rig(upstreamOf([good.url]));
    const body = new HandFedBody(3);
    const sending = failure(room.upstreams.send("shop", request({ method: "POST", body }), null));
    feed(await body.begun);
    assert.equal((await sending).code, "INTERNAL");
    await good.connections[0]?.closed;
    assert.equal(room.upstreams.status()[0]!.active, 0);
  });
}

test("an upload that breaks off on the client's side ends the connection at once and keeps its error", async () => {
  await using waiting = await origin(async (connection) => void (await connection.head()));
  using room = rig(upstreamOf([waiting.url], { maxConnections: 1 }));
  for (let i = 0; i < 5; i++) {
    const body = new HandFedBody(100);
    const sending = failure(room.upstreams.send("shop", request({ method: "POST", body }), null));
    const sink = await body.begun;
    sink.chunk(Buffer.from("some"));
    sink.error(new GatewayError("REQUEST_TIMEOUT", "the client went silent"));
    assert.equal((await sending).code, "REQUEST_TIMEOUT");
    assert.deepEqual([room.upstreams.status()[0]!.active, room.upstreams.status()[0]!.idle], [0, 0]);
  }
  await Promise.all(waiting.connections.map(({ closed }) => closed));
});

test("a body that fails within its first read sends nothing of the request", async () => {
  await using waiting = await origin(() => undefined);
  using room = rig(upstreamOf([waiting.url]));
  const body: UpstreamRequest["body"] = {
    length: -1,
    read: (sink) => sink.error(new GatewayError("CHUNK_MALFORMED", "x")),
    pause: () => undefined,
    resume: () => undefined,
    cancel: () => undefined,
  };
  assert.equal((await failure(room.upstreams.send("shop", request({ method: "POST", body }), null))).code, "CHUNK_MALFORMED");
  await until(() => waiting.connections.length === 1);
  await waiting.connections[0]!.closed;
  assert.equal(waiting.connections[0]!.received, "");
});

test("head and small body leave in one write", async () => {
  const pieces: number[] = [];
  await using good = await origin((connection) => {
    connection.socket.on("data", (bytes: Buffer) => {
      pieces.push(bytes.length);
      connection.send(OK);
    });
  });
  using room = rig(upstreamOf([good.url]));
  await room.upstreams.send("shop", request({ method: "POST", body: bodyOf(Buffer.alloc(4_000, "b")) }), null);
  assert.equal(pieces.length, 1);
});
