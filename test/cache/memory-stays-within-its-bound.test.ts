import assert from "node:assert/strict";
import { test } from "node:test";
import { FRESH, Gateways } from "./gateways.ts";

test("whatever is stored, and the least recently used goes first", async () => {
  const memoryBytes = 200_000;
  const gateways = new Gateways(1, { memoryBytes, maxObjectBytes: 50_000 });
  gateways.answer((target) => ({ fields: FRESH, body: "x".repeat(1000 + (Number(target.slice(1)) % 50) * 100) }));
  for (let i = 0; i < 500; i++) {
    await gateways.of(gateways.ask(0, { target: `/${i}` }));
    await gateways.of(gateways.ask(0, { target: "/0" }));
    assert.ok(gateways.caches[0]!.status().bytes <= memoryBytes);
  }
  assert.equal(gateways.fetches.filter(({ target }) => target === "/0").length, 1, "what is used all the time stays");
  const { evictions, entries, bytes } = gateways.caches[0]!.status();
  assert.ok(evictions > 300 && entries < 150 && bytes > memoryBytes / 2);
  gateways.close();
});

test("an answer larger than maxObject is passed on whole and not stored", async () => {
  const gateways = new Gateways(1, { maxObjectBytes: 100 });
  gateways.answer(() => ({ fields: FRESH, body: "x".repeat(101) }));
  for (let i = 0; i < 2; i++) assert.equal((await gateways.of(gateways.ask(0))).text.length, 101);
  assert.deepEqual([gateways.fetches.length, gateways.caches[0]!.status().counts.stored], [2, 0]);
  gateways.close();
});

test("the hit ratio under Zipf's law is that of an LRU of the same size", async () => {
  const keys = 2000;
  const bodyBytes = 2000;
  const gateways = new Gateways(1, { memoryBytes: keys * (bodyBytes + 1100) * 0.1 });
  gateways.answer(() => ({ fields: FRESH, body: "x".repeat(bodyBytes) }));
  const next = zipf(keys, 0.9);
  const model = new Map<number, true>();
  let modelHits = 0;
  let room = 0;
  const requests = 8_000;
  for (let i = 0; i < requests; i++) {
    const key = next();
    await gateways.ask(0, { target: `/${key}` });
    room = Math.max(room, gateways.caches[0]!.status().entries);
    if (model.delete(key)) modelHits++;
    model.set(key, true);
    // As many as the cache had room for.
    if (model.size > room) model.delete(model.keys().next().value!);
  }
  const hits = gateways.caches[0]!.status().counts.requests.hit;
  assert.ok(Math.abs(hits - modelHits) / requests < 0.02, `${hits} hits, the model has ${modelHits}`);
  gateways.close();
});

/** Keys with the frequencies of Zipf's law, the same in each run. */
function zipf(keys: number, exponent: number): () => number {
  const sums: number[] = [];
  let sum = 0;
  for (let i = 1; i <= keys; i++) sums.push((sum += i ** -exponent));
  let seed = 1;
  return () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    const at = (seed / 2 ** 32) * sum;
    let low = 0;
    let high = keys - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle]! < at) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}
