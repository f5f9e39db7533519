import { expect, gateway, test } from "sluice/testing";

const kept = { headers: { "cache-control": "public, max-age=600" } };
const gw = await gateway({
  rules: "./rule.ts",
  upstreams: { shop: ({ target }) => ({ ...kept, body: `world ${target}` }), europe: ({ target }) => ({ ...kept, body: `europe ${target}` }) },
  cache: {},
});

for (const [country, store] of [
  ["AT", "europe"],
  ["CH", "europe"],
  ["US", "world"],
  ["", "world"],
] as const) {
  test(`a visitor from "${country}" gets ${store}`, async () => {
    expect((await gw.request("/products/101", { country })).text()).toBe(`${store} /products/101`);
  });
}

test("each store is fetched once, and nobody gets the other's page from the cache", async () => {
  const got: string[] = [];
  let asked = 0;
  for (const country of ["FR", "US", "DE", "BR", "NL", ""]) {
    const res = await gw.request("/sale", { country });
    got.push(res.text().split(" ")[0]!);
    asked += res.upstreamRequests.length;
  }
  expect(got).toEqual(["europe", "world", "europe", "world", "europe", "world"]);
  expect(asked).toBe(2);
});

test("only the visitor's own browser may keep the page of a country", async () => {
  expect((await gw.request("/products/102", { country: "DE" })).headers.get("cache-control")).toBe("private, no-cache");
  expect((await gw.request("/products/102", { country: "US" })).headers.get("cache-control")).toBe("public, max-age=600");
});

test("images are the same everywhere", async () => {
  const res = await gw.request("/images/bowl.png", { country: "DE" });
  expect(res.text()).toBe("world /images/bowl.png");
  expect(res.hooks).toEqual([]);
});

test("when the store in Europe is away, there is the other one", async () => {
  const away = await gateway({ rules: "./rule.ts", upstreams: { shop: "world", europe: { fails: "reset" } } });
  const res = await away.request("/", { country: "DE" });
  expect(res.text()).toBe("world");
  expect(res.logs.map(({ text }) => text)).toEqual(["europe: UPSTREAM_RESET"]);
});
