import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../runtime/clock.ts";
import { Names, type ResolveName } from "../../runtime/upstream/names.ts";
import { answering, failure, origin, request, rig, upstreamOf } from "./origin.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const unknown: ResolveName = (name, done) => done(new Error(`getaddrinfo ENOTFOUND ${name}`), []);

test("it starts as down with one warning, and the other targets take the requests", async () => {
  await using good = await origin(answering(() => OK));
  using room = rig(upstreamOf([`http://gone.test:${good.port}`, good.url]), { resolveName: unknown });
  assert.deepEqual(
    room.upstreams.status().map(({ resolved }) => resolved),
    [false, true],
  );
  assert.equal(room.warnings.length, 1);
  assert.match(room.warnings[0]!, /gone\.test.*does not resolve/);
  for (let i = 0; i < 4; i++) assert.equal((await room.upstreams.send("shop", request(), null)).attempts, 1);
  assert.equal(room.warnings.length, 1);
});

test("when it is the only target a request counts as a failed connect, and asks the name again", async () => {
  const clock = new ManualClock();
  let asked = 0;
  await using good = await origin(answering(() => OK));
  const later: ResolveName = (name, done) => (++asked < 3 ? unknown(name, done) : done(null, [{ address: "127.0.0.1", family: 4 }]));
  using room = rig(upstreamOf([`http://later.test:${good.port}`]), { clock, resolveName: later });
  const error = await failure(room.upstreams.send("shop", request(), null));
  assert.equal(error.code, "UPSTREAM_CONNECT_FAILED");
  assert.match(error.detail, /ENOTFOUND/);
  assert.equal(asked, 1, "the failure is remembered for a moment");
  clock.advance(1_001);
  await failure(room.upstreams.send("shop", request(), null));
  assert.equal(asked, 2);
  clock.advance(1_001);
  assert.equal((await room.upstreams.send("shop", request(), null)).status, 200);
  assert.equal(asked, 3);
  assert.equal(room.upstreams.status()[0]!.resolved, true);
  assert.deepEqual(
    room.events.map(({ kind }) => kind).filter((kind) => kind.startsWith("name")),
    ["name-unresolved", "name-resolved"],
  );
});

test("a real name resolves by the system", async () => {
  await using good = await origin(answering(() => OK));
  using room = rig(upstreamOf([`http://localhost:${good.port}`]));
  assert.equal((await room.upstreams.send("shop", request(), null)).status, 200);
});

test("a name with two addresses of which the first refuses is reached by the second", async () => {
  await using good = await origin(answering(() => OK));
  const both: ResolveName = (_name, done) =>
    done(null, [
      { address: "::1", family: 6 },
      { address: "127.0.0.1", family: 4 },
    ]);
  using room = rig(upstreamOf([`http://both.test:${good.port}`]), { resolveName: both });
  for (let i = 0; i < 3; i++) assert.equal((await room.upstreams.send("shop", request(), null)).status, 200);
  assert.equal(good.connections.length, 1);
});

test("answers are shared by those who wait, remembered for five seconds, and asked for again", () => {
  const clock = new ManualClock();
  const open: ((error: Error | null, addresses: { address: string; family: number }[]) => void)[] = [];
  const names = new Names(clock, (_name, done) => void open.push(done));
  const got: string[] = [];
  const ask = (): void => names.resolve("a.test", (error, addresses) => got.push(error ? error.message : addresses[0]!.address));
  ask();
  ask();
  assert.equal(open.length, 1);
  open[0]!(null, [{ address: "10.0.0.1", family: 4 }]);
  clock.advance(4_999);
  ask();
  assert.deepEqual(got, ["10.0.0.1", "10.0.0.1", "10.0.0.1"]);
  clock.advance(1);
  ask();
  assert.equal(open.length, 2);
});

test("a resolver that never answers is given up at the deadline, and its late answer is used by the next", () => {
  const clock = new ManualClock();
  const open: ((error: Error | null, addresses: { address: string; family: number }[]) => void)[] = [];
  const names = new Names(clock, (_name, done) => void open.push(done));
  const got: string[] = [];
  names.resolve("slow.test", (error) => got.push(error?.message ?? "resolved"));
  clock.advance(5_000);
  assert.match(got[0]!, /within 5000 ms/);
  open[0]!(null, [{ address: "10.0.0.1", family: 4 }]);
  names.resolve("slow.test", (error) => got.push(error?.message ?? "resolved"));
  assert.deepEqual(got.slice(1), ["resolved"]);
});

test("a name without an address is a failure", () => {
  const names = new Names(new ManualClock(), (_name, done) => done(null, []));
  names.resolve("empty.test", (error) => assert.match(error!.message, /no address/));
});
