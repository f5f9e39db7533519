import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { test } from "node:test";
import { WebSocket } from "ws";
import { openShop } from "./open-shop.ts";

const shop = await openShop();

async function connect(): Promise<WebSocket> {
  const socket = new WebSocket(`${shop.url.replace("http", "ws")}/ws`);
  await once(socket, "open", { signal: AbortSignal.timeout(10_000) });
  return socket;
}
async function echo(socket: WebSocket, message: string | Buffer): Promise<{ data: Buffer; isBinary: boolean }> {
  const answered = once(socket, "message", { signal: AbortSignal.timeout(10_000) });
  socket.send(message);
  const [data, isBinary] = (await answered) as [Buffer, boolean];
  return { data, isBinary };
}

test("text and bytes come back as they were, many times over one connection", async () => {
  const socket = await connect();
  for (let i = 0; i < 50; i++) {
    const { data, isBinary } = await echo(socket, `message ${i} ✓`);
    assert.equal(data.toString(), `message ${i} ✓`);
    assert.equal(isBinary, false);
  }
  const bytes = randomBytes(700_000);
  const { data, isBinary } = await echo(socket, bytes);
  assert.ok(data.equals(bytes));
  assert.equal(isBinary, true);
  socket.terminate();
});

test("a closing handshake passes through with its code", async () => {
  const socket = await connect();
  const closed = once(socket, "close", { signal: AbortSignal.timeout(10_000) });
  socket.close(4001, "enough");
  assert.equal((await closed)[0], 4001);
});

test("twenty sockets at once don't mix up their messages", async () => {
  const sockets = await Promise.all(Array.from({ length: 20 }, connect));
  const answers = await Promise.all(sockets.map((socket, i) => echo(socket, `socket ${i}`)));
  assert.deepEqual(
    answers.map(({ data }) => data.toString()),
    sockets.map((_, i) => `socket ${i}`),
  );
  for (const socket of sockets) socket.terminate();
});
