import assert from "node:assert/strict";
import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { systemClock } from "../../runtime/clock.ts";
import { GatewayError } from "../../runtime/errors.ts";
import { EmbeddedStore } from "../../runtime/store/embedded/client.ts";
import { EmbeddedServer } from "../../runtime/store/embedded/server.ts";
import type { Store, StoreEvent } from "../../runtime/store/store.ts";
import { startEmbedded, storeDir } from "./embedded.ts";
import { append, lastingAdd, TEST_SCRIPTS, unknown } from "./scripts.ts";
import { until } from "../support/until.ts";

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "done",
    (error: unknown) => (error instanceof GatewayError ? error.code : String(error)),
  );

test("a process that is killed is replaced: lasting keys are there again, passing ones are not, subscribers learn of the gap", async (t) => {
  const { host, connect, events } = await startEmbedded(t, { dir: storeDir(t) });
  const store = connect();
  const heard: StoreEvent[] = [];
  await store.subscribe("purge", (event) => void heard.push(event)).ready;
  await store.run(lastingAdd, ["{n}a", "{n}b"], [5]);
  await store.set("lasting", "1", { ttlMs: null, durable: true });
  await store.set("passing", "1", { ttlMs: null });
  const pid = host.pid;
  process.kill(pid, "SIGKILL");
  await until(() => store.health().state === "ready" && host.pid !== pid && host.pid !== 0 && store.health().reconnects > 0);
  assert.deepEqual(await store.run(lastingAdd, ["{n}a", "{n}b"], [1]), [6, 6]);
  assert.deepEqual(await store.getMany(["lasting", "passing"]), [Buffer.from("1"), null]);
  await until(() => heard.length > 0);
  await store.publish("purge", "after");
  await until(() => heard.length > 1);
  assert.deepEqual(heard, [{ type: "gap" }, { type: "message", message: "after" }]);
  assert.equal(host.status.restarts, 1);
  assert.ok(events.some(({ event }) => event === "store-lost"));
});

test("calls under way when the process dies end: what may be sent again is, the rest is told", async (t) => {
  const { host, connect } = await startEmbedded(t);
  const store = connect();
  await store.set("k", "1", { ttlMs: null });
  process.kill(host.pid, "SIGSTOP");
  const reads = Array.from({ length: 50 }, () => store.get("k"));
  const writes = Array.from({ length: 50 }, () => codeOf(store.run(append, ["text"], ["x", 0])));
  // Sent, and not yet answered.
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  process.kill(host.pid, "SIGKILL");
  assert.deepEqual(new Set(await Promise.all(writes)), new Set(["STORE_UNAVAILABLE"]));
  assert.deepEqual(new Set((await Promise.all(reads)).map(String)), new Set(["null"]), "asked of the new process, which has no passing keys");
});

test("a process that is stopped costs one time-out, then nobody waits for it; when it goes on, so does the store", async (t) => {
  const { host, connect } = await startEmbedded(t);
  const store = connect({ timeoutMs: 200 });
  await store.set("k", "1", { ttlMs: null });
  process.kill(host.pid, "SIGSTOP");
  assert.equal(await codeOf(store.get("k")), "STORE_TIMEOUT");
  const { state, reason, timeouts } = store.health();
  assert.deepEqual([state, reason, timeouts], ["unavailable", "no answer for 200 ms", 1]);
  assert.equal(await codeOf(store.get("k")), "STORE_UNAVAILABLE");
  assert.equal(store.health().timeouts, 1, "that one did not wait");
  process.kill(host.pid, "SIGCONT");
  await until(() => store.health().state === "ready");
  assert.equal(String(await store.get("k")), "1");
});

test("a process that was never there costs one time-out, too", async () => {
  const store = new EmbeddedStore({ clock: systemClock, timeoutMs: 50, member: true, requestPipe: () => undefined, warn: () => undefined });
  assert.equal(await codeOf(store.get("k")), "STORE_TIMEOUT");
  assert.equal(await codeOf(store.get("k")), "STORE_UNAVAILABLE");
  await store.close();
});

for (const [what, damage] of [
  ["ends in the middle of a record", (file: string) => truncateSync(file, statSync(file).size - 3)],
  ["ends with bytes that are none of ours", (file: string) => appendFileSync(file, Buffer.from("no record at all, but long enough to look like one"))],
  [
    "has a flipped bit in its last record",
    (file: string) => {
      const bytes = readFileSync(file);
      bytes[bytes.length - 2]! ^= 1;
      writeFileSync(file, bytes);
    },
  ],
] as const) {
  test(`of a log that ${what} all whole records are loaded, and nothing torn`, async (t) => {
    const dir = storeDir(t);
    const first = await startEmbedded(t, { dir });
    const writer = first.connect();
    await writer.run(lastingAdd, ["{n}a", "{n}b"], [1]);
    await writer.run(lastingAdd, ["{n}a", "{n}b"], [10]);
    await writer.run(lastingAdd, ["{n}a", "{n}b"], [100]);
    await writer.close();
    await first.host.stop();
    damage(join(dir, "store.log"));
    const second = await startEmbedded(t, { dir });
    const store = second.connect();
    const whole = what === "ends with bytes that are none of ours" ? 111 : 11;
    assert.deepEqual(await store.run(lastingAdd, ["{n}a", "{n}b"], [0]), [whole, whole], "both of a script's writes or neither");
    assert.match(JSON.stringify(second.events), /no whole record; they were cut off/);
    await store.run(lastingAdd, ["{n}a", "{n}b"], [1000]);
    await store.close();
    await second.host.stop();
    const third = await startEmbedded(t, { dir });
    assert.deepEqual(await third.connect().run(lastingAdd, ["{n}a", "{n}b"], [0]), [whole + 1000, whole + 1000]);
  });
}

test("a log of many changes to few keys is written anew, also while it changes, and stays short", async (t) => {
  const dir = storeDir(t);
  const { host, connect } = await startEmbedded(t, { dir });
  const store = connect();
  const value = Buffer.alloc(20_000, "v");
  for (let round = 0; round < 40; round++) {
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => store.set(`k${i}`, Buffer.concat([Buffer.from(`${round} `), value]), { ttlMs: null, durable: true })),
    );
  }
  // 40 × 20 × 27 KB were written; 20 keys are 0.5 MB.
  await until(() => statSync(join(dir, "store.log")).size < 4_000_000);
  await store.set("k0", "the last", { ttlMs: 60_000, durable: true });
  assert.equal(await store.delete(["k1"]), 1);
  process.kill(host.pid, "SIGKILL");
  await until(() => store.health().reconnects > 0 && store.health().state === "ready");
  const found = await store.getMany(["k0", "k1", "k2", "k19"]);
  assert.deepEqual(
    found.map((bytes) => bytes?.subarray(0, 8).toString() ?? null),
    ["the last", null, "39 vvvvv", "39 vvvvv"],
  );
});

test("memory is bounded: passing keys make room, the least recently used first; lasting ones are refused", async (t) => {
  const { connect, host } = await startEmbedded(t, { limitBytes: 1024 * 1024 });
  const store = connect();
  const kilobyte = Buffer.alloc(1024);
  await store.set("used", kilobyte, { ttlMs: null });
  for (let i = 0; i < 2000; i++) {
    await store.set(`k${i}`, kilobyte, { ttlMs: null });
    if (i % 100 === 0) assert.ok(await store.get("used"));
  }
  assert.deepEqual(
    (await store.getMany(["used", "k0", "k1999"])).map((bytes) => bytes !== null),
    [true, false, true],
  );
  let kept = 0;
  let code = "done";
  while (code === "done" && kept < 2000) {
    code = await codeOf(store.set(`lasting${kept}`, kilobyte, { ttlMs: null, durable: true }));
    if (code === "done") kept++;
  }
  assert.deepEqual([code, kept > 500 && kept < 800], ["STORE_FULL", true]);
  await until(() => host.status.evicted > 0);
  assert.ok(host.status.bytes <= 1024 * 1024);
});

test("two gateways never write one log: the second store waits until the first is gone", async (t) => {
  const dir = storeDir(t);
  const first = await startEmbedded(t, { dir });
  const writer = first.connect();
  await writer.set("k", "first", { ttlMs: null, durable: true });
  const lines: string[] = [];
  const second = startEmbedded(t, { dir, onEvent: (_level, event, facts) => void lines.push(`${event} ${JSON.stringify(facts)}`) });
  await until(() => lines.length >= 2);
  assert.match(lines[0]!, /store-lost.*another gateway's store uses .*; give each its own stateDir/);
  await first.host.stop();
  const { connect } = await second;
  assert.equal(String(await connect().get("k")), "first");
});

test("calls of one event-loop turn share one frame, each way", async (t) => {
  const [near, far] = duplexPair();
  const server = new EmbeddedServer({ scripts: TEST_SCRIPTS, limitBytes: 1024 * 1024, dir: "", unixMs: () => Date.now(), warn: () => undefined });
  server.serve(far);
  const store = new EmbeddedStore({ clock: systemClock, timeoutMs: 5000, member: true, requestPipe: () => undefined, warn: () => undefined });
  t.after(() => store.close());
  store.attach(near);
  await store.get("k");
  const frames = { out: 0, in: 0 };
  far.on("data", () => frames.out++);
  near.on("data", () => frames.in++);
  await Promise.all([...Array.from({ length: 100 }, (_, i) => store.run(append, [`k${i}`], ["x", 0])), store.get("k1"), store.delete(["k2"])]);
  assert.deepEqual(frames, { out: 1, in: 1 });
});

test("a script that the process does not know is a defect, told by name, and no reason to close the pipe", async (t) => {
  const { connect } = await startEmbedded(t);
  const store = connect();
  await assert.rejects(store.run(unknown, ["k"], []), { code: "INTERNAL", detail: "the store's process does not know the script test:unknown" });
  assert.equal(await store.get("k"), null);
});

test("whoever sends what is no frame is let go, and nobody else notices", async (t) => {
  const warnings: string[] = [];
  const server = new EmbeddedServer({
    scripts: TEST_SCRIPTS,
    limitBytes: 1024 * 1024,
    dir: "",
    unixMs: () => Date.now(),
    warn: (text) => void warnings.push(text),
  });
  const [near, far] = duplexPair();
  server.serve(far);
  const store: Store & { attach(stream: typeof near): void } = new EmbeddedStore({
    clock: systemClock,
    timeoutMs: 5000,
    member: true,
    requestPipe: () => undefined,
    warn: () => undefined,
  });
  t.after(() => store.close());
  store.attach(near);
  for (const bytes of [Buffer.alloc(64, 0xff), Buffer.from([3, 0, 0, 0, 99, 0, 0]), Buffer.from([12, 0, 0, 0, 99, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])]) {
    const [stranger, inside] = duplexPair();
    server.serve(inside);
    const gone = new Promise((resolve) => inside.once("close", resolve));
    stranger.write(bytes);
    await gone;
  }
  assert.equal(warnings.length, 3);
  await store.set("k", "1", { ttlMs: null });
  assert.equal(String(await store.get("k")), "1");
});
