import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as nextTurn } from "node:timers/promises";
import { setLive } from "../../runtime/experiments/live/live.ts";
import type { Countries } from "../../runtime/proxy/countries.ts";
import { countryFile } from "../support/country-database.ts";
import { type Answer, Browser, experiment, ExperimentsGateway } from "../experiments/experiments-gateway.ts";

const HALVES = "variants: { control: 50, bold: 50 }";
const PAGE = "<!doctype html><h1>as sent</h1>";
const DE = "203.0.113.7";
const FR = "2001:db8::7";
/** In the database too, for whom the header says otherwise. */
const JP = "198.51.100.7";
const UNKNOWN = "192.0.2.7";

const MODULES = {
  say: `export default defineRule({ when: { path: "/say" }, onRequest: (req, ctx) => respond(200, JSON.stringify([ctx.client.country, req.headers.get("x-country")])) })`,
  mark: `export default defineRule({ when: { path: ["/plain", "/by-rule"] }, onOriginRequest(req) { req.headers.set("x-marked", "yes") } })`,
  german: `export default defineRule({ when: { path: "/by-rule", country: ["DE", "AT"] }, onOriginRequest(req) { req.headers.set("x-edition", "german") } })`,
  instead: `export default defineRule({ when: { path: "/instead", country: "DE" }, onError(error, req) { req.upstream = "german" } })`,
  late: `export default defineRule({ when: { path: "/late", country: "DE" }, onResponse(res) { res.headers.set("x-late", "german") } })`,
  abroad: `export default defineRule({ when: { path: "/abroad", not: { country: "DE" } }, onOriginResponse(res) { res.headers.set("x-edition", "abroad") } })`,
  either: `export default defineRule({
    when: [{ path: "/either/:german", country: "DE" }, { path: "/either/:other" }],
    onOriginRequest(req) { req.headers.set("x-edition", Object.keys(req.params).join()) },
  })`,
  shown: experiment(
    "shown",
    `when: { path: "/experiment", country: "DE" }, ${HALVES}, apply: { bold: { html: [html.setText("h1", "bold")], headers: { "x-shown": "bold" } } }`,
  ),
  sent: experiment("sent", `when: { path: "/sent", country: "DE" }, ${HALVES}, apply: { bold: { originHeaders: { "x-edition": "bold" } } }`),
};

function open(config: object, modules: Readonly<Record<string, string>> = MODULES): Promise<ExperimentsGateway> {
  return ExperimentsGateway.open({
    modules,
    config: {
      cache: {},
      routes: [
        { match: { path: "/routed", country: "DE" }, upstream: "german" },
        { match: { path: "/routed", country: "FR" }, upstream: "site", cache: false },
        { upstream: "site" },
      ],
      ...config,
    },
    origins: {
      site: ({ target, headers }) => ({
        headers: { "content-type": "text/html", "cache-control": "max-age=600", ...(target === "/instead" ? { "content-length": ["1", "2"] } : {}) },
        body: PAGE + (headers["x-edition"] ?? "") + (headers["x-marked"] ?? ""),
      }),
      german: () => ({ headers: { "cache-control": "max-age=600" }, body: "from the German origin" }),
    },
  });
}

/** Looked up since it was last asked. */
function counted(gateway: ExperimentsGateway): () => number {
  const countries = gateway.worker.core.countries!;
  let looked = 0;
  const counting: Countries = {
    told: (fields, client) => countries.told(fields, client),
    at: (address) => {
      looked++;
      return countries.at(address);
    },
  };
  gateway.worker.core.countries = counting;
  return () => {
    const since = looked;
    looked = 0;
    return since;
  };
}

let gateway!: ExperimentsGateway;
let looked!: () => number;
const files = { after };
before(async () => {
  const database = countryFile(files, { "203.0.113.0/24": "DE", "198.51.100.0/24": "JP", "2001:db8::/32": "FR" });
  gateway = await open({ geo: { database, header: "X-Country" }, trustedProxies: ["127.0.0.1"] });
  looked = counted(gateway);
});
after(() => gateway.close());

/** As a trusted proxy passes it on. */
const from = (address: string, headers: Record<string, string> = {}) => new Browser(gateway, { "x-forwarded-for": address, ...headers });
const originsAsked = async (asking: () => Promise<unknown>): Promise<number> => {
  const sofar = gateway.asked.length;
  await asking();
  return gateway.asked.length - sofar;
};

const isPrivate = (headers: Answer["headers"]): boolean => /^private\b/.test(headers["cache-control"] ?? "");

async function crowd(target: string, address: string, seen: (answer: Answer) => string): Promise<Set<string>> {
  const variants = new Set<string>();
  for (let i = 0; i < 24; i++) variants.add(seen(await from(address).ask(target)));
  return variants;
}

describe("the country of a client", () => {
  const said = async (browser: Browser): Promise<unknown> => JSON.parse((await browser.ask("/say")).text);
  test("is that of its address, whichever version that has", async () => {
    assert.deepEqual(
      [await said(from(DE)), await said(from(FR)), await said(from(UNKNOWN))],
      [
        ["DE", null],
        ["FR", null],
        ["", null],
      ],
    );
  });
  test("is what a trusted proxy says; the database where that says nothing", async () => {
    assert.deepEqual(await said(from(JP, { "x-country": "at" })), ["AT", "at"]);
    assert.deepEqual(await said(from(JP, { "x-country": "US, AT" })), ["AT", "US, AT"]);
    for (const unknown of ["XX", "T1", "Austria", ""]) assert.deepEqual(await said(from(JP, { "x-country": unknown })), ["JP", unknown]);
  });
  test("is not what a stranger says, and neither rules nor origins hear it", async (t) => {
    const strict = await open({ geo: { header: "X-Country" } });
    t.after(() => strict.close());
    const stranger = new Browser(strict, { "x-country": "DE", "x-forwarded-for": DE });
    assert.deepEqual(await said(stranger), ["", null]);
    assert.equal((await stranger.ask("/routed")).text, PAGE);
    assert.equal(strict.asked.at(-1)!.headers["x-country"], undefined);
  });
  test("is looked up by those who ask, once, and by nobody else", async () => {
    looked();
    for (const [target, times] of [
      ["/plain", 0],
      ["/nothing", 0],
      ["/say", 1],
      ["/by-rule", 1],
      ["/abroad", 1],
    ] as const) {
      await from(DE).ask(target);
      assert.equal(looked(), times, target);
    }
    await from(DE, { "x-country": "DE" }).ask("/by-rule");
    assert.equal(looked(), 0, "the header had said it");
  });
});

test("a gateway that knows no countries says which rules match nothing", async (t) => {
  const { say, german, late, shown } = MODULES;
  const blind = await open({}, { say, german, late, shown });
  t.after(() => blind.close());
  assert.deepEqual(
    blind.notes.filter((note) => note.startsWith("geo")),
    ['geo {"text":"country matches nothing, for this gateway\'s config has no geo key: german.ts, late.ts, shown.ts"}'],
  );
  const stranger = await new Browser(blind).ask("/by-rule");
  assert.deepEqual([stranger.status, stranger.text], [200, PAGE]);
});

describe("the cache never gives one country what was made for another:", () => {
  const edition = async (target: string, browser: Browser): Promise<string> => (await browser.ask(target)).text.slice(PAGE.length);
  for (const [first, second] of [
    [DE, FR],
    [FR, DE],
  ] as const) {
    test(`a page that a rule changes for one (${first} comes first) is stored for both`, async () => {
      await gateway.worker.core.cache!.purge({ kind: "all", value: "", soft: false });
      const expected = { [DE]: "germanyes", [FR]: "yes" };
      const fetches = await originsAsked(async () => {
        for (const address of [first, second, first, second]) assert.equal(await edition("/by-rule", from(address)), expected[address], address);
        // Whoever meets the same rules shares one entry.
        assert.equal(await edition("/by-rule", from(UNKNOWN, { "x-country": "AT" })), expected[DE]);
        assert.equal(await edition("/by-rule", from(UNKNOWN)), expected[FR]);
      });
      assert.equal(fetches, 2);
    });
  }
  test("of a crowd that asks for it at once, each gets its own", async () => {
    await gateway.worker.core.cache!.purge({ kind: "all", value: "", soft: false });
    const addresses = Array.from({ length: 12 }, (_, i) => [DE, FR, UNKNOWN][i % 3]!);
    const fetches = await originsAsked(async () => {
      const got = await Promise.all(addresses.map((address) => edition("/by-rule", from(address))));
      assert.deepEqual(
        got,
        addresses.map((address) => (address === DE ? "germanyes" : "yes")),
      );
    });
    assert.equal(fetches, 2);
  });
  test("a rule for everybody elsewhere", async () => {
    const editionOf = async (browser: Browser): Promise<unknown> => (await browser.ask("/abroad")).headers["x-edition"];
    const asked = await originsAsked(async () => {
      for (const [address, expected] of [
        [FR, "abroad"],
        [DE, undefined],
        [JP, "abroad"],
        [UNKNOWN, "abroad"],
        [DE, undefined],
      ] as const)
        assert.equal(await editionOf(from(address)), expected, address);
    });
    assert.equal(asked, 2);
  });
  test("a rule that matches everywhere, and elsewhere by another path", async () => {
    for (const [address, expected] of [
      [FR, "other"],
      [DE, "german"],
      [FR, "other"],
      [DE, "german"],
    ] as const)
      assert.equal(await edition("/either/1", from(address)), expected, address);
  });
  test("what a rule changes behind the cache is not stored", async () => {
    const lateOf = async (browser: Browser): Promise<unknown> => (await browser.ask("/late")).headers["x-late"];
    const asked = await originsAsked(async () =>
      assert.deepEqual([await lateOf(from(DE)), await lateOf(from(FR)), await lateOf(from(DE))], ["german", undefined, "german"]),
    );
    assert.equal(asked, 1);
  });
  test("who changes a page has changed it for all countries, and no other page", async () => {
    for (const address of [DE, FR]) for (const target of ["/by-rule", "/plain"]) await from(address).ask(target);
    for (const address of [DE, FR, UNKNOWN]) {
      await from(address).ask("/by-rule", { method: "POST", body: "x" });
      const asked = await originsAsked(async () => {
        for (const reader of [FR, DE, UNKNOWN]) assert.equal(await edition("/by-rule", from(reader)), reader === DE ? "germanyes" : "yes");
        await from(FR).ask("/plain");
      });
      assert.equal(asked, 2, address);
    }
  });
  test("another origin, asked in place of one that fails", async () => {
    const got = async (address: string): Promise<[number, string]> => {
      const { status, text } = await from(address).ask("/instead");
      return [status, text];
    };
    assert.deepEqual(await got(DE), [200, "from the German origin"]);
    assert.equal((await got(FR))[0], 502);
    assert.deepEqual(await got(DE), [200, "from the German origin"]);
  });
  test("routes to other origins", async () => {
    const got = async (address: string): Promise<string> => (await from(address).ask("/routed")).text;
    assert.deepEqual([await got(DE), await got(FR), await got(UNKNOWN), await got(DE)], ["from the German origin", PAGE, PAGE, "from the German origin"]);
  });
  test("what a rule makes with ctx.client is for nobody else", async () => {
    await gateway.swap({
      read: `export default defineRule({ when: { path: "/read" }, onOriginRequest(req, ctx) { req.headers.set("x-edition", ctx.client.country) } })`,
    });
    const asked = await originsAsked(async () =>
      assert.deepEqual([await edition("/read", from(DE)), await edition("/read", from(FR)), await edition("/read", from(DE))], ["DE", "FR", "DE"]),
    );
    assert.equal(asked, 3);
    await gateway.swap(MODULES);
  });
});

describe("an experiment for one country", () => {
  test("shows its variants there, and elsewhere nobody is assigned, marked or counted; one page is fetched for all", async () => {
    gateway.counted.length = 0;
    const fetches = await originsAsked(async () => {
      assert.deepEqual(await crowd("/experiment", FR, ({ text }) => text), new Set([PAGE]));
      assert.deepEqual(gateway.counted, []);
      const stranger = await from(FR).ask("/experiment");
      assert.deepEqual([stranger.headers["set-cookie"], stranger.headers["cache-control"], stranger.headers["x-shown"]], [undefined, "max-age=600", undefined]);
      const seen = await crowd("/experiment", DE, ({ text, headers }) => `${text} ${String(headers["x-shown"])} ${isPrivate(headers)}`);
      assert.deepEqual(seen, new Set([`${PAGE} undefined true`, `${PAGE.replace("as sent", "bold")} bold true`]));
    });
    assert.equal(fetches, 1);
    assert.equal(gateway.counted.length, 24);
    assert.ok(gateway.counted.includes("shown=bold") && gateway.counted.includes("shown=control"));
  });
  test("keeps what its variants ask of the origin to those who see them", async () => {
    const fetches = await originsAsked(async () => {
      assert.deepEqual(await crowd("/sent", DE, ({ text }) => text), new Set([PAGE, `${PAGE}bold`]));
      assert.deepEqual(await crowd("/sent", FR, ({ text }) => text), new Set([PAGE]));
    });
    assert.equal(fetches, 2);
  });
});

test("an experiment that was shipped for one country is kept out of caches that serve all", { timeout: 30_000 }, async () => {
  const entry = { state: { kind: "shipped", variant: "bold" }, reason: "it won", by: "test", atUnixMs: Date.now() } as const;
  await setLive(gateway.store, "shown", entry, null);
  const control = async (): Promise<boolean> => (await crowd("/experiment", DE, ({ headers }) => String(headers["x-shown"]))).has("undefined");
  while (await control()) await nextTurn(10);
  const shipped = await from(DE).ask("/experiment");
  assert.deepEqual([shipped.headers["x-shown"], isPrivate(shipped.headers)], ["bold", true]);
});

test("a shadow release is asked from the same country", { timeout: 30_000 }, async () => {
  const { worker } = gateway;
  const { release } = worker.core.table.loaded!;
  await worker.shadow({ tag: "same", release, maps: {}, config: worker.core.config, share: 1 });
  await from(DE).ask("/say");
  await from(DE, { "x-country": "AT" }).ask("/say");
  await from(FR).ask("/by-rule");
  const compared = () => worker.snapshot().shadow!;
  while (compared().compared + compared().notCompared + compared().dropped < 3) await nextTurn(10);
  assert.deepEqual([compared().equal, compared().examples], [3, []]);
  await worker.shadow(null);
});
