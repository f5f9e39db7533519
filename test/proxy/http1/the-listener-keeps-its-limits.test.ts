import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { ManualClock } from "../../../runtime/clock.ts";
import { ClientCounts, clientKey } from "../../../runtime/proxy/client-counts.ts";
import { ACCEPTS_PER_TURN, listen } from "../../../runtime/proxy/listener.ts";
import { Fields } from "../../../runtime/proxy/fields.ts";
import { ask, INNOCENT, LIMITS, ok, startFront } from "./front-harness.ts";

for (const [limit, what] of [
  ["connectionsPerClient", "of one client"],
  ["connections", "of all"],
] as const) {
  test(`one connection ${what} too many is answered 503 and closed, and the place is free again afterwards`, async () => {
    const harness = await startFront({ limits: { [limit]: 2 }, onExchange: ok });
    const first = await harness.connect();
    const second = await harness.connect();
    for (const client of [first, second]) {
      client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await client.until((received) => received.endsWith("ok"));
    }
    const third = await harness.connect();
    assert.match(await third.whole(), /^HTTP\/1\.1 503 [^]*sluice-error: TOO_MANY_CONNECTIONS\r\n[^]*connection: close\r\n\r\n503 TOO_MANY_CONNECTIONS\n$/);
    third.socket.destroy();
    first.socket.destroy();
    second.socket.destroy();
    await harness.front.idle();
    assert.match(await ask(harness, INNOCENT), /200 OK/);
    assert.equal(harness.refused[0]!.code, "TOO_MANY_CONNECTIONS");
    await harness.close();
  });
}

test("clients are counted by IPv4 address or IPv6 /64", () => {
  assert.equal(clientKey("192.0.2.1"), "192.0.2.1");
  assert.equal(clientKey("::ffff:192.0.2.1"), "192.0.2.1");
  assert.equal(clientKey("2001:db8:1:2:3:4:5:6"), clientKey("2001:db8:1:2::9"));
  assert.equal(clientKey("2001:db8::1"), "2001:db8:0:0::/64");
  assert.notEqual(clientKey("2001:db8:1:2::1"), clientKey("2001:db8:1:3::1"));
  assert.equal(clientKey("fe80::1%eth0"), "fe80:0:0:0::/64");
  assert.equal(clientKey("::1"), "0:0:0:0::/64");
});

test("counting leaves nothing behind for clients that left", () => {
  const counts = new ClientCounts();
  counts.enter("a");
  counts.enter("a");
  counts.leave("a");
  assert.equal(counts.of("a"), 1);
  counts.leave("a");
  assert.equal(counts.of("a"), 0);
});

test("a process that inherited the listening socket and leaves takes nothing with it", async () => {
  const bound = new net.BoundSocket({ host: "127.0.0.1", port: 0 });
  const { port } = bound.address();
  const file = join(import.meta.dirname, "inherited-listener-main.ts");
  const child = spawn(process.execPath, ["--conditions=sluice-source", file], { stdio: ["ignore", "pipe", "inherit", bound.fd()] });
  const exited = once(child, "exit");
  await once(child.stdout!, "data");
  const harness = await startFront({ onExchange: ok });
  const first = await harness.connect({ port });
  first.send(INNOCENT);
  assert.match(await first.whole(), /200 OK/);
  first.socket.destroy();
  assert.deepEqual(await exited, [0, null]);
  // Nobody accepts now; the connection waits in the queue of the socket that is still open here.
  const waiting = await harness.connect({ port });
  waiting.send(INNOCENT);
  const listener = listen({ fds: [bound.fd()] }, harness.front, { limits: LIMITS, onRefused: () => assert.fail() });
  await listener.ready;
  assert.equal(listener.port, port);
  assert.match(await waiting.whole(), /200 OK/);
  assert.equal(listener.accepted, 1);
  listener.stopAccepting();
  await harness.close();
});

test("a thousand connections that come while we are busy wait to be accepted", async () => {
  const bound = new net.BoundSocket({ host: "127.0.0.1", port: 0 });
  const harness = await startFront({ onExchange: ok });
  const limits = { ...LIMITS, connections: 2_000, connectionsPerClient: 2_000 };
  const listener = listen({ fds: [bound.fd()] }, harness.front, { limits, onRefused: () => assert.fail() });
  await listener.ready;
  // As long as this call lasts nobody accepts. Whom the queue has no room for is not connected before that.
  const crowd = spawnSync(process.execPath, ["-e", CROWD, String(bound.address().port)], { timeout: 20_000, encoding: "utf8" });
  assert.equal(crowd.stdout, "1000 connected", crowd.stderr);
  listener.stopAccepting();
  await harness.close();
});

test("those who wait are accepted many a turn, not one", async () => {
  const bound = new net.BoundSocket({ host: "127.0.0.1", port: 0 });
  const file = join(import.meta.dirname, "waiting-crowd-main.ts");
  const crowd = 2 * ACCEPTS_PER_TURN;
  const child = spawn(process.execPath, ["--conditions=sluice-source", file, String(crowd)], {
    stdio: ["pipe", "pipe", "inherit", ...Array.from({ length: ACCEPTS_PER_TURN }, () => bound.fd())],
  });
  await once(child.stdout!, "data");
  const sockets = Array.from({ length: crowd }, () => net.connect(bound.address().port, "127.0.0.1"));
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  child.stdin!.end("\n");
  const [said] = (await once(child.stdout!, "data")) as [Buffer];
  const turns = Number(said.toString());
  assert.ok(turns <= 4, `${crowd} connections took ${turns} turns`);
  for (const socket of sockets) socket.destroy();
  assert.deepEqual(await once(child, "exit"), [0, null]);
  bound.close();
});

const CROWD = `
  let connected = 0;
  for (let i = 0; i < 1000; i++) {
    require("node:net").connect(Number(process.argv[1]), "127.0.0.1").once("connect", () => {
      if (++connected === 1000) process.stdout.write("1000 connected", () => process.exit(0));
    });
  }
`;

test("a port that is taken rejects with its code", async () => {
  const harness = await startFront();
  const second = listen({ host: "127.0.0.1", port: harness.port }, harness.front, { limits: LIMITS, onRefused: () => undefined });
  await assert.rejects(second.ready, { code: "EADDRINUSE" });
  await harness.close();
});

test("accepted connections go on when the listener stops, and idle() resolves once they are gone", async () => {
  const harness = await startFront({ onExchange: ok });
  const client = await harness.connect();
  client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
  await client.until((received) => received.endsWith("ok"));
  harness.listener.stopAccepting();
  client.send(INNOCENT);
  await client.whole();
  client.socket.destroy();
  await harness.front.idle();
  await assert.rejects(once(net.connect(harness.port, "127.0.0.1"), "connect"), { code: "ECONNREFUSED" });
  await harness.close();
});

test("draining lets running exchanges finish and says so, and closes idle connections once no request can be on its way", async () => {
  const clock = new ManualClock();
  const harness = await startFront({ clock, onExchange: () => undefined });
  const idle = await harness.connect();
  idle.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
  ok(await harness.exchange(0));
  await idle.until((received) => received.endsWith("ok"));
  const late = await harness.connect();
  late.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
  ok(await harness.exchange(1));
  const busy = await harness.connect();
  busy.send("GET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
  const exchange = await harness.exchange(2);
  harness.front.drain();
  late.send("GET /4 HTTP/1.1\r\nHost: a\r\n\r\n");
  (await harness.exchange(3)).reply(200, new Fields(), "just in time");
  assert.match(await late.whole(), /connection: close\r\n\r\njust in time$/);
  clock.advance(1000);
  assert.match(await idle.whole(), /ok$/);
  exchange.reply(200, new Fields(), "last");
  assert.match(await busy.whole(), /connection: close\r\n\r\nlast$/);
  for (const client of [idle, late, busy]) client.socket.destroy();
  await harness.front.idle();
  await harness.close();
});
