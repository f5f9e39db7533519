import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Release } from "../../runtime/compile/release.ts";
import { releaseOf, Room } from "./room.ts";

const processFile = fileURLToPath(new URL("./fake-process.ts", import.meta.url));

function pretending(code: string): Release {
  const release = releaseOf({ name: "a.ts", body: "" });
  return { ...release, rules: [{ ...release.rules[0]!, code }] };
}

for (const code of [
  "unknown-kind",
  "no-number",
  "unknown-call",
  "foreign-rule",
  "foreign-effect",
  "answer-without-answer",
  "call-out-of-order",
  "oversize",
  "silent",
]) {
  test(`${code}: Sluice ends the process; the run is answered after it was tried alone`, async (t) => {
    const room = await Room.open(t, { processFile, silenceMs: 250 });
    const release = await room.sandbox.load(pretending(code), {});
    const { failure } = await room.run(release);
    assert.equal(failure?.status, 503);
    const lost = room.told.filter((each) => each.event === "lost");
    assert.equal(lost.length, 2);
    assert.deepEqual(
      lost.map((each) => each.by),
      ["sluice", "sluice"],
    );
    assert.equal(room.hooks.length, 1, "one outcome is told");
  });
}

test("an exit by itself counts as the process's own doing", async (t) => {
  const room = await Room.open(t, { processFile });
  const release = await room.sandbox.load(pretending("exit"), {});
  assert.equal((await room.run(release)).failure?.code, "RULE_MEMORY");
  assert.deepEqual(
    room.told.filter((each) => each.event === "lost").map((each) => each.by),
    ["itself", "itself"],
  );
});

test("an honest process is left alone", async (t) => {
  const room = await Room.open(t, { processFile });
  const release = await room.sandbox.load(pretending("honest"), {});
  assert.equal((await room.run(release)).failure, null);
  assert.equal(room.sandbox.status().restarts, 0);
});

test("an effect that cannot stand on a wire is the rule's failure, and nothing of it is applied", async (t) => {
  const room = await Room.open(t, { processFile });
  const release = await room.sandbox.load(pretending("smuggled"), {});
  const running = room.run(release);
  const { failure } = await running;
  assert.equal(failure?.code, "RULE_EFFECT");
  assert.match(failure.detail, /SET_FIELD.*x-a/);
  assert.deepEqual(running.view.request.fields.list, ["user-agent", "test"]);
  assert.equal(room.sandbox.status().restarts, 0);
});
