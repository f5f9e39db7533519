import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { ManualClock } from "../../runtime/clock.ts";
import { AdminConnections, AdminRate } from "../../runtime/control/admin-rate.ts";
import { type Deed, startAdmin } from "../../runtime/control/admin.ts";
import { tokenDigest } from "../../runtime/control/roles.ts";

const TOKEN = "0123456789abcdef-token";
const READER = "fedcba9876543210-token";

async function admin(t: TestContext) {
  const clock = new ManualClock();
  const deeds: Deed[] = [];
  const started = await startAdmin({
    listen: { host: "127.0.0.1", port: 0 },
    token: TOKEN,
    tokens: () => [{ name: "reader", roles: ["read"], sha256: tokenDigest(READER) }],
    version: "0",
    gateway: { notReady: () => "", status: () => ({}), metrics: async () => "", purge: async () => null },
    audit: (deed) => void deeds.push(deed),
    log: () => undefined,
    clock,
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  t.after(() => {
    agent.destroy();
    return started.close();
  });
  const ask = (token: string, path = "/metrics"): Promise<{ status: number; retryAfter: string | undefined; connection: string | undefined; body: string }> =>
    new Promise((resolve, reject) => {
      const headers = token === "" ? {} : { authorization: `Bearer ${token}` };
      request({ host: "127.0.0.1", port: started.address.port, path, headers, agent }, (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (piece: string) => (body += piece));
        const { "retry-after": retryAfter, connection } = response.headers;
        response.on("end", () => resolve({ status: response.statusCode!, retryAfter, connection, body }));
      })
        .on("error", reject)
        .end();
    });
  return { ask, clock, deeds, port: started.address.port };
}

test("whoever guesses tokens is stopped after twenty, and needs a connection for each guess; whoever has the right one is let in from the same address", async (t) => {
  const { ask, clock, deeds } = await admin(t);
  for (let i = 0; i < 20; i++) assert.equal((await ask(`guess-number-${i}-of-many`)).status, 401);
  const stopped = await ask("guess-number-21-of-many");
  assert.deepEqual([stopped.status, stopped.retryAfter, (JSON.parse(stopped.body) as { code: string }).code], [429, "1", "TOO_MANY_REQUESTS"]);
  assert.equal(stopped.connection, "close");
  for (const token of [TOKEN, READER]) assert.equal((await ask(token)).status, 200);
  assert.equal((await ask("", "/health")).status, 200);
  clock.advance(1000);
  assert.equal((await ask("another-guess-of-somebody")).status, 401);
  assert.equal((await ask("and-another-guess-of-theirs")).status, 429);
  assert.equal((await ask(TOKEN)).connection, "keep-alive");
  assert.ok(deeds.every(({ actor }) => actor === ""));
  assert.equal(deeds.filter(({ status }) => status === 429).length, 2);
});

test("an address that asks for too much without a token leaves room for who has one", async (t) => {
  const { ask } = await admin(t);
  for (let i = 0; i < 2000; i += 50) await Promise.all(Array.from({ length: 50 }, () => ask("", "/health")));
  assert.equal((await ask("", "/health")).status, 429);
  assert.equal((await ask(TOKEN)).status, 200);
});

test("one token that asks too often is told when to come back; others go on", async (t) => {
  const { ask, clock } = await admin(t);
  for (let i = 0; i < 1000; i += 50) {
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(READER)));
    assert.ok(answers.every(({ status }) => status === 200));
  }
  const { status, retryAfter, body } = await ask(READER);
  assert.deepEqual([status, retryAfter], [429, "1"]);
  assert.match(body, /too many requests with the token \\"reader\\"/);
  assert.equal((await ask(TOKEN)).status, 200);
  clock.advance(1000);
  assert.equal((await ask(READER)).status, 200);
});

test("whoever holds all connections that they may leaves some for others", async (t) => {
  const { ask, port } = await admin(t);
  const open = (localAddress: string): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port, localAddress }, () => resolve(socket));
      socket.on("error", reject);
      t.after(() => socket.destroy());
    });
  const held = await Promise.all(Array.from({ length: 150 }, () => open("127.0.0.9")));
  const refused = await open("127.0.0.9");
  await new Promise((resolve) => refused.resume().once("close", resolve));
  assert.equal(held.filter(({ destroyed }) => destroyed).length, 0);
  assert.equal((await ask(TOKEN)).status, 200);
});

test("a connection that has ended makes room for another one", () => {
  const connections = new AdminConnections(2);
  const first = connections.enter("2001:db8::1");
  assert.notEqual(connections.enter("2001:db8::2"), null);
  assert.equal(connections.enter("2001:db8::3"), null);
  assert.notEqual(connections.enter("192.0.2.1"), null);
  first!();
  assert.notEqual(connections.enter("2001:db8::3"), null);
});

test("an address has a limit of its own; a network of IPv6 is one address", () => {
  const clock = new ManualClock();
  const rate = new AdminRate(() => clock.now());
  for (let i = 0; i < 2000; i++) assert.equal(rate.fromAddress("192.0.2.1"), 0);
  assert.equal(rate.fromAddress("192.0.2.1"), 1);
  assert.equal(rate.fromAddress("192.0.2.2"), 0);
  for (let i = 0; i < 20; i++) rate.failed(`2001:db8::${i}`);
  assert.equal(rate.mayTry("2001:db8::ffff"), 1);
  assert.equal(rate.mayTry("2001:db8:0:1::1"), 0);
});

test("the tables have a bound: a hundred thousand addresses leave ten thousand", () => {
  const rate = new AdminRate(() => 0);
  for (let i = 0; i < 100_000; i++) rate.failed(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
  assert.equal(rate.size, 10_000);
});
