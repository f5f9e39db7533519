import { expect, gateway, test } from "sluice/testing";
import type { PlayedUpstream } from "sluice/testing";

const AUTH = "https://auth.example.com";
const LOGIN = `${AUTH}/login?back=https%3A%2F%2Fshop.example.com%2Fadmin%2Forders`;

/** As such services do: 2xx with who it is, 401 for programs, a redirect with two cookies for browsers. */
const authService: PlayedUpstream = ({ headers }) => {
  switch (headers.get("cookie")) {
    case "session=ada":
      return { headers: { "x-auth-user": "ada", "x-auth-groups": ["potters", "staff"], "x-internal": "17" }, body: "" };
    case "session=guest":
      return { status: 204 };
    case "session=ben":
      return { status: 403, headers: { "content-type": "text/html" }, body: "<h1>Not for you" };
    case "session=trouble":
      return { status: 500, body: "a stack trace" };
    case "session=crash":
      throw new Error("the auth service is down, as this test wants");
    default:
  }
  if (!headers.get("accept")?.includes("text/html")) return { status: 401, headers: { "www-authenticate": ["Bearer", 'Basic realm="staff"'] } };
  return { status: 302, headers: { location: LOGIN, "set-cookie": ["csrf=1; Path=/; HttpOnly", "back=2; Path=/"], server: "auth/1.0" } };
};
const upstreams = {
  shop: (({ headers }) => `hello ${headers.get("x-auth-user") ?? "stranger"} of ${headers.get("x-auth-groups") ?? "nowhere"}`) satisfies PlayedUpstream,
};
const gw = await gateway({ rules: "./rule.ts", upstreams, fetch: { [AUTH]: authService }, vars: { authUrl: `${AUTH}/check` } });
const ask = (session: string, headers: Record<string, string> = {}, path = "https://shop.example.com/admin/orders?year=2026") =>
  gw.request(path, { headers: { cookie: `session=${session}`, ...headers } });

test("who may pass reaches the shop, with name and groups", async () => {
  const res = await ask("ada");
  expect(res.status).toBe(200);
  expect(res.text()).toBe("hello ada of potters, staff");
  expect(res.upstreamRequests[0]?.headers.get("x-internal")).toBeAbsent();
});

test("the service learns what is asked for, and gets the credentials", async () => {
  const [asked] = (await ask("ada", { authorization: "Bearer abc", "x-note": "private" })).fetches;
  expect(asked?.method).toBe("GET");
  expect(asked?.target).toBe("/check");
  expect(asked?.headers.get("x-forwarded-uri")).toBe("/admin/orders?year=2026");
  expect(asked?.headers.get("x-forwarded-host")).toBe("shop.example.com");
  expect(asked?.headers.get("x-forwarded-proto")).toBe("https");
  expect(asked?.headers.get("x-forwarded-method")).toBe("GET");
  expect(asked?.headers.get("authorization")).toBe("Bearer abc");
  expect(asked?.headers.get("x-note")).toBeAbsent();
});

test("a browser without a session is sent to the login, with the cookies of that", async () => {
  const res = await gw.request("/admin", { headers: { accept: "text/html" } });
  expect(res.status).toBe(302);
  expect(res.headers.get("location")).toBe(LOGIN);
  expect(res.headers.getSetCookie()).toEqual(["csrf=1; Path=/; HttpOnly", "back=2; Path=/"]);
  expect(res.headers.get("cache-control")).toBe("no-store");
  expect(res.headers.get("server")).toBeAbsent();
  expect(res.upstreamRequests).toEqual([]);
});

test("a program is told how to log in", async () => {
  const res = await gw.request("/admin/orders");
  expect(res.status).toBe(401);
  expect(res.headers.get("www-authenticate")).toBe('Bearer, Basic realm="staff"');
});

test("who is known and may not is shown the service's own page", async () => {
  const res = await ask("ben");
  expect(res.status).toBe(403);
  expect(res.headers.get("content-type")).toBe("text/html");
  expect(res.text()).toBe("<h1>Not for you");
});

for (const session of ["trouble", "crash"]) {
  test(`a service that fails (${session}) lets nobody in, and tells nothing of itself`, async () => {
    const res = await ask(session);
    expect(res.status).toBe(503);
    expect(res.headers.get("retry-after")).toBe("10");
    expect(res.text()).not.toMatch("stack");
    expect(res.upstreamRequests).toEqual([]);
  });
}

test("nobody names themselves, even when the service says yes and no name", async () => {
  const res = await ask("guest", { "x-auth-user": "ada", "x-auth-groups": "staff" });
  expect(res.status).toBe(200);
  expect(res.text()).toBe("hello stranger of nowhere");
});

test("without a service nobody gets in", async () => {
  const bare = await gateway({ rules: "./rule.ts", upstreams });
  const res = await bare.request("/admin", { headers: { cookie: "session=ada" } });
  expect(res.status).toBe(503);
  expect(res.upstreamRequests).toEqual([]);
});

test("the shop itself is open", async () => {
  const res = await gw.request("/administration");
  expect(res.status).toBe(200);
  expect(res.hooks).toEqual([]);
});
