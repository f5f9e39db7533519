import { expect, gateway, test } from "sluice/testing";

const gw = await gateway({ rules: "./rule.ts", now: "2026-03-01T12:00:00Z" });

let keys = 0;
/** Counts of one test are not those of another. */
const newKey = (): Record<string, string> => ({ "x-api-key": `key-${keys++}` });

async function statuses(count: number, path: string, headers: Record<string, string>, client?: string): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < count; i++) found.push((await gw.request(path, { headers, ...(client === undefined ? {} : { client }) })).status);
  return found;
}

test("a key may ask fifty times at once, and is then told when to come back", async () => {
  const key = newKey();
  expect(new Set(await statuses(50, "/api/products", key))).toEqual(new Set([200]));
  const res = await gw.request("/api/products", { headers: key });
  expect(res.status).toBe(429);
  const seconds = Number(res.headers.get("retry-after"));
  expect(seconds > 0 && seconds <= 6).toBe(true);
  expect(res.json()).toEqual({ error: "too many requests", retryAfterSeconds: seconds });
  expect(res.upstreamRequests).toEqual([]);
});

test("what was used comes back one by one, every six seconds", async () => {
  const key = newKey();
  await statuses(50, "/api/products", key);
  const id = key["x-api-key"] ?? "";
  expect((await gw.store.limit("per-api-key", id))?.remaining).toBe(0);
  gw.clock.advance("12s");
  expect((await gw.store.limit("per-api-key", id))?.remaining).toBe(2);
  expect(await statuses(3, "/api/products", key)).toEqual([200, 200, 429]);
});

test("each key counts for itself", async () => {
  await statuses(51, "/api/products", newKey());
  expect(await statuses(1, "/api/products", newKey())).toEqual([200]);
});

test("a search costs ten", async () => {
  const key = newKey();
  expect(await statuses(6, "/api/search?q=cup", key)).toEqual([200, 200, 200, 200, 200, 429]);
});

test("every answer tells what is left", async () => {
  const res = await gw.request("/api/products", { headers: newKey() });
  expect(res.headers.get("ratelimit-policy")).toBe('"per-api-key";q=600;w=3600');
  expect(res.headers.get("ratelimit")).toBe('"per-api-key";r=49;t=6');
});

test("without a key the address counts", async () => {
  expect((await statuses(21, "/api/products", {}, "192.0.2.1")).at(-1)).toBe(429);
  expect(await statuses(1, "/api/products", {}, "192.0.2.2")).toEqual([200]);
});

test("whoever goes on without a key is locked out for ten minutes", async () => {
  await statuses(50, "/api/products", {}, "192.0.2.9");
  const res = await gw.request("/api/products", { client: "192.0.2.9" });
  expect(res.status).toBe(429);
  expect(Number(res.headers.get("retry-after")) > 500).toBe(true);
});

test("the status page is free", async () => {
  const res = await gw.request("/api/status", { headers: newKey() });
  expect(res.status).toBe(200);
  expect(res.hooks).toEqual([]);
});
