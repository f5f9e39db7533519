import assert from "node:assert/strict";
import { test } from "node:test";
import { Room } from "./room.ts";

const NEVER_BY_SILENCE_MS = 600_000;

test("what no interrupt reaches is ended by its time on a core, not by silence", async (t) => {
  const room = await Room.open(t, { silenceMs: NEVER_BY_SILENCE_MS });
  const release = await room.load({ body: `onRequest() { (1n << 25000000n).toString() }` });
  assert.equal((await room.run(release)).failure?.code, "RULE_CPU");
  const lost = room.told.filter(({ event }) => event === "lost");
  assert.ok(lost.length > 0);
  for (const { reason } of lost) assert.match(reason, /^it gave no sign for \d+ ms on (?:a|more than one) core$/);
});

test("many hooks of one turn that each take some time, and say nothing while they wait, are not taken for one that hangs", async (t) => {
  const room = await Room.open(t, { silenceMs: NEVER_BY_SILENCE_MS });
  // Each takes about 10 ms of CPU and waits for the last one.
  const release = await room.load({
    top: "let arrived = 0, open; const gate = new Promise((resolve) => (open = resolve))",
    body: `async onRequest() { for (let i = 0, sum = 0; i < 1e7; i++) sum += i % 7; if (++arrived === 30) open(); await gate }`,
  });
  const runs = Array.from({ length: 30 }, () => room.run(release));
  for (const run of runs) assert.equal((await run).failure, null);
  assert.equal(room.sandbox.status().restarts, 0);
});
