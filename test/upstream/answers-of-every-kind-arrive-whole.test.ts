import assert from "node:assert/strict";
import { test } from "node:test";
import { answering, origin, readAll, request, rig, until, upstreamOf } from "./origin.ts";

async function exchange(bytes: string, { method = "GET", byteWise = false, close = false } = {}) {
  await using scripted = await origin(async (connection) => {
    for (;;) {
      const head = await connection.head().catch(() => null);
      if (head === null) return;
      if (byteWise) {
        for (const byte of bytes) {
          connection.send(byte);
          await new Promise((resolve) => setImmediate(resolve));
        }
      } else connection.send(bytes);
      if (close) connection.socket.end();
    }
  });
  using room = rig(upstreamOf([scripted.url]));
  const hints: [number, string | undefined][] = [];
  const answer = await room.upstreams.send("shop", request({ method, onInformational: (status, fields) => hints.push([status, fields.get("link")]) }), null);
  const body = await readAll(answer.body);
  assert.equal(body.error, null);
  await until(() => room.upstreams.status()[0]!.active === 0);
  return { answer, body, hints, kept: room.upstreams.status()[0]!.idle === 1 };
}

for (const byteWise of [false, true]) {
  const pace = byteWise ? "a byte at a time" : "in one piece";

  test(`a body of known length, ${pace}`, async () => {
    const { answer, body, kept } = await exchange("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello", { byteWise });
    assert.equal(body.text, "hello");
    assert.equal(answer.body.length, 5);
    assert.equal(answer.declaredLength, 5);
    assert.deepEqual(answer.fields.list, ["x-a", "b"]);
    assert.ok(kept);
  });

  test(`a chunked body with trailers, ${pace}`, async () => {
    const { answer, body, kept } = await exchange(
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nx-sum: 7\r\n\r\n",
      { byteWise },
    );
    assert.equal(body.text, "hello world");
    assert.deepEqual(body.trailers?.list, ["x-sum", "7"]);
    assert.equal(answer.body.length, -1);
    assert.equal(answer.declaredLength, -1);
    assert.ok(kept);
  });

  test(`a body that ends with the connection, ${pace}`, async () => {
    const { body, answer, kept } = await exchange("HTTP/1.1 200 OK\r\n\r\nuntil the end", { byteWise, close: true });
    assert.equal(body.text, "until the end");
    assert.equal(answer.body.length, -1);
    assert.ok(!kept);
  });

  test(`early hints, then the answer, ${pace}`, async () => {
    const { body, hints, answer, kept } = await exchange(
      "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\ngone",
      { byteWise },
    );
    assert.deepEqual(hints, [
      [103, "</a.css>"],
      [102, undefined],
    ]);
    assert.deepEqual([answer.status, body.text, kept], [404, "gone", true]);
  });

  test(`100 (Continue) is passed on like every informational response, ${pace}`, async () => {
    const { hints, body } = await exchange("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", { byteWise });
    assert.deepEqual([hints, body.text], [[[100, undefined]], "ok"]);
  });
}

for (const [what, bytes, method, declared] of [
  ["HEAD with the length a GET would have", "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n", "HEAD", 1234],
  ["HEAD of a chunked resource", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "HEAD", -1],
  ["204", "HTTP/1.1 204 No Content\r\n\r\n", "DELETE", -1],
  ["304 with a length", 'HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\netag: "a"\r\n\r\n', "GET", 99],
  ["an empty 200", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "GET", 0],
] as const) {
  test(`${what} has no body and its connection is kept`, async () => {
    const { answer, body, kept } = await exchange(bytes, { method });
    assert.deepEqual([answer.body.length, body.text, answer.declaredLength, kept], [0, "", declared, true]);
  });
}

test("hop-by-hop fields and what Connection names stay here", async () => {
  const { answer } = await exchange(
    "HTTP/1.1 200 OK\r\nConnection: X-Private, keep-alive\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nX-Public: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
  );
  assert.deepEqual(answer.fields.list, ["x-public", "2", "set-cookie", "a=1", "set-cookie", "b=2"]);
});

for (const [what, bytes] of [
  ["Connection: close", "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"],
  ["HTTP/1.0", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok"],
  ["Keep-Alive: timeout=1 (a second less is none)", "HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nok"],
] as const) {
  test(`after ${what} the connection is not kept`, async () => {
    const { body, kept } = await exchange(bytes);
    assert.deepEqual([body.text, kept], ["ok", false]);
  });
}

test("a small answer that came whole frees its connection before anybody takes it", async () => {
  await using good = await origin(answering((_head, connection) => `HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n${connection.number}`));
  using room = rig(upstreamOf([good.url]));
  const untaken = await room.upstreams.send("shop", request(), null);
  assert.equal(room.upstreams.status()[0]!.idle, 1);
  const second = await room.upstreams.send("shop", request(), null);
  assert.equal((await readAll(second.body)).text, "0");
  assert.equal((await readAll(untaken.body)).text, "0");
  assert.equal(good.connections.length, 1);
});

test("so does one that came in many pieces while its reader had not begun, and one whose reader is slow", async () => {
  const page = "p".repeat(40_000);
  await using good = await origin(async (connection) => {
    await connection.head();
    connection.send(`HTTP/1.1 200 OK\r\ncontent-length: ${page.length}\r\n\r\n`);
    for (let at = 0; at < page.length; at += 10_000) {
      await new Promise((resolve) => setImmediate(resolve));
      connection.send(page.slice(at, at + 10_000));
    }
  });
  using room = rig(upstreamOf([good.url]));
  const untaken = await room.upstreams.send("shop", request(), null);
  await until(() => room.upstreams.status()[0]!.idle === 1);
  assert.equal((await readAll(untaken.body)).text, page);
});

test("a head of any byte above ASCII arrives as it was sent", async () => {
  const { answer } = await exchange("HTTP/1.1 200 Sch\xf6n\r\nx-name: caf\xe9 \xff\r\ncontent-length: 0\r\n\r\n");
  assert.equal(answer.fields.get("x-name"), "caf\xe9 \xff");
});
