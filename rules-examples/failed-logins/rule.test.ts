import { expect, gateway, test } from "sluice/testing";

const gw = await gateway({
  rules: "./rule.ts",
  now: "2026-03-01T12:00:00Z",
  upstreams: { shop: ({ body }) => ({ status: new URLSearchParams(body).get("password") === "right" ? 303 : 401, body: "" }) },
});

async function login(user: string, password: string): Promise<number> {
  const res = await gw.request("/login", { method: "POST", body: new URLSearchParams({ user, password }).toString() });
  return res.status;
}

test("five wrong passwords close an account, the right one then too, and no other account", async () => {
  for (let i = 0; i < 5; i++) expect(await login("ann", `guess ${i}`)).toBe(401);
  expect(await login("ann", "right")).toBe(429);
  expect(await login(" Ann ", "right")).toBe(429);
  expect(await login("bob", "right")).toBe(303);
});

test("the right password forgives the wrong ones before it", async () => {
  for (let i = 0; i < 4; i++) expect(await login("eve", "wrong")).toBe(401);
  expect(await login("eve", "right")).toBe(303);
  for (let i = 0; i < 4; i++) expect(await login("eve", "wrong")).toBe(401);
  expect(await login("eve", "right")).toBe(303);
});

test("guesses at the same moment are all counted", async () => {
  const statuses = await Promise.all(Array.from({ length: 10 }, () => login("dan", "wrong")));
  expect(statuses.every((status) => status === 401 || status === 429)).toBe(true);
  expect(await login("dan", "right")).toBe(429);
});

test("the refusal names a time and never reaches the origin", async () => {
  for (let i = 0; i < 5; i++) await login("kim", "wrong");
  const res = await gw.request("/login", { method: "POST", body: "user=kim&password=right" });
  expect(res.headers.get("retry-after")).toBe("900");
  expect(res.upstreamRequests).toEqual([]);
});

test("a quarter of an hour after the first wrong one the account is open again", async () => {
  for (let i = 0; i < 5; i++) await login("zoe", "wrong");
  expect(await gw.store.kv.get("failed-logins:zoe")).toBe(5);
  gw.clock.advance("14m");
  expect(await login("zoe", "right")).toBe(429);
  gw.clock.advance("1m");
  expect(await gw.store.kv.get("failed-logins:zoe")).toBeAbsent();
  expect(await login("zoe", "right")).toBe(303);
});

test("a form without an account is the origin's to judge", async () => {
  for (let i = 0; i < 7; i++) expect(await login("", "wrong")).toBe(401);
});
