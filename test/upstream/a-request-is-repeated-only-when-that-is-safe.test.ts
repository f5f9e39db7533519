import assert from "node:assert/strict";
import { test } from "node:test";
import { asGatewayError } from "../../runtime/errors.ts";
import { ManualClock } from "../../runtime/clock.ts";
import type { UpstreamRequest } from "../../runtime/proxy/exchange.ts";
import { failure, HandFedBody, origin, type Origin, readAll, request, rig, textBody, until, upstreamOf } from "./origin.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/** Serves one request on its first connection and slams it shut on the second; serves all others well. */
function raceOrigin(heads: string[]): Promise<Origin> {
  return origin(async (connection) => {
    heads.push(await connection.head());
    connection.send(OK);
    const second = await connection.head().catch(() => null);
    if (second === null) return;
    heads.push(second);
    connection.socket.resetAndDestroy();
  });
}

async function afterOneGoodRequest(second: UpstreamRequest) {
  const heads: string[] = [];
  await using slammed = await raceOrigin(heads);
  using room = rig(upstreamOf([slammed.url]));
  await readAll((await room.upstreams.send("shop", request(), null)).body);
  const outcome = await room.upstreams.send("shop", second, null).then(
    async (answer) => ({ status: answer.status, attempts: answer.attempts, text: (await readAll(answer.body)).text, code: "" }),
    (thrown: unknown) => ({ status: 0, attempts: 0, text: "", code: asGatewayError(thrown).code as string }),
  );
  return { outcome, connections: slammed.connections.length, heads, events: room.events.map(({ kind }) => kind) };
}

for (const method of ["GET", "HEAD", "OPTIONS", "DELETE", "PUT"]) {
  test(`${method} without a body is sent again on a fresh connection when the kept one was closed under it`, async () => {
    const { outcome, connections, heads, events } = await afterOneGoodRequest(request({ method }));
    assert.equal(outcome.status, 200);
    assert.equal(outcome.attempts, 2);
    assert.equal(connections, 2);
    assert.equal(heads.length, 3);
    assert.deepEqual(events, ["repeated"]);
  });
}

for (const [what, unsafe] of [
  ["POST", request({ method: "POST" })],
  ["PATCH", request({ method: "PATCH" })],
  ["an unknown method", request({ method: "BREW" })],
  ["PUT whose body was read", request({ method: "PUT", body: textBody("a=1") })],
] as const) {
  test(`${what} is never sent twice`, async () => {
    const { outcome, connections, heads } = await afterOneGoodRequest(unsafe);
    assert.equal(outcome.code, "UPSTREAM_RESET");
    assert.equal(connections, 1);
    assert.equal(heads.length, 2);
  });
}

test("a GET is not sent again when a byte of the answer had come", async () => {
  await using half = await origin(async (connection) => {
    await connection.head();
    connection.send(OK);
    await connection.head();
    connection.send("HTTP/1.1 200");
    connection.socket.end();
  });
  using room = rig(upstreamOf([half.url]));
  await readAll((await room.upstreams.send("shop", request(), null)).body);
  const error = await failure(room.upstreams.send("shop", request(), null));
  assert.equal(error.code, "UPSTREAM_RESET");
  assert.equal(half.connections.length, 1);
});

test("a GET on a fresh connection that breaks is not sent again", async () => {
  await using broken = await origin(async (connection) => {
    await connection.head();
    connection.socket.resetAndDestroy();
  });
  using room = rig(upstreamOf([broken.url]));
  assert.equal((await failure(room.upstreams.send("shop", request(), null))).code, "UPSTREAM_RESET");
  assert.equal(broken.connections.length, 1);
});

test("what may not be repeated never goes out on a connection that sat idle for more than a second", async () => {
  const clock = new ManualClock();
  await using good = await origin(async (connection) => {
    for (;;) {
      const head = await connection.head().catch(() => null);
      if (head === null) return;
      connection.send(`HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n${connection.number}`);
    }
  });
  using room = rig(upstreamOf([good.url]), { clock });
  const via = async (sent: UpstreamRequest): Promise<string> => (await readAll((await room.upstreams.send("shop", sent, null)).body)).text;
  assert.equal(await via(request()), "0");
  clock.advance(1_000);
  assert.equal(await via(request({ method: "POST" })), "0", "still fresh enough");
  clock.advance(1_001);
  assert.equal(await via(request({ method: "POST" })), "1", "too old, so that a new one was made");
  clock.advance(1_001);
  assert.equal(await via(request({ method: "PUT", body: textBody("x") })), "2", "a body can be sent once only");
  assert.equal(await via(request()), "2", "a GET takes the youngest at any age");
});

test("a body that was not asked for yet does not make a request unrepeatable on its way to a dead target", async () => {
  await using good = await origin(async (connection) => {
    await connection.head();
    await connection.take("abc");
    connection.send(OK);
  });
  const body = new HandFedBody(3);
  using room = rig(upstreamOf(["http://127.0.0.1:1", good.url]));
  const sending = room.upstreams.send("shop", request({ method: "POST", body }), null);
  const sink = await body.begun;
  sink.chunk(Buffer.from("abc"));
  sink.end(null);
  const answer = await sending;
  assert.equal(answer.attempts, 2);
  assert.equal(answer.target, good.url);
  await until(() => room.upstreams.status()[1]!.idle === 1);
});
