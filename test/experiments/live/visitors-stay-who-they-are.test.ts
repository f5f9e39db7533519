import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { GatewayError } from "../../../runtime/errors.ts";
import { readVisitor, type SealKeys, visitorCookie, visitorIdOf } from "../../../runtime/experiments/assign/assign.ts";
import { agreeOnKeys, KEY_FILE } from "../../../runtime/experiments/keys/keys.ts";
import { createMemoryStore } from "../../../runtime/store/store.ts";

const ID = visitorIdOf(new Uint8Array(16).fill(3));
const known = (keys: SealKeys, by: SealKeys): boolean => readVisitor(visitorCookie(ID, keys, false).split(/[=;]/)[1]!, by) === ID;

function folder(t: TestContext): string {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), "sluice-keys-"));
  t.after(() => fs.rmSync(made, { recursive: true, force: true }));
  return path.join(made, "state");
}

test("gateways of one store agree on a key, which each keeps where only its owner reads", async (t) => {
  const store = createMemoryStore();
  const [one, two] = [folder(t), folder(t)];
  const options = { configured: [], store, warn: assert.fail };
  const [a, b] = [await agreeOnKeys({ ...options, stateDir: one }), await agreeOnKeys({ ...options, stateDir: two })];
  assert.ok(known(a.keys, b.keys));
  assert.equal(fs.statSync(path.join(two, KEY_FILE)).mode & 0o777, 0o600);
  assert.equal(fs.readFileSync(path.join(one, KEY_FILE), "utf8"), fs.readFileSync(path.join(two, KEY_FILE), "utf8"));

  const emptied = createMemoryStore();
  const [later, again] = [await agreeOnKeys({ ...options, store: emptied, stateDir: two }), await agreeOnKeys({ ...options, store: emptied, stateDir: one })];
  assert.ok(known(a.keys, later.keys) && known(a.keys, again.keys), "also when the store forgot it");
});

test("without a store the processes of one gateway use the same key from the first moment", async (t) => {
  const store = createMemoryStore();
  store.fail(new GatewayError("STORE_UNAVAILABLE", "gone"));
  const stateDir = folder(t);
  const warned: string[] = [];
  const processes = await Promise.all(
    Array.from({ length: 4 }, () => agreeOnKeys({ configured: [], stateDir, store, warn: (text) => void warned.push(text) })),
  );
  assert.ok(processes.every(({ keys, agreed }) => !agreed && known(processes[0]!.keys, keys)));
  assert.equal(warned.length, 4);
});

test("a key of the config is the same wherever it stands, and earlier ones still count", async () => {
  const store = createMemoryStore();
  const given = (...configured: string[]) => agreeOnKeys({ configured, stateDir: "", store, warn: assert.fail });
  const [{ keys: before }, { keys: after }, { keys: other }] = [
    await given("first of thirty-two characters ..."),
    await given("second", "first of thirty-two characters ..."),
    await given("second"),
  ];
  assert.ok(known(before, after));
  assert.ok(!known(before, other));
  assert.ok(known(after, other));
});
