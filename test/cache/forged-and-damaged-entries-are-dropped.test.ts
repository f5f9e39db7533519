import assert from "node:assert/strict";
import { test } from "node:test";
import { FRESH, Gateways } from "./gateways.ts";

/** Every slot that is written, as the store got it. */
function watched(gateways: Gateways): Map<string, Buffer> {
  const written = new Map<string, Buffer>();
  const set = gateways.store.set;
  gateways.store.set = (key, value, options) => {
    written.set(key, Buffer.from(value as Uint8Array));
    return set(key, value, options);
  };
  return written;
}

async function filled(options: { secret?: string } = {}): Promise<{ gateways: Gateways; key: string; bytes: Buffer }> {
  const gateways = new Gateways(2, options);
  const written = watched(gateways);
  await gateways.settle();
  gateways.answer(() => ({ fields: FRESH, body: "genuine" }));
  await gateways.of(gateways.ask(0));
  await gateways.settle();
  const [[key, bytes]] = [...written] as [[string, Buffer]];
  return { gateways, key, bytes };
}

test("an entry that is sound is taken by the other gateway", async () => {
  const { gateways } = await filled();
  assert.equal((await gateways.of(gateways.ask(1))).text, "genuine");
  assert.deepEqual([gateways.fetches.length, gateways.caches[1]!.status().counts.sharedForged], [1, 0]);
  gateways.close();
});

const damages: readonly (readonly [string, (bytes: Buffer) => Buffer])[] = [
  ["a bit of the body is flipped", (bytes) => Buffer.from(bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte)))],
  ["a bit of the head is flipped", (bytes) => Buffer.from(bytes.map((byte, i) => (i === 60 ? byte ^ 1 : byte)))],
  ["a bit of the signature is flipped", (bytes) => Buffer.from(bytes.map((byte, i) => (i === 3 ? byte ^ 1 : byte)))],
  ["the length is absurd", (bytes) => Buffer.from(bytes.map((byte, i) => (i >= 32 && i < 36 ? 255 : byte)))],
  ["the end is missing", (bytes) => bytes.subarray(0, bytes.length - 2)],
  ["there is hardly anything", (bytes) => bytes.subarray(0, 5)],
  ["there is nothing", () => Buffer.alloc(0)],
];
for (const [what, damage] of damages) {
  test(`when ${what} it is dropped and counted, and the origin asked`, async () => {
    const { gateways, key, bytes } = await filled();
    await gateways.store.set(key, damage(bytes), { ttlMs: 60_000 });
    assert.equal((await gateways.of(gateways.ask(1))).text, "genuine");
    assert.deepEqual([gateways.fetches.length, gateways.caches[1]!.status().counts.sharedForged], [2, 1]);
    assert.equal(gateways.warnings[0]!["event"], "cache-entry-forged");
    gateways.close();
  });
}

test("an entry that was signed for another place is not taken there", async () => {
  const { gateways, bytes } = await filled({ secret: "the gateways' own" });
  const written = watched(gateways);
  gateways.answer(() => ({ fields: FRESH, body: "other" }));
  await gateways.of(gateways.ask(0, { target: "/other" }));
  await gateways.settle();
  const [other] = written.keys();
  await gateways.store.set(other!, bytes, { ttlMs: 60_000 });
  assert.equal((await gateways.of(gateways.ask(1, { target: "/other" }))).text, "other");
  assert.equal(gateways.caches[1]!.status().counts.sharedForged, 1);
  gateways.close();
});

test("what compresses is smaller in the store, and whole when it comes out", async () => {
  const gateways = new Gateways(2);
  const written = watched(gateways);
  await gateways.settle();
  const body = "all work and no play ".repeat(1000);
  gateways.answer(() => ({ fields: { ...FRESH, "content-type": "text/plain" }, body }));
  await gateways.of(gateways.ask(0));
  // Compressing happens on a thread of its own.
  for (let i = 0; i < 2000 && written.size === 0; i++) await new Promise((resolve) => setTimeout(resolve, 2));
  await gateways.settle();
  assert.ok([...written.values()][0]!.length < body.length / 4);
  gateways.answer(() => ({ status: 500 }));
  assert.equal((await gateways.of(gateways.ask(1))).text, body);
  gateways.close();
});
