import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { thingsToTry } from "../../rules-examples/shop/things-to-try.ts";
import { openShop } from "./open-shop.ts";

const shop = await openShop();
const DEADLINE_MS = 20_000;

function ask(path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${shop.url}${path}`, { redirect: "manual", signal: AbortSignal.timeout(DEADLINE_MS), ...init });
}
async function askAdmin(path: string): Promise<string> {
  const token = (await readFile(join(shop.stateDir, "admin-token"), "utf8")).trim();
  const answer = await fetch(`${shop.adminUrl}${path}`, { headers: { authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(DEADLINE_MS) });
  assert.equal(answer.status, 200);
  return answer.text();
}
const metrics = (): Promise<string> => askAdmin("/metrics");
const titleOf = (page: string) => /<h1[^>]*>(.*?)<\/h1>/.exec(page)?.[1];

for (const [path, title] of [
  ["/categories/bowls", "Bowls &amp; plates"],
  ["/products/301", "Reed vase"],
  ["/login", "Sign in"],
  ["/checkout", "Checkout"],
  ["/slow?ms=50", "That took a while"],
]) {
  test(`the page ${path} comes through whole`, async () => {
    const answer = await ask(path!);
    const page = await answer.text();
    assert.equal(answer.status, 200);
    assert.equal(titleOf(page), title);
    assert.match(page, /<\/html>\n$/);
  });
}

test("styles, scripts and pictures arrive with their types", async () => {
  const expected = {
    "/assets/shop.css": "text/css; charset=utf-8",
    "/assets/shop.js": "text/javascript; charset=utf-8",
    "/images/products/101.svg": "image/svg+xml",
    "/images/waves.png": "image/png",
  };
  for (const [path, type] of Object.entries(expected)) {
    const answer = await ask(path);
    const body = await answer.bytes();
    assert.equal(answer.status, 200, path);
    assert.equal(answer.headers.get("content-type"), type);
    assert.ok(body.length > 100, path);
  }
});

test("a page that is not there says 404, with the shop's own page", async () => {
  const answer = await ask("/nothing");
  assert.equal(answer.status, 404);
  assert.equal(titleOf(await answer.text()), "Not on our shelves");
});

test("all three origin processes take their turn", async () => {
  const seen = new Set<string>();
  for (let i = 0; i < 30; i++) seen.add(((await (await ask("/api/products/101")).json()) as { target: string }).target);
  assert.equal(seen.size, 3);
});

test("the origin is told who asks, and through what", async () => {
  const answer = await ask("/api/whoami?a=1");
  const { path, headers } = (await answer.json()) as { path: string; headers: Record<string, string> };
  assert.equal(path, "/api/whoami?a=1");
  assert.equal(headers["x-forwarded-for"], "127.0.0.1");
  assert.equal(headers["x-forwarded-proto"], "http");
  assert.equal(headers.host, new URL(shop.url).host);
  assert.match(headers.via ?? "", /1\.1 /);
});

test("old addresses redirect, with their query", async () => {
  const answer = await ask("/shop/mugs?from=letter");
  assert.equal(answer.status, 308);
  assert.equal(answer.headers.get("location"), "/categories/cups?from=letter");
  assert.equal((await ask("/newsletter")).status, 410);
});

test("short addresses are rewritten on their way to the origin", async () => {
  assert.equal(titleOf(await (await ask("/p/101")).text()), "Ferry mug");
  const style = await ask("/assets/v42/shop.css");
  assert.equal(style.headers.get("cache-control"), "public, max-age=31536000, immutable");
  assert.match(await style.text(), /--ember/);
});

test("security headers stand on pages and on the gateway's own errors", async () => {
  const page = await ask("/products/101");
  assert.equal(page.headers.get("x-content-type-options"), "nosniff");
  assert.match(page.headers.get("content-security-policy") ?? "", /frame-ancestors 'none'/);
  assert.equal(page.headers.get("x-powered-by"), null);
  assert.equal(page.headers.get("x-target"), null);
  const failed = await ask("/fail/reset");
  assert.equal(failed.headers.get("x-content-type-options"), "nosniff");
});

test("the home page is one of two, and stays the same one", async () => {
  const first = await ask("/");
  const copy = /data-copy="(\w+)"/.exec(await first.text())?.[1];
  const cookie = first.headers.getSetCookie()[0]?.split(";")[0] ?? "";
  assert.equal(cookie, `home-copy=${copy}`);
  const again = await ask("/", { headers: { cookie } });
  assert.equal(/data-copy="(\w+)"/.exec(await again.text())?.[1], copy);
  assert.deepEqual(again.headers.getSetCookie(), []);
});

test("a new visitor with the browser that the table names sees control or the offer; a bot never sees the offer", async () => {
  const browser = /-A '([^']+)' \S+ \| grep -o 'Choose your pot'/.exec(thingsToTry(shop.url, shop.adminUrl))?.[1] ?? "";
  const seen = async (agent: string): Promise<ReadonlySet<boolean>> => {
    const pages = await Promise.all(Array.from({ length: 40 }, async () => (await ask("/", { headers: { "user-agent": agent } })).text()));
    return new Set(pages.map((page) => page.includes("Choose your pot")));
  };
  assert.deepEqual(await seen(browser), new Set([true, false]), browser);
  assert.deepEqual(await seen("curl/8.5.0"), new Set([false]));
});

test("what the table names to kill a sandbox finds the one that serves", async () => {
  const [, pattern] = /pkill -9 -f (\S+)/.exec(thingsToTry(shop.url, shop.adminUrl))!;
  const { workers } = JSON.parse(await askAdmin("/v1/status")) as { workers: { sandbox: { activePid: number } }[] };
  const commandLine = await readFile(`/proc/${workers[0]!.sandbox.activePid}/cmdline`, "latin1");
  assert.ok(commandLine.includes(pattern!), `${pattern} in ${commandLine.replaceAll("\0", " ")}`);
});

test("the account area opens to whoever signs in, and to nobody else", async () => {
  const outside = await ask("/account", { headers: { accept: "text/html" } });
  assert.equal(outside.status, 302);
  assert.equal(outside.headers.get("location"), "/login?next=%2Faccount");
  assert.equal((await ask("/account", { headers: { "x-user": "ada" } })).status, 401);

  const signedIn = await ask("/login", { method: "POST", body: new URLSearchParams({ name: "ada", password: "clay", next: "/account" }) });
  assert.equal(signedIn.status, 303);
  assert.equal(signedIn.headers.get("location"), "/account");
  const cookie = signedIn.headers.getSetCookie()[0]?.split(";")[0] ?? "";
  assert.equal(titleOf(await (await ask("/account", { headers: { cookie } })).text()), "Hello, ada");
  assert.equal((await ask("/account", { headers: { cookie: `${cookie.slice(0, -2)}xx` } })).status, 401);
});

test("an order is taken", async () => {
  const answer = await ask("/checkout", { method: "POST", body: new URLSearchParams({ name: "Ada", email: "ada@example.com" }) });
  assert.equal(answer.status, 303);
  const thanks = await ask(answer.headers.get("location") ?? "");
  assert.equal(titleOf(await thanks.text()), "Thank you, Ada");
});

test("the catalogue download arrives byte for byte", async () => {
  const answer = await ask("/downloads/catalogue.bin");
  assert.equal(answer.headers.get("content-length"), String(200 * 1024 * 1024));
  const hash = createHash("sha256");
  for await (const chunk of answer.body!) hash.update(chunk);
  const stated = await (await ask("/downloads/catalogue.bin.sha256")).text();
  assert.equal(hash.digest("hex"), stated.split(" ")[0]);
});

test("an upload arrives byte for byte", async () => {
  const body = randomBytes(5 * 1024 * 1024 + 17);
  const answer = await ask("/api/upload", { method: "POST", body });
  assert.deepEqual(await answer.json(), { bytes: body.length, sha256: createHash("sha256").update(body).digest("hex") });
});

test("an origin's own failure is passed on as it is", async () => {
  const answer = await ask("/fail/500");
  assert.equal(answer.status, 500);
  assert.equal(answer.headers.get("sluice-error"), null);
  assert.equal(titleOf(await answer.text()), "The kiln is cold");
});

test("an origin that resets or hangs is answered by the gateway, by name", async () => {
  const reset = await ask("/fail/reset");
  assert.equal(reset.status, 502);
  assert.equal(reset.headers.get("sluice-error"), "UPSTREAM_RESET");
  const hung = await ask("/fail/hang");
  assert.equal(hung.status, 504);
  assert.equal(hung.headers.get("sluice-error"), "UPSTREAM_TIMEOUT");
});

test("a browser sees a page of the shop instead, and the metrics count the failure all the same", async () => {
  const resets = async () => Number(/^sluice_errors_total\{.*UPSTREAM_RESET.*\} (\d+)/m.exec(await metrics())?.[1] ?? 0);
  const before = await resets();
  const answer = await ask("/fail/reset", { headers: { accept: "text/html" } });
  assert.equal(answer.status, 502);
  assert.equal(titleOf(await answer.text()), "The kiln has gone out");
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  // An exchange is counted when its last byte has gone out, which the client may see first.
  while ((await resets()) <= before) deadline.throwIfAborted();
});

test("a Hono app answers below its own path, and knows who has signed in", async () => {
  assert.deepEqual(await (await ask("/hono/quote?country=fr&kg=2.5")).json(), { country: "fr", euros: 12.9 });
  const signedIn = await ask("/login", { method: "POST", body: new URLSearchParams({ name: "ada", password: "clay", next: "/" }) });
  const cookie = signedIn.headers.getSetCookie()[0]?.split(";")[0] ?? "";
  const order = { method: "POST", body: JSON.stringify({ parcels: [{ country: "de", kg: 1, value: 20 }] }) };
  assert.equal((await ask("/hono/quotes", order)).status, 401);
  assert.deepEqual(await (await ask("/hono/quotes", { ...order, headers: { cookie } })).json(), { for: "ada", quotes: [4.9] });
});

test("a body that breaks off at the origin breaks off at the client too, instead of looking complete", async () => {
  const answer = await ask("/fail/halfway");
  // Too late for an error page once the head is out; before that, the gateway can still say what happened.
  if (answer.status === 502) assert.equal(answer.headers.get("sluice-error"), "UPSTREAM_RESET");
  else await assert.rejects(answer.text());
});

test("health, readiness and metrics answer at the admin listener", async () => {
  assert.equal((await fetch(`${shop.adminUrl}/health`)).status, 200);
  assert.equal((await fetch(`${shop.adminUrl}/ready`)).status, 200);
  assert.equal((await fetch(`${shop.adminUrl}/metrics`)).status, 401);
  assert.match(await metrics(), /^sluice_rule_\S*home_copy_shown\S* [1-9]/m);
});
