import assert from "node:assert/strict";
import { test } from "node:test";
import type { Life } from "../../runtime/proxy/life.ts";
import { ShadowQueue } from "../../runtime/proxy/shadow-queue.ts";
import { Witness } from "../../runtime/proxy/witness.ts";
import type { ServiceCall } from "../../runtime/sandbox/sandbox.ts";

const KIB = 1024;

function witness(): Witness {
  const life = {
    core: { clock: { unixMs: () => 0 } },
    request: { target: "/", fields: { list: [] } },
    exchange: { method: "GET", authority: "a", body: { length: 0 }, connection: { scheme: "http", remoteAddress: "10.0.0.1" } },
  };
  return new Witness(life as unknown as Life, null);
}

async function call(watched: Witness, args: unknown, reply: unknown): Promise<void> {
  const told = await watched.serve("kv", { rule: "a.ts", args } as ServiceCall, () => Promise.resolve(reply));
  assert.equal(told, reply, "the rule is told all of it");
}

test("replies of one exchange are kept up to one sum of characters, and those above it are not compared", async () => {
  const watched = witness();
  for (let i = 0; i < 20; i++) await call(watched, { key: String(i) }, { json: "x".repeat(60 * KIB) });
  await call(watched, { key: "last" }, { json: "small" });
  assert.deepEqual(
    watched.calls.map(({ reply }, i) => (reply === null ? -1 : i)).filter((i) => i >= 0),
    [0, 1, 2, 3, 20],
  );
  assert.ok(watched.callUnits > 240 * KIB && watched.callUnits <= 256 * KIB, String(watched.callUnits));
});

test("arguments count as well: a call whose arguments are too large holds neither them nor its reply", async () => {
  const watched = witness();
  await call(watched, { body: "x".repeat(300 * KIB) }, { json: "1" });
  await call(watched, { list: Array.from({ length: 300 * KIB }, () => 0) }, { json: "2" });
  await call(watched, { bytes: Buffer.alloc(300 * KIB) }, { json: "3" });
  await call(watched, { body: "small" }, { json: "4" });
  assert.deepEqual(
    watched.calls.map(({ args, reply }) => [args, reply]),
    [
      [null, null],
      [null, null],
      [null, null],
      [{ body: "small" }, { ok: true, value: { json: "4" } }],
    ],
  );
});

test("what waits for a shadow is bounded by its size and by its number, and room comes back", () => {
  const queue = new ShadowQueue<number>();
  const taken = Array.from({ length: 100 }, (_, i) => queue.add(i, 256 * KIB)).filter(Boolean).length;
  assert.deepEqual([taken, queue.full], [32, true]);
  assert.equal(queue.next(), 0);
  assert.deepEqual([queue.full, queue.add(100, 300 * KIB), queue.add(101, 256 * KIB)], [false, false, true]);
  queue.clear();
  assert.equal(queue.next(), undefined);
  const small = Array.from({ length: 200 }, (_, i) => queue.add(i, 0)).filter(Boolean).length;
  assert.deepEqual([small, queue.full], [128, true]);
});
