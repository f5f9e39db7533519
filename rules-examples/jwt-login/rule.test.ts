import { createHmac } from "node:crypto";
import { expect, gateway, test } from "sluice/testing";

const KEY = "a test key that is long enough for HS256";
const gw = await gateway({
  rules: "./rule.ts",
  secrets: { jwtKey: KEY },
  upstreams: { shop: (request) => `hello ${request.headers.get("x-user") ?? "stranger"}` },
});

function token(claims: object, { key = KEY, alg = "HS256" } = {}): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg, typ: "JWT" })}.${part({ iss: "https://shop.example.com", exp: Math.floor(Date.now() / 1000) + 600, ...claims })}`;
  return `${signed}.${alg === "none" ? "" : createHmac("sha256", key).update(signed).digest("base64url")}`;
}
const browser = { accept: "text/html,application/xhtml+xml" };

test("the session cookie says who it is", async () => {
  const res = await gw.request("/account", { headers: { cookie: `session=${token({ sub: "ada" })}` } });
  expect(res.status).toBe(200);
  expect(res.text()).toBe("hello ada");
});

test("so does a bearer token", async () => {
  const res = await gw.request("/account/orders", { headers: { authorization: `Bearer ${token({ sub: "ben" })}` } });
  expect(res.text()).toBe("hello ben");
});

test("a browser without a session is sent to the form, and comes back afterwards", async () => {
  const res = await gw.request("/account/orders?year=2026", { headers: browser });
  expect(res.status).toBe(302);
  expect(res.headers.get("location")).toBe("/login?next=%2Faccount%2Forders%3Fyear%3D2026");
  expect(res.upstreamRequests).toEqual([]);
});

test("a program without a session is told so", async () => {
  const res = await gw.request("/account");
  expect(res.status).toBe(401);
  expect(res.headers.get("www-authenticate")).toMatch("Bearer");
});

const refused: Readonly<Record<string, string>> = {
  "an expired token": token({ sub: "ada", exp: Math.floor(Date.now() / 1000) - 600 }),
  "a token signed with another key": token({ sub: "ada" }, { key: "another key, just as long as the real one" }),
  "a token without a signature": token({ sub: "ada" }, { alg: "none" }),
  "a token of another issuer": token({ sub: "ada", iss: "https://elsewhere.example.com" }),
  "something that is no token": "ada",
};
for (const [what, value] of Object.entries(refused)) {
  test(`${what} opens nothing`, async () => {
    const res = await gw.request("/account", { headers: { ...browser, cookie: `session=${value}` } });
    expect(res.status).toBe(302);
    expect(res.upstreamRequests).toEqual([]);
  });
}

test("nobody can say who they are by themselves", async () => {
  const res = await gw.request("/", { headers: { "x-user": "ada" } });
  expect(res.text()).toBe("hello stranger");
});
