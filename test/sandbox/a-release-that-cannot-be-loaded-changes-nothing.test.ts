import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { GatewayError } from "../../runtime/errors.ts";
import { Room } from "./room.ts";

const fine = { body: `onRequest() { return respond(200, "fine") }` };

for (const [name, rule, told] of [
  ["a module that throws", { name: "broken.ts", top: `throw new Error("not today")`, body: "" }, /broken\.ts could not be loaded: not today/],
  ["a module that loops", { name: "loop.ts", top: `for (;;);`, body: "" }, /loop\.ts|took longer|gone/],
  ["a module that breaks its process", { name: "bomb.ts", top: `let b = 2n; for (;;) b *= b`, body: "" }, /gone|took longer|bomb\.ts/],
] as const) {
  test(`${name} is refused; what was loaded goes on`, async (t) => {
    const room = await Room.open(t);
    const release = await room.load(fine);
    const { activePid } = room.sandbox.status();
    await assert.rejects(room.load(rule), (thrown) => thrown instanceof GatewayError && told.test(thrown.detail));
    assert.equal((await room.run(release)).answer?.status, 200);
    assert.equal(room.sandbox.status().activePid, activePid, "it was tried on the spare");
    const next = await room.load(fine);
    assert.equal((await room.run(next)).answer?.status, 200);
  });
}

test("a release that is given up is unloaded after its last hook, and others stay", async (t) => {
  const room = await Room.open(t, { services: { timer: () => new Promise((resolve) => setImmediate(resolve, {})) } });
  const old = await room.load({ body: `async onRequest() { await new Promise((resolve) => setTimeout(resolve, 1)); return respond(201) }` });
  const next = await room.load(fine);
  const running = room.run(old);
  room.sandbox.unload(old);
  assert.equal((await running).answer?.status, 201);
  await assert.rejects(room.run(old), GatewayError);
  assert.equal((await room.run(next)).answer?.status, 200);
});

test("many releases, one after another, leave the newest serving", async (t) => {
  const room = await Room.open(t);
  let release = await room.load(fine);
  for (let i = 0; i < 8; i++) {
    const next = await room.load({ body: `onRequest() { return respond(200, "${i}") }` });
    room.sandbox.unload(release);
    release = next;
  }
  assert.equal((await room.run(release)).answer?.body.toString(), "7");
  assert.equal(room.sandbox.status().restarts, 0);
});

test("many releases at once, each still in use by an exchange, all stand", async (t) => {
  const room = await Room.open(t);
  const releases = [];
  for (let i = 0; i < 6; i++) releases.push(await room.load({ body: `onRequest() { return respond(200, "${i}") }` }));
  for (const [i, release] of releases.entries()) assert.equal((await room.run(release)).answer?.body.toString(), String(i));
  assert.equal(room.sandbox.status().restarts, 0);
});

test("a sandbox that never comes up is a clear error", async (t) => {
  await assert.rejects(
    Room.open(t, { processFile: fileURLToPath(new URL("./room.ts", import.meta.url)) }),
    (thrown) => thrown instanceof GatewayError && thrown.code === "SANDBOX_UNAVAILABLE",
  );
});
