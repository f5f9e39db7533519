import assert from "node:assert/strict";
import { connect, createServer, type AddressInfo, type Server } from "node:net";
import { after, before, beforeEach, test } from "node:test";
import { GatewayError } from "../../runtime/errors.ts";
import type { Store, StoreEvent } from "../../runtime/store/store.ts";
import { redisWorkers } from "./redis.ts";
import { startRedis, type RedisServer } from "./redis-server.ts";
import { append, lastingAdd } from "./scripts.ts";
import { until } from "../support/until.ts";

let redis: RedisServer;
before(async () => {
  redis = await startRedis();
});
beforeEach(() => redis.restart());
after(() => redis.stop());

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "done",
    (error: unknown) => (error instanceof GatewayError ? error.code : String(error)),
  );
const isReady = (store: Store) => until(() => store.health().state === "ready");

test("killed under load: every call ends, later ones fail at once, and all is well when it is back", async (t) => {
  const store = await redisWorkers(t, redis.url)({ timeout: "300ms" });
  await store.set("k", "1", { ttlMs: null });
  const states: string[] = [];
  store.onHealth(({ state }) => void states.push(state));
  const codes: Promise<string>[] = [];
  for (let i = 0; i < 500; i++) codes.push(codeOf(store.run(lastingAdd, ["{n}a", "{n}b"], [1])));
  const killed = redis.kill();
  for (let i = 0; i < 500; i++) codes.push(codeOf(store.get("k")));
  await killed;
  for (const code of new Set(await Promise.all(codes))) assert.ok(["done", "STORE_UNAVAILABLE", "STORE_TIMEOUT"].includes(code), code);
  await until(() => store.health().state === "unavailable");
  const { timeouts } = store.health();
  assert.equal(await codeOf(store.get("k")), "STORE_UNAVAILABLE");
  assert.equal(store.health().timeouts, timeouts, "that one did not wait");
  await redis.restart();
  await isReady(store);
  assert.deepEqual(await store.run(lastingAdd, ["{n}a", "{n}b"], [1]), [1, 1]);
  assert.deepEqual(states, ["connecting", "unavailable", "ready"]);
});

test("a connection that breaks while the server lives costs a wait, not a failure", async (t) => {
  const store = await redisWorkers(t, redis.url)();
  await store.set("k", "1", { ttlMs: null });
  await redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  await until(() => store.health().reconnects === 1);
  assert.equal(String(await store.get("k")), "1");
  assert.equal(store.health().failures, 0);
});

test("stopped (SIGSTOP): one time-out, then nobody waits; when it goes on, so does the store", async (t) => {
  const store = await redisWorkers(t, redis.url)({ timeout: "200ms" });
  await store.set("k", "1", { ttlMs: null });
  redis.signal("SIGSTOP");
  const codes = await Promise.all(Array.from({ length: 20 }, () => codeOf(store.get("k"))));
  assert.deepEqual(new Set(codes), new Set(["STORE_TIMEOUT"]));
  assert.equal(store.health().state, "unavailable");
  assert.match(store.health().reason, /no answer for 200 ms/);
  assert.equal(await codeOf(store.get("k")), "STORE_UNAVAILABLE");
  redis.signal("SIGCONT");
  await isReady(store);
  assert.equal(String(await store.get("k")), "1");
});

/** Between a store and Redis: holds back what Redis answers, while `slow` is set. */
function slowLine(port: number): Promise<{ url: string; slow: boolean; close(): void }> {
  const line = { url: "", slow: false, close: () => void server.close() };
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    near.on("data", (bytes: Buffer) => far.write(bytes)).on("close", () => far.destroy());
    // In order: nothing overtakes what is held back.
    let lastMs = 0;
    far.on("close", () => near.destroy());
    far.on("data", (bytes: Buffer) => {
      lastMs = Math.max(lastMs, performance.now() + (line.slow ? 1000 : 0));
      setTimeout(() => near.write(bytes), Math.max(0, lastMs - performance.now()));
    });
    for (const socket of [near, far]) socket.on("error", () => undefined);
  });
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => {
      line.url = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
      resolve(line);
    }),
  );
}

test("slower than the time-out: nobody waits longer than that, late answers hurt nobody, and it is ready again when it is quick", async (t) => {
  const line = await slowLine(redis.port);
  t.after(() => line.close());
  const store = await redisWorkers(t, line.url)({ timeout: "100ms" });
  await store.set("k", "1", { ttlMs: null });
  line.slow = true;
  assert.equal(await codeOf(store.run(lastingAdd, ["{n}a", "{n}b"], [1])), "STORE_TIMEOUT");
  assert.equal(store.health().state, "unavailable");
  assert.equal(await codeOf(store.get("k")), "STORE_UNAVAILABLE");
  line.slow = false;
  await isReady(store);
  assert.equal(String(await store.get("k")), "1");
  assert.deepEqual(await store.run(lastingAdd, ["{n}a", "{n}b"], [1]), [2, 2], "what timed out was done all the same, as documented");
});

test("away at the start: the first call waits its time, the next do not, and the store comes up by itself", async (t) => {
  await redis.kill();
  const store = await redisWorkers(t, redis.url)({ timeout: "100ms" });
  assert.match(await codeOf(store.get("k")), /STORE_(TIMEOUT|UNAVAILABLE)/);
  await until(() => store.health().state === "unavailable");
  assert.match(store.health().reason, /ECONNREFUSED/);
  await redis.restart();
  await isReady(store);
  assert.equal(await store.get("k"), null);
});

test("flushed, scripts too: scripts are sent whole once more", async (t) => {
  const store = await redisWorkers(t, redis.url)();
  assert.deepEqual(await store.run(append, ["k"], ["a", 0]), [1, "a", null]);
  assert.deepEqual(await store.run(append, ["k"], ["b", 0]), [2, "ab", null]);
  assert.equal(await redis.ask("SCRIPT", "FLUSH"), "+OK");
  assert.equal(await redis.ask("FLUSHALL"), "+OK");
  assert.deepEqual(await Promise.all([store.run(append, ["k"], ["c", 0]), store.run(append, ["k"], ["d", 0])]), [
    [1, "c", null],
    [2, "cd", null],
  ]);
});

test("a subscriber that was cut off gets what it missed, in order, without a gap", async (t) => {
  const open = redisWorkers(t, redis.url);
  const [subscriber, publisher] = [await open(), await open()];
  const heard: StoreEvent[] = [];
  await subscriber.subscribe("purge", (event) => void heard.push(event)).ready;
  await publisher.publish("purge", "0");
  await until(() => heard.length === 1);
  for (let i = 1; i <= 30; i++) {
    if (i % 10 === 0) await redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    // One that was under way when its connection broke may be told as failed.
    await until(async () => (await codeOf(publisher.publish("purge", String(i)))) === "done");
  }
  await until(() => heard.some((event) => event.type === "message" && event.message === "30"));
  const texts = heard.map((event) => (event.type === "message" ? event.message : "gap"));
  assert.deepEqual(
    texts.filter((text, i) => text !== texts[i - 1]),
    Array.from({ length: 31 }, (_, i) => String(i)),
  );
});

test("what can't be caught up is told as a gap: after a flush, a restart without data, more messages than are kept", async (t) => {
  const open = redisWorkers(t, { url: redis.url, prefix: "gap:" });
  const [subscriber, publisher] = [await open({ timeout: "300ms" }), await open({ timeout: "300ms" })];
  // On a busy machine their short time-out may be over before they are connected.
  await Promise.all([isReady(subscriber), isReady(publisher)]);
  const heard: string[] = [];
  await subscriber.subscribe("purge", (event) => void heard.push(event.type === "gap" ? "gap" : event.message)).ready;
  const publish = (text: string) => until(async () => (await codeOf(publisher.publish("purge", text))) === "done");
  await publish("one");
  await until(() => heard.length === 1);
  await redis.ask("FLUSHALL");
  await until(() => heard.length === 2);
  await publish("two");
  await until(() => heard.length === 3);
  assert.deepEqual(heard, ["one", "gap", "two"]);
  await redis.kill();
  await redis.restart();
  await isReady(publisher);
  await publish("three");
  await until(() => heard.includes("three"));
  assert.deepEqual(heard.slice(3, 5), ["gap", "three"]);

  heard.length = 0;
  redis.signal("SIGSTOP");
  await until(() => subscriber.health().state === "unavailable" || codeOf(subscriber.get("k")).then(() => false));
  redis.signal("SIGCONT");
  await Promise.all([isReady(subscriber), isReady(publisher)]);
  await publish("four");
  await until(() => heard.includes("four"));
  assert.deepEqual(heard, ["four"], "a pause alone loses nothing");

  // Two messages at one instant, of which the first is not kept.
  const publishTwo = `for i = 1, 2 do redis.call("XADD", KEYS[1], "MAXLEN", 1, "*", "n", redis.call("INCR", KEYS[2]), "m", "m" .. i) end return "ok"`;
  await redis.ask("EVAL", publishTwo, "2", "gap:topic:{purge}:stream", "gap:topic:{purge}:count");
  await until(() => heard.includes("m2"));
  assert.deepEqual(heard, ["four", "gap", "m2"]);
});

test("members that leave are gone at once, those that die after their time", async (t) => {
  const open = redisWorkers(t, redis.url);
  const [a, b, other] = [await open({ gateway: "a" }), await open({ gateway: "a" }), await open({ gateway: "b" })];
  const silent = await open({ gateway: "c", member: false });
  await until(() => [a, b, other, silent].every((store) => store.liveGateways() === 3 && store.liveMembers() === 3));
  await other.close();
  await until(() => a.liveGateways() === 2 && a.liveMembers() === 2);
  await redis.kill();
  await until(() => a.health().state !== "ready");
  assert.equal(a.liveGateways(), 2, "the last known number stays");
});

/** A server that speaks just enough to be asked who it is. */
function fakeRedis(answers: (command: string) => string): Promise<{ server: Server; url: string }> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.setEncoding("utf8").on("data", (text: string) => {
      const words = text.split("\r\n").filter((_, i) => i % 2 === 0 && i > 0);
      socket.write(answers(words.join(" ").toLowerCase()));
    });
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve({ server, url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}` })));
}

test("a server that is too old is refused by its version", async (t) => {
  const info = "# Server\r\nredis_version:6.0.16\r\n";
  const { server, url } = await fakeRedis((command) => (command.startsWith("info") ? `$${info.length}\r\n${info}\r\n` : "+OK\r\n"));
  t.after(() => server.close());
  const warnings: string[] = [];
  const store = await redisWorkers(t, url)({ warn: (text) => void warnings.push(text) });
  await until(() => store.health().state === "refused");
  assert.equal(store.health().reason, "Redis 6.0.16 is too old: 6.2 or newer is expected");
  assert.deepEqual(warnings, ["Redis refuses: Redis 6.0.16 is too old: 6.2 or newer is expected"]);
  assert.equal(await codeOf(store.get("k")), "STORE_REFUSED");
});

test("a user without a right is told which, and works once it has it; the documented rights are enough", async (t) => {
  await redis.ask("ACL", "SETUSER", "edge", "on", ">secret", "resetkeys", "~test-*", "+@read", "+ping", "+info");
  const { port } = redis;
  const open = redisWorkers(t, { url: `redis://edge:secret@127.0.0.1:${port}` });
  const store = await open();
  await until(() => store.health().state === "refused");
  assert.match(store.health().reason, /permission|NOPERM|can't run/i);
  assert.doesNotMatch(store.health().reason, /secret/);
  await redis.ask("ACL", "SETUSER", "edge", "+@write", "+@scripting", "+time");
  await isReady(store);
  const heard: StoreEvent[] = [];
  await store.subscribe("purge", (event) => void heard.push(event)).ready;
  await store.publish("purge", "x");
  await until(() => heard.length === 1);
  assert.deepEqual(await store.run(append, ["k"], ["a", 1000]), [1, "a", null]);
  await store.set("k", "v", { ttlMs: 1000 });
  assert.deepEqual(await store.getMany(["k", "none"]), [Buffer.from("v"), null]);
  assert.equal(await store.delete(["k"]), 1);
  await until(() => store.liveMembers() === 1);
  const wrong = await redisWorkers(t, { url: `redis://edge:wrong@127.0.0.1:${port}` })();
  await until(() => wrong.health().state === "refused");
  assert.match(wrong.health().reason, /WRONGPASS/);
});
