import assert from "node:assert/strict";
import { after, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { type Answer, Browser, experiment, ExperimentsGateway, visitorOfEach } from "./experiments-gateway.ts";

const PAGE = "<!doctype html><html><body><h1>as sent</h1><p>rest</p></body></html>";
const EDITED = PAGE.replace("as sent", "Buy it now");
const HTML = { "content-type": "text/html; charset=utf-8" };
const HALVES = "variants: { control: 50, bold: 50 }";

const gateway = await ExperimentsGateway.open({
  modules: {
    hero: experiment("hero", `when: { path: "/hero/*" }, ${HALVES}, apply: { bold: { html: [html.setText("h1", "Buy it now")] } }`),
    head: experiment(
      "head",
      `when: { path: "/head" }, ${HALVES}, apply: { bold: { headers: { "x-hero": "bold", "x-origin": null }, cookies: { seen: "yes" } } }`,
    ),
    moved: experiment("moved", `when: { path: "/moved" }, ${HALVES}, apply: { bold: { redirect: "/elsewhere" } }`),
    version: experiment(
      "version",
      `when: { path: "/version" }, ${HALVES}, apply: { bold: { path: "/v2", upstream: "next", originHeaders: { "x-version": "2", "x-secret": null } } }`,
    ),
  },
  config: { trustedProxies: ["127.0.0.1"] },
  origins: {
    site: ({ target }) =>
      target === "/hero/gzip"
        ? { headers: { ...HTML, "content-encoding": "gzip", "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==" }, body: gzipSync(PAGE) }
        : target === "/hero/image"
          ? { headers: { "content-type": "image/png", etag: '"i1"' }, body: "png" }
          : { headers: { ...HTML, etag: '"v1"', "x-origin": "site", "last-modified": "Sat, 21 Nov 2026 10:00:00 GMT" }, body: PAGE },
    next: ({ target, headers }) => ({ headers: HTML, body: ["next", target, headers["x-version"], headers["x-secret"]].join(" ") }),
  },
});
after(() => gateway.close());

const heroOf = (res: Answer): string => (res.text === EDITED ? "bold" : res.text === PAGE ? "control" : res.text);
const { control, bold } = (await visitorOfEach(gateway, "/hero/", heroOf, ["control", "bold"])) as { control: Browser; bold: Browser };
const lastAsked = () => gateway.asked.at(-1)!;

test("a visitor sees one variant on every page of the experiment, and its cookie is nobody else's business", async () => {
  for (const [visitor, page] of [
    [control, PAGE],
    [bold, EDITED],
  ] as const) {
    visitor.cookies.set("own", "1");
    assert.equal((await visitor.ask("/hero/again")).text, page);
    assert.equal(lastAsked().headers.cookie, "own=1");
  }
});

test("the visitor cookie is made on the very request, signed, for the gateway alone, and Secure exactly when the request came by https", async () => {
  const secure = (await new Browser(gateway).ask("/hero/", { headers: { "x-forwarded-proto": "https" } })).headers["set-cookie"]!;
  assert.deepEqual(
    secure.map((line) => line.endsWith("; HttpOnly; SameSite=Lax; Secure")),
    [true, true],
  );
  const res = await new Browser(gateway).ask("/hero/");
  const cookie = res.headers["set-cookie"]!.find((line) => line.startsWith("sluice_visitor="))!;
  assert.match(cookie, /^sluice_visitor=[\w-]{22}\.[\w-]{22}; Path=\/; Max-Age=34560000; HttpOnly; SameSite=Lax$/);
  assert.equal(
    (await bold.ask("/hero/")).headers["set-cookie"]?.some((line) => line.startsWith("sluice_visitor=")),
    undefined,
  );
});

test("a forged cookie is another visitor, who gets a genuine one", async () => {
  const forger = new Browser(gateway);
  forger.cookies.set("sluice_visitor", `${"A".repeat(22)}.${"A".repeat(22)}`);
  await forger.ask("/hero/");
  assert.doesNotMatch(forger.cookies.get("sluice_visitor")!, /^A{22}/);
});

test("pages that experiments act on are for the visitor's browser alone; what else stands there is as the origin sent it", async () => {
  assert.equal((await control.ask("/hero/")).headers["cache-control"], "private, no-cache");
  assert.equal((await control.ask("/plain")).headers["cache-control"], undefined);
});

test("who has the edited page gets 304, who has the origin's gets the edited one, and no part is cut out of it", async () => {
  const { etag, "last-modified": date, "accept-ranges": ranges } = (await bold.ask("/hero/")).headers;
  assert.match(etag ?? "", /^W\/"v1-[0-9a-f]{8}"$/);
  assert.deepEqual([date, ranges], [undefined, "none"]);
  const again = await bold.ask("/hero/", { headers: { "if-none-match": etag! } });
  assert.deepEqual([again.status, again.text, again.headers["content-type"]], [304, "", undefined]);
  const other = await bold.ask("/hero/", { headers: { "if-none-match": '"v1"', "if-modified-since": "Sat, 21 Nov 2026 10:00:00 GMT", range: "bytes=0-3" } });
  assert.deepEqual([other.status, other.text], [200, EDITED]);
  assert.equal(lastAsked().headers["if-none-match"], undefined);
});

test("images of the same experiment keep their 304s, and caches in between may keep them", async () => {
  assert.equal((await bold.ask("/hero/image")).headers["cache-control"], undefined);
  await bold.ask("/hero/image", { headers: { "if-none-match": '"i1"', "sec-fetch-dest": "image", accept: "image/*" } });
  assert.equal(lastAsked().headers["if-none-match"], '"i1"');
});

test("a compressed page is edited and stays compressed, without a digest that is no longer true", async () => {
  const res = await bold.ask("/hero/gzip", { headers: { "accept-encoding": "gzip" } });
  assert.equal(gunzipSync(res.bytes).toString(), EDITED);
  assert.deepEqual([res.headers["content-encoding"], res.headers["content-md5"], res.headers["content-length"]], ["gzip", undefined, undefined]);
});

test("HEAD tells no length of the unedited page", async () => {
  const res = await bold.ask("/hero/", { method: "HEAD" });
  assert.deepEqual([res.status, res.headers["content-length"]], [200, undefined]);
  assert.match(res.headers.etag ?? "", /^W\//);
});

test("headers and cookies of a variant go to its visitors", async () => {
  const visitors = await visitorOfEach(gateway, "/head", (res) => String(res.headers["x-hero"] ?? "control"), ["control", "bold"]);
  const res = await visitors["bold"]!.ask("/head");
  assert.deepEqual([res.headers["x-hero"], res.headers["x-origin"]], ["bold", undefined]);
  assert.ok(res.headers["set-cookie"]!.includes("seen=yes; Path=/; SameSite=Lax"));
  const plain = await visitors["control"]!.ask("/head");
  assert.deepEqual([plain.headers["x-hero"], plain.headers["x-origin"], plain.headers["set-cookie"]], [undefined, "site", undefined]);
});

test("a redirect is counted before it, keeps the query, and asks no origin", async () => {
  const visitors = await visitorOfEach(gateway, "/moved", (res) => (res.status === 302 ? "bold" : "control"), ["control", "bold"]);
  gateway.counted.length = 0;
  const asked = gateway.asked.length;
  const res = await visitors["bold"]!.ask("/moved?from=mail");
  assert.deepEqual([res.status, res.headers.location, res.headers["cache-control"]], [302, "/elsewhere?from=mail", "private, no-store"]);
  assert.equal(gateway.asked.length, asked);
  await visitors["control"]!.ask("/moved");
  assert.deepEqual(gateway.counted, ["moved=bold", "moved=control"]);
});

test("a variant may be another path of another upstream, with headers of its own", async () => {
  const visitors = await visitorOfEach(gateway, "/version", (res) => (res.text.startsWith("next") ? "bold" : "control"), ["control", "bold"]);
  const res = await visitors["bold"]!.ask("/version?q=1", { headers: { "x-secret": "s" } });
  assert.equal(res.text, "next /v2?q=1 2 ");
  await visitors["control"]!.ask("/version?q=1", { headers: { "x-secret": "s" } });
  assert.deepEqual([lastAsked().upstream, lastAsked().target, lastAsked().headers["x-secret"]], ["site", "/version?q=1", "s"]);
});
