import assert from "node:assert/strict";
import http from "node:http";
import { after, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { type Answer, Browser, CHROME, experiment, ExperimentsGateway, visitorOfEach } from "./experiments-gateway.ts";

const PAGE = "<!doctype html><html><head></head><body><h1>as sent</h1><p>rest</p></body></html>";
const OTHER = "<!doctype html><html><head></head><body><h2>nothing to edit</h2></body></html>";
const HTML = { "content-type": "text/html; charset=utf-8" };
const DATE = "Sat, 21 Nov 2026 10:00:00 GMT";
const EDITED = `apply: { bold: { html: [html.setText("h1", "bold")] } }`;
const HALVES = "variants: { control: 50, bold: 50 }";

const goOn = Promise.withResolvers<string>();
const modules = {
  site: experiment("site", `when: { path: "/site/*" }, ${HALVES}, ${EDITED}`),
  kept: experiment("kept", `when: { path: "/kept/*" }, ${HALVES}, ${EDITED}`),
  many: experiment(
    "many",
    `when: { path: "/many/*" }, variants: { control: 34, one: 33, two: 33 }, apply: { one: { html: [html.setText("h1", "one")] }, two: { html: [html.remove("h2")] } }`,
  ),
  styled: experiment("styled", `when: { path: "/styled/*" }, ${HALVES}, apply: { bold: { html: [html.insertStyle("h1 { color: red }")] } }`),
};

const gateway = await ExperimentsGateway.open({
  modules,
  config: { cache: {} },
  origins: {
    site: ({ target, headers }) => {
      const body = target.includes("other") ? OTHER : target.includes("bare") ? "<p>a piece</p>" : PAGE;
      const told = target.startsWith("/kept") ? { "cache-control": "max-age=60" } : { "cache-control": "no-store" };
      if (target.includes("slow")) return { headers: HTML, body: "<!doctype html><body><p>first</p>", rest: goOn.promise };
      if (target.includes("broken")) return { status: 500, headers: HTML, body: OTHER };
      if (headers["if-none-match"] === '"v1"' || headers["if-modified-since"] === DATE) return { status: 304, headers: { ...told, etag: '"v1"' } };
      const tags = target.includes("dated") ? { "last-modified": DATE } : { etag: '"v1"' };
      if (target.includes("gzip"))
        return { headers: { ...HTML, ...told, ...tags, "content-encoding": "gzip", "content-length": String(gzipSync(body).length) }, body: gzipSync(body) };
      return { headers: { ...HTML, ...told, ...tags, "content-length": String(body.length) }, body };
    },
  },
});
after(() => gateway.close());

const shown = (res: Answer): string => /<h1>([^<]*)/.exec(res.text)?.[1] ?? "";

/** Twelve strangers look at a page: who of them is counted? */
async function countedOn(target: string, headers: Readonly<Record<string, string>> = {}): Promise<Set<string>> {
  gateway.counted.length = 0;
  for (let i = 0; i < 24; i++) await new Browser(gateway, headers).ask(target);
  const counted = [...gateway.counted];
  assert.ok(counted.length === 0 || counted.length === 24, `all or nobody: ${counted.length}`);
  return new Set(counted);
}

test("everybody is counted on a page that holds what a variant edits, and nobody on one that does not, control or not", async () => {
  for (const name of ["site", "kept"]) {
    assert.deepEqual(await countedOn(`/${name}/page`), new Set([`${name}=control`, `${name}=bold`]));
    assert.deepEqual(await countedOn(`/${name}/other`), new Set());
    assert.deepEqual(await countedOn(`/${name}/gzip`, { "accept-encoding": "gzip" }), new Set([`${name}=control`, `${name}=bold`]));
    assert.deepEqual(await countedOn(`/${name}/gzip/other`, { "accept-encoding": "gzip" }), new Set());
  }
});

test("what one variant edits counts the visitors of all variants", async () => {
  const all = new Set(["many=control", "many=one", "many=two"]);
  assert.deepEqual(await countedOn("/many/page"), all, "only variant one has something to edit here");
  assert.deepEqual(await countedOn("/many/other"), all, "only variant two has something to edit here");
  assert.deepEqual(await countedOn("/many/bare"), new Set());
});

test("a style sheet or a script that is put in changes each page with a head, and no other", async () => {
  assert.equal((await countedOn("/styled/other")).size, 2);
  assert.equal((await countedOn("/styled/bare")).size, 0);
});

test("control's page passes byte for byte while it is looked at, compressed or not, with its length", async () => {
  for (const target of ["/site/page", "/site/other", "/site/gzip"]) {
    for (let i = 0; i < 12; i++) {
      const res = await new Browser(gateway, { "accept-encoding": "gzip" }).ask(target);
      const text = target.endsWith("gzip") ? gunzipSync(res.bytes).toString() : res.text;
      // An edited page has a weak validator, whatever was found on it.
      if (res.headers.etag?.startsWith("W/") === true) continue;
      assert.equal(text, target.endsWith("other") ? OTHER : PAGE);
      assert.equal(res.headers["content-length"] ?? "", target.endsWith("gzip") ? String(res.bytes.length) : String(text.length));
      break;
    }
  }
});

test("an error in the page's place is no exposure; it is an error of whoever was exposed before", async () => {
  assert.deepEqual(await countedOn("/site/broken"), new Set());
  const { control } = await visitorOfEach(gateway, "/site/page", shown, ["as sent", "bold"]).then((found) => ({ control: found["as sent"]! }));
  const { counting } = gateway.worker.core.experiments!.parts;
  const { errors } = counting!.status();
  await control.ask("/site/broken");
  await control.ask("/site/broken");
  assert.equal(counting!.status().errors, errors + 1);
});

/** A stranger that sees control there, found by asking. */
async function controlOn(target: string, headers: Readonly<Record<string, string>>): Promise<{ readonly visitor: Browser; readonly first: Answer }> {
  for (let i = 0; i < 60; i++) {
    const visitor = new Browser(gateway);
    gateway.counted.length = 0;
    const first = await visitor.ask(target, { headers });
    if (gateway.counted[0]?.endsWith("=control") === true) return { visitor, first };
  }
  throw new Error(`nobody sees control on ${target}`);
}

test("who holds a page that flows is counted once it is known what stands there, and is told that it holds it from then on", async () => {
  for (const [target, held] of [
    ["/site/page", { "if-none-match": '"v1"' }],
    ["/site/dated", { "if-modified-since": DATE }],
    ["/site/page", { range: "bytes=0-3" }],
  ] as const) {
    const { visitor, first } = await controlOn(target, held);
    assert.equal(first.status, 200, target);
    if (!("range" in held)) assert.equal((await visitor.ask(target, { headers: held })).status, 304);
  }
});

test("who holds a stored page is counted, and told so at once", async () => {
  const held = { "if-none-match": '"v1"' };
  assert.equal((await controlOn("/kept/page", held)).first.status, 304);
  gateway.counted.length = 0;
  const statuses = new Set<number>();
  for (let i = 0; i < 24; i++) statuses.add((await new Browser(gateway).ask("/kept/other", { headers: held })).status);
  assert.deepEqual([statuses, gateway.counted], [new Set([200, 304]), []], "an edited page has a validator of its own, whatever was found on it");
});

test("it is counted before the first byte of what differs is given on, and not before it is found", async () => {
  gateway.counted.length = 0;
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const headers = { host: "shop.example", "user-agent": CHROME, accept: "text/html" };
    http.get({ port: gateway.port, path: "/site/slow", headers, agent: false }, resolve).on("error", reject);
  });
  const countedAt: number[] = [];
  await new Promise<void>((resolve, reject) => {
    response.on("data", (piece: Buffer) => {
      countedAt.push(gateway.counted.length);
      assert.equal(piece.includes("<h1>"), gateway.counted.length === 1);
      goOn.resolve("<h1>as sent</h1></body>");
    });
    response.on("end", resolve).on("error", reject);
  });
  assert.deepEqual([countedAt[0], countedAt.at(-1)], [0, 1]);
});
