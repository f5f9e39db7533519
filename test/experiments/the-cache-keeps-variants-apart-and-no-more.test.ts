import assert from "node:assert/strict";
import { after, test } from "node:test";
import { type Answer, Browser, experiment, ExperimentsGateway, visitorOfEach } from "./experiments-gateway.ts";

const PAGE = "<!doctype html><html><body><h1>as sent</h1></body></html>";
const HALVES = "variants: { control: 50, bold: 50 }";
const CACHED = { "cache-control": "public, max-age=600, s-maxage=900", etag: '"v1"' };

const gateway = await ExperimentsGateway.open({
  modules: {
    hero: experiment("hero", `when: { path: "/hero" }, ${HALVES}, apply: { bold: { html: [html.setText("h1", "bold")] } }`),
    colour: experiment("colour", `when: { path: "/hero" }, ${HALVES}, apply: { bold: { html: [html.addClass("h1", "red")] } }`),
    backend: experiment("backend", `when: { path: "/backend" }, ${HALVES}, apply: { bold: { originHeaders: { "x-version": "2" } } }`),
    unread: experiment("unread", `when: { path: "/*" }, ${HALVES}, apply: { bold: { headers: { "x-unread": "bold" } } }`),
    ranking: experiment("ranking", `when: { path: "/search" }, ${HALVES}`),
    search: `export default defineRule({ when: { path: "/search" }, onRequest(req, ctx) { if (ctx.experiment("ranking").variant === "bold") req.headers.set("x-sort", "new") } })`,
    price: experiment("price", `when: { path: "/price/*" }, ${HALVES}`),
    pricing: `export default defineRule({ when: { path: "/price/*" }, onOriginRequest(req, ctx) { req.headers.set("x-price", ctx.experiment("price").variant) } })`,
    shelf: experiment("shelf", `when: { path: "/shelf" }, ${HALVES}, apply: { bold: { path: "/shelf-2" } }`),
    beta: experiment("beta", `when: { path: "/shelf", cookie: { beta: "1" } }, ${HALVES}, apply: { bold: { originHeaders: { "x-version": "beta" } } }`),
    late: experiment("late", `when: { path: "/late" }, ${HALVES}`),
    lately: `export default defineRule({ when: { path: "/late" }, onResponse(res, req, ctx) { res.headers.set("x-late", ctx.experiment("late").variant) } })`,
  },
  config: { cache: {} },
  origins: {
    site: ({ headers }) => ({
      headers: { "content-type": "text/html", ...CACHED },
      body: `${PAGE}${headers["x-version"] ?? ""}${headers["x-sort"] ?? ""}${headers["x-price"] ?? ""}`,
    }),
  },
});
after(() => gateway.close());

async function crowd(target: string, seen: (res: Answer) => string): Promise<{ readonly fetches: number; readonly variants: ReadonlyMap<string, number> }> {
  const before = gateway.asked.length;
  const variants = new Map<string, number>();
  for (let i = 0; i < 40; i++) {
    const variant = seen(await new Browser(gateway).ask(target));
    variants.set(variant, (variants.get(variant) ?? 0) + 1);
  }
  return { fetches: gateway.asked.length - before, variants };
}

test("one fetch serves every combination of edited variants, each edited once", async () => {
  const { made } = gateway.worker.core.experiments!.pages;
  const { fetches, variants } = await crowd("/hero", (res) => res.text);
  assert.equal(fetches, 1);
  assert.deepEqual(
    [...variants.keys()].sort(),
    [PAGE, PAGE.replace("<h1>", '<h1 class="red">'), PAGE.replace("as sent", "bold"), PAGE.replace("<h1>as sent", '<h1 class="red">bold')].sort(),
  );
  // Three edited forms, made from the stored page; whoever led the fetch may have streamed one of them before.
  assert.equal(gateway.worker.core.experiments!.pages.made - made, 3);
});

test("edited pages end with the page that they were made from", async () => {
  const visitors = await visitorOfEach(gateway, "/hero", (res) => (res.text.includes("bold") ? "bold" : "control"), ["control", "bold"]);
  const before = gateway.asked.length;
  await gateway.worker.core.cache!.purge({ kind: "all", value: "", soft: false });
  assert.ok((await visitors["bold"]!.ask("/hero")).text.includes("bold"));
  assert.ok((await visitors["bold"]!.ask("/hero")).text.includes("bold"));
  assert.equal(gateway.asked.length, before + 1);
});

test("what the origin sees of a variant is in the key; what it does not see is not", async () => {
  const { fetches, variants } = await crowd("/backend", (res) => res.text);
  assert.equal(fetches, 2);
  assert.deepEqual([...variants.keys()].sort(), [PAGE, `${PAGE}2`]);
  assert.equal((await crowd("/plain", (res) => String(res.headers["x-unread"]))).fetches, 1);
});

test("a variant that a rule asked for before the cache is in the key, in onRequest and between cache and origin", async () => {
  const search = await crowd("/search", (res) => res.text);
  assert.equal(search.fetches, 2);
  assert.deepEqual([...search.variants.keys()].sort(), [PAGE, `${PAGE}new`]);
  const price = await crowd("/price/1", (res) => res.text);
  assert.equal(price.fetches, 2);
  assert.deepEqual([...price.variants.keys()].sort(), [`${PAGE}bold`, `${PAGE}control`]);
});

test("who changes what is behind a URL has changed it for the visitors of all variants", async () => {
  const of = (res: Answer): string => (res.text.includes("2") || res.text.includes("bold") || res.text.includes("new") ? "bold" : "control");
  for (const target of ["/backend", "/search", "/price/7"]) {
    const visitors = await visitorOfEach(gateway, target, of, ["control", "bold"]);
    for (const who of ["control", "bold"]) {
      for (const visitor of Object.values(visitors)) await visitor.ask(target);
      const before = gateway.asked.length;
      await visitors[who]!.ask(target, { method: "POST", body: "x" });
      for (const visitor of Object.values(visitors)) await visitor.ask(target);
      assert.equal(gateway.asked.length, before + 3, `${target} changed by ${who}`);
    }
  }

  // Variants that lead to another path, and one that only some can be in.
  const crowd = Array.from({ length: 40 }, () => new Browser(gateway));
  for (const visitor of crowd.slice(20)) visitor.cookies.set("beta", "1");
  for (const visitor of crowd) await visitor.ask("/shelf?page=3");
  const before = gateway.asked.length;
  for (const visitor of crowd) await visitor.ask("/shelf?page=3");
  assert.equal(gateway.asked.length, before);
  const forms = new Set(gateway.asked.filter(({ target }) => target.startsWith("/shelf")).map(({ target, headers }) => `${target} ${headers["x-version"]}`))
    .size;
  assert.ok(forms >= 3, String(forms));
  await new Browser(gateway).ask("/shelf?page=3", { method: "POST", body: "x" });
  const changed = gateway.asked.length;
  for (const visitor of crowd) await visitor.ask("/shelf?page=3");
  assert.equal(gateway.asked.length, changed + forms);
});

test("a variant that a rule asked for behind the cache is not", async () => {
  const late = await crowd("/late", (res) => String(res.headers["x-late"]));
  assert.equal(late.fetches, 1);
  assert.deepEqual([...late.variants.keys()].sort(), ["bold", "control"]);
});

test("everybody is counted, whether the page came from the origin or from the cache", async () => {
  for (const [target, key] of [
    ["/price/2", "price"],
    ["/late", "late"],
    ["/search", "ranking"],
    ["/backend", "backend"],
  ] as const) {
    gateway.counted.length = 0;
    await crowd(target, () => "");
    assert.equal(gateway.counted.filter((line) => line.startsWith(`${key}=`)).length, 40, target);
  }
});

test("caches in between are told what the origin says where config says so", async (t) => {
  const open = await ExperimentsGateway.open({
    modules: {
      hero: experiment(
        "hero",
        `when: { path: "/hero" }, unit: header("x-user"), consent: "stateless", ${HALVES}, apply: { bold: { html: [html.setText("h1", "bold")] } }`,
      ),
    },
    config: { experiments: { downstream: "origin" } },
    origins: { site: () => ({ headers: { "content-type": "text/html", ...CACHED }, body: PAGE }) },
  });
  t.after(() => open.close());
  const res = await new Browser(open).ask("/hero", { headers: { "x-user": "u1" } });
  assert.deepEqual([res.headers["cache-control"], res.headers["set-cookie"]], ["public, max-age=600, s-maxage=900", undefined]);
});

test("what is stored holds no cookie of the gateway, and caches in between are told to keep nothing", async () => {
  const res = await new Browser(gateway).ask("/hero");
  assert.equal(res.headers["cache-control"], "private, no-cache");
  assert.ok(res.headers["set-cookie"]!.some((line) => line.startsWith("sluice_visitor=")));
  const bot = await new Browser(gateway, { "user-agent": "Googlebot/2.1" }).ask("/hero");
  assert.equal(bot.headers["set-cookie"], undefined);
  assert.equal(bot.headers["cache-control"], "private, no-cache");
});
