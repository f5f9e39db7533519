/** libuv reads one readable socket 32 times before it looks at the next: a large transfer would hold up every small request beside it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import test, { type TestContext } from "node:test";
import { connectSocket } from "../../../runtime/proxy/http1/socket.ts";

const TRANSFER_BYTES = 32 << 20;
/** Four buffers of 64 KiB. */
const MOST_BYTES_A_TURN = 256 << 10;

async function origin(t: TestContext): Promise<number> {
  const server = net.createServer((socket) => {
    // The reader may leave in the middle.
    socket.on("error", () => socket.destroy()).end(Buffer.alloc(TRANSFER_BYTES, "x"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

test("a socket that is always readable is read for a quarter of a MiB, then everyone else has a turn", async (t) => {
  const port = await origin(t);
  let received = 0;
  let sinceTurn = 0;
  let most = 0;
  let over = false;
  const turn = (): void => {
    sinceTurn = 0;
    if (!over) setImmediate(turn);
  };
  turn();
  await new Promise<void>((resolve) => {
    const socket = connectSocket(
      { port, host: "127.0.0.1" },
      {
        onBytes(_bytes, length) {
          received += length;
          sinceTurn += length;
          most = Math.max(most, sinceTurn);
          return true;
        },
        onEnd: () => socket.destroy(),
        onDrain: () => undefined,
        onClose: () => resolve(),
      },
    );
  });
  over = true;
  assert.equal(received, TRANSFER_BYTES);
  assert.ok(most <= MOST_BYTES_A_TURN, `${most} bytes in one turn of the event loop`);
});

test("a reader that pauses where others would have their turn stays paused", async (t) => {
  const port = await origin(t);
  let calls = 0;
  let full = 0;
  const paused = Promise.withResolvers<void>();
  const socket = connectSocket(
    { port, host: "127.0.0.1" },
    {
      onBytes(_bytes, length) {
        calls++;
        if (length < 65_536 || ++full < 4) return true;
        paused.resolve();
        return false;
      },
      onEnd: () => paused.reject(new Error(`only ${full} full reads`)),
      onDrain: () => undefined,
      onClose: () => undefined,
    },
  );
  t.after(() => socket.destroy());
  await paused.promise;
  const before = calls;
  for (let turns = 0; turns < 20; turns++) await new Promise(setImmediate);
  assert.equal(calls, before);
});
