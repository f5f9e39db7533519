import assert from "node:assert/strict";
import { test } from "node:test";
import { FRESH, Gateways } from "./gateways.ts";

const read = (word: string) => [{ rule: "greet.ts", read: word }];

for (const word of ["cookie:sid", "header:authorization", "client", "random", "header:x-anything", "header:*", "*"]) {
  test(`when a rule read ${word} before the cache, whoever asks at once or later asks the origin`, async () => {
    const gateways = new Gateways(2);
    await gateways.settle();
    let visitor = 0;
    gateways.answer(() => ({ fields: FRESH, body: `for visitor ${visitor++}` }));
    const crowd = await gateways.of(Promise.all(Array.from({ length: 8 }, (_, i) => gateways.ask(i % 2, { reads: read(word) }))));
    assert.equal(new Set(crowd.map(({ text }) => text)).size, 8);
    assert.equal(gateways.warnings.length > 0, true);
    assert.deepEqual([gateways.warnings[0]!["event"], gateways.warnings[0]!["rule"], gateways.warnings[0]!["read"]], ["cache-personal", "greet.ts", word]);
    gateways.close();
  });
}

test("when a rule read it behind onRequest, nobody who waited gets the answer", async () => {
  const gateways = new Gateways(1);
  const asks = [gateways.ask(0), gateways.ask(0), gateways.ask(0)];
  await gateways.settle();
  assert.equal(gateways.fetches.length, 1);
  gateways.fetches[0]!.answer({ fields: FRESH, body: "for the first", reads: read("client") });
  await gateways.settle();
  assert.equal(gateways.fetches.length, 3);
  gateways.fetches[1]!.answer({ fields: FRESH, body: "for the second" });
  gateways.fetches[2]!.answer({ fields: FRESH, body: "for the third" });
  assert.deepEqual(
    (await gateways.of(Promise.all(asks))).map(({ text }) => text),
    ["for the first", "for the second", "for the third"],
  );
  gateways.close();
});

test("what the key or Vary holds is no secret, and a rule that stores it on purpose is believed", async () => {
  const gateways = new Gateways(1);
  const route = { key: { query: null, headers: ["x-device"], cookies: ["plan"] } };
  gateways.answer(() => ({ fields: { ...FRESH, vary: "accept-language" }, body: "x" }));
  for (const word of ["header:x-device", "cookie:plan", "header:accept-language", "header:host"]) {
    const before = gateways.fetches.length;
    for (let i = 0; i < 2; i++) await gateways.of(gateways.ask(0, { target: `/${word}`, route, reads: read(word) }));
    assert.equal(gateways.fetches.length - before, 1, word);
  }
  gateways.answer(() => ({ fields: FRESH, body: "on purpose", decision: { cacheability: "yes" } }));
  const before = gateways.fetches.length;
  for (let i = 0; i < 2; i++) await gateways.of(gateways.ask(0, { target: "/purpose", reads: read("cookie:sid") }));
  assert.equal(gateways.fetches.length - before, 1);
  gateways.close();
});
