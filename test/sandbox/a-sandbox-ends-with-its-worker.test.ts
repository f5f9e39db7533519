import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { SandboxStatus } from "../../runtime/sandbox/sandbox.ts";
import { isAlive, until } from "../support/until.ts";

// Without util-linux's setpriv a sandbox ends when it next reads its pipe, which one that spins never does.
const canTie = spawnSync("setpriv", ["--pdeathsig", "KILL", "true"]).status === 0;

test(`kill -9 of a worker takes its sandboxes along${canTie ? ", also one that spins" : ""}`, async (t) => {
  const worker = spawn(
    process.execPath,
    ["--conditions=sluice-source", fileURLToPath(new URL("./spinning-worker.ts", import.meta.url)), canTie ? "silent" : "honest"],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  t.after(() => worker.kill("SIGKILL"));
  const [line] = (await once(worker.stdout, "data")) as [Buffer];
  const { activePid, sparePid } = JSON.parse(line.toString()) as SandboxStatus;
  assert.ok(activePid > 0 && sparePid > 0);
  assert.ok(isAlive(activePid) && isAlive(sparePid));
  worker.kill("SIGKILL");
  await until(() => !isAlive(activePid) && !isAlive(sparePid));
});
