import assert from "node:assert/strict";
import net from "node:net";
import { test } from "node:test";
import { StartError } from "../../runtime/supervisor/supervisor.ts";
import { startStub, stubConfig, stubRelease } from "./stub-gateway.ts";

async function takenPort(t: { after(run: () => void): void }): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return (server.address() as net.AddressInfo).port;
}

test("ports that are taken are all named, with their listeners", async (t) => {
  const first = await takenPort(t);
  const second = await takenPort(t);
  const listeners = [
    { host: "127.0.0.1", port: first },
    { host: "127.0.0.1", port: 0 },
    { host: "127.0.0.1", port: second },
  ];
  await assert.rejects(startStub(t, stubConfig({ listeners })), (error: StartError) => {
    assert.ok(error instanceof StartError);
    assert.deepEqual(error.problems, [
      `listeners[0] (127.0.0.1, port ${first}): port ${first} is taken by another program; stop it, or choose another port`,
      `listeners[2] (127.0.0.1, port ${second}): port ${second} is taken by another program; stop it, or choose another port`,
    ]);
    return true;
  });
});

test("rules that do not compile refuse the start, with every located problem", async (t) => {
  const compile = async () => ({ release: null, maps: {}, problems: ["a.ts:1:2: one", "b.ts:3:4: two"] });
  await assert.rejects(startStub(t, stubConfig(), { compile }), (error: StartError) => {
    assert.deepEqual(error.problems, ["a.ts:1:2: one", "b.ts:3:4: two"]);
    return true;
  });
});

test("a release that workers refuse refuses the start, once, and leaves no worker", async (t) => {
  const compile = async () => ({ release: stubRelease("cccccccccccc", "fail-starting.ts"), maps: {}, problems: [] });
  const pids: number[] = [];
  const log = (_level: string, event: string, facts: Readonly<Record<string, unknown>>) =>
    void (event === "worker-started" && pids.push(facts["pid"] as number));
  await assert.rejects(startStub(t, stubConfig({ workers: 2 }), { compile, log }), (error: StartError) => {
    assert.deepEqual(error.problems, ["fail-starting.ts:1:1: refused while starting"]);
    return true;
  });
  assert.equal(pids.length, 2);
  for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
});
