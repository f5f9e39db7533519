import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { test } from "node:test";
import { ask, startStub, stubConfig, stubRelease } from "./stub-gateway.ts";

test("rolling replacement under a load of real requests: 0 failures, all workers new", { timeout: 60_000 }, async (t) => {
  const { supervisor, port } = await startStub(t, stubConfig({ workers: 2 }));
  const before = supervisor.status().workers.map(({ pid }) => pid);
  const load = new AbortController();
  let served = 0;
  const failures: string[] = [];
  const client = async () => {
    while (!load.signal.aborted) {
      try {
        await ask(port);
        served++;
      } catch (thrown) {
        failures.push(String(thrown));
      }
    }
  };
  const clients = Array.from({ length: 8 }, client);
  for (let i = 0; i < 3; i++) await supervisor.replaceWorkers();
  load.abort();
  await Promise.all(clients);
  assert.deepEqual(failures, []);
  assert.ok(served > 0);
  const after = supervisor.status().workers.map(({ pid }) => pid);
  assert.equal(after.length, 2);
  assert.ok(after.every((pid) => !before.includes(pid)));
});

test("a replaced worker finishes the answer it is giving", { timeout: 60_000 }, async (t) => {
  const { supervisor, port } = await startStub(t, stubConfig());
  const agent = new Agent({ keepAlive: false });
  const text = new Promise<string>((resolve, reject) => {
    request({ host: "127.0.0.1", port, path: "/hold", agent }, (response) => {
      let got = "";
      response.on("data", (bytes: Buffer) => {
        got += bytes.toString();
        if (got === "first,") supervisor.replaceWorkers().catch(reject);
      });
      response.on("end", () => resolve(got)).on("error", reject);
    })
      .on("error", reject)
      .end();
  });
  assert.equal(await text, "first,last");
});

test("a release goes to all workers or to none", { timeout: 60_000 }, async (t) => {
  const { supervisor, port } = await startStub(t, stubConfig({ workers: 2 }));
  await supervisor.deploy(stubRelease("aaaaaaaaaaaa"), {});
  await assert.rejects(supervisor.deploy(stubRelease("bbbbbbbbbbbb", "fail-loading.ts"), {}), /fail-loading\.ts:1:1: refused while loading/);
  const { release, workers } = supervisor.status();
  assert.equal(release.id, "aaaaaaaaaaaa");
  assert.deepEqual(
    workers.map((worker) => worker.release),
    ["aaaaaaaaaaaa", "aaaaaaaaaaaa"],
  );
  for (let i = 0; i < 10; i++) assert.equal((await ask(port)).release, "aaaaaaaaaaaa");
});

test("a worker that crashes after a deploy comes back on the deployed release", { timeout: 60_000 }, async (t) => {
  const { supervisor, port } = await startStub(t, stubConfig());
  await supervisor.deploy(stubRelease("aaaaaaaaaaaa"), {});
  const { pid } = await ask(port);
  process.kill(pid, "SIGKILL");
  let answer = await ask(port).catch(() => null);
  while (answer === null || answer.pid === pid) answer = await ask(port).catch(() => null);
  assert.equal(answer.release, "aaaaaaaaaaaa");
});
