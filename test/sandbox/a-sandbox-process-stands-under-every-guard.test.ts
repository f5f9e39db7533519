import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { GatewayError } from "../../runtime/errors.ts";
import { releaseOf, Room } from "./room.ts";

const processFile = fileURLToPath(new URL("./fake-process.ts", import.meta.url));
const isRoot = process.getuid?.() === 0;

test("from inside there are no files, no children, no threads, no network, no parent to signal and no environment", async (t) => {
  const room = await Room.open(t, { processFile });
  const release = releaseOf({ name: "a.ts", body: "" });
  const told = await room.sandbox.load({ ...release, rules: [{ ...release.rules[0]!, code: "tries" }] }, {}).catch((thrown: unknown) => thrown);
  assert.ok(told instanceof GatewayError);
  const tried = JSON.parse((told.cause as { message: string }).message) as Record<string, unknown>;
  assert.equal(tried["read"], "ERR_ACCESS_DENIED");
  assert.equal(tried["write"], "ERR_ACCESS_DENIED");
  assert.equal(tried["child"], "ERR_ACCESS_DENIED");
  assert.equal(tried["worker"], "ERR_ACCESS_DENIED");
  assert.equal(tried["connected"], "ERR_ACCESS_DENIED");
  assert.notEqual(tried["sqlite"], "did load");
  assert.equal(tried["environment"], "");
  if (isRoot) {
    assert.equal(tried["signal"], "EPERM");
    assert.notEqual(tried["uid"], 0);
  }
});

test("the real process has the limits of the kernel: no core, bounded data, no way to new privileges", async (t) => {
  const room = await Room.open(t);
  await room.warm();
  for (const pid of [room.sandbox.status().activePid, room.sandbox.status().sparePid]) {
    const limits = fs.readFileSync(`/proc/${pid}/limits`, "utf8");
    assert.match(limits, /Max core file size +0 +0/);
    assert.match(limits, /Max data size +\d+ /);
    const status = fs.readFileSync(`/proc/${pid}/status`, "utf8");
    assert.match(status, /NoNewPrivs:\s+1/);
    const command = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    for (const guard of ["--permission", "--no-node-snapshot", "--no-experimental-sqlite", "--allow-fs-read=/etc/alpine-release"])
      assert.ok(command.includes(guard), guard);
    for (const denied of ["--allow-fs-write", "--allow-child-process", "--allow-worker", "--allow-net", "--allow-wasi"])
      assert.ok(!command.some((word) => word.startsWith(denied)), denied);
    if (isRoot) assert.match(status, /Uid:\s+65534\s+65534\s+65534\s+65534/);
  }
});
