import { createHash } from "node:crypto";
import { expect, gateway, test } from "sluice/testing";

const READER = "mk_live_7c1e0a52f4";
const WRITER = "mk_live_91bb3d60c8";
const digest = (key: string): string => createHash("sha256").update(key).digest("hex");

const upstreams = { api: (request: { headers: { get(name: string): string | null } }) => `called by ${request.headers.get("x-api-caller") ?? "nobody"}` };
const gw = await gateway({
  rules: "./rule.ts",
  upstreams,
  vars: { apiKeys: { [digest(READER)]: { name: "price-list" }, [digest(WRITER)]: { name: "warehouse", mayWrite: true } } },
});

test("the owner of a key gets in, and the origin learns whose it is but not the key", async () => {
  const res = await gw.request("/api/products", { headers: { "x-api-key": READER } });
  expect(res.status).toBe(200);
  expect(res.text()).toBe("called by price-list");
  expect(res.upstreamRequests[0]?.headers.get("x-api-key")).toBeAbsent();
});

const refused: Readonly<Record<string, Record<string, string>>> = {
  "no key": {},
  "an empty key": { "x-api-key": "" },
  "a key that nobody owns": { "x-api-key": "mk_live_0000000000" },
  "the digest of a key": { "x-api-key": digest(READER) },
  "the name of what every object has": { "x-api-key": "constructor" },
};
for (const [what, headers] of Object.entries(refused)) {
  test(`${what} opens nothing`, async () => {
    const res = await gw.request("/api/products", { headers });
    expect(res.status).toBe(401);
    expect(res.headers.get("www-authenticate")).toBe('ApiKey realm="api"');
    expect(res.upstreamRequests).toEqual([]);
  });
}

test("a key for reading does not write", async () => {
  const order = { method: "POST", body: { id: 101 } };
  expect((await gw.request("/api/orders", { ...order, headers: { "x-api-key": READER } })).status).toBe(403);
  expect((await gw.request("/api/orders", { ...order, headers: { "x-api-key": WRITER } })).text()).toBe("called by warehouse");
});

test("nobody names themselves", async () => {
  const res = await gw.request("/api/products", { headers: { "x-api-key": READER, "x-api-caller": "warehouse" } });
  expect(res.text()).toBe("called by price-list");
});

test("the status page needs no key", async () => {
  const res = await gw.request("/api/status");
  expect(res.status).toBe(200);
  expect(res.hooks).toEqual([]);
});

test("without its list the rule lets nobody in", async () => {
  const bare = await gateway({ rules: "./rule.ts", upstreams });
  const res = await bare.request("/api/products", { headers: { "x-api-key": READER } });
  expect(res.status).toBe(503);
  expect(res.upstreamRequests).toEqual([]);
  expect(res.hooks[0]?.failure).toMatch("vars.apiKeys is missing");
});
