import assert from "node:assert/strict";
import { test } from "node:test";
import { gateway } from "../../runtime/testing/testing.ts";

const gw = await gateway({ rules: "./limit-rules/charge.ts" });
const charge = async (name: unknown, options: unknown) => {
  const res = await gw.request("/", { method: "POST", body: { name, options } });
  return { status: res.status, text: res.text() };
};

test("a rule gets plain, frozen facts", async () => {
  const { status, text } = await charge("api", { key: "a", rate: "10/1h", burst: 2 });
  assert.equal(status, 200);
  assert.deepEqual(JSON.parse(text), {
    ...{ allowed: true, remaining: 1, resetMs: 360_000, retryAfterMs: 0, reason: "ok" },
    headers: { "ratelimit-policy": '"api";q=10;w=3600', ratelimit: '"api";r=1;t=360' },
  });
});

test("one name and key is one count, whatever the key holds", async () => {
  for (const key of ["", "ümläut", "{a}", "a b\r\n", "x".repeat(10_000), "#abc"]) {
    assert.match((await charge("keys", { key, rate: "1/1h" })).text, /"allowed":true/, JSON.stringify(key));
    assert.match((await charge("keys", { key, rate: "1/1h" })).text, /"allowed":false/, JSON.stringify(key));
  }
});

test("what runs at once is given back when the exchange is over", async () => {
  for (let i = 0; i < 3; i++) {
    let text = "";
    // Given back at the end of the turn in which the answer left.
    for (let tries = 0; tries < 100 && !text.includes('"allowed":true'); tries++)
      text = (await charge("running", { key: "a", rate: "1", algorithm: "concurrency" })).text;
    assert.match(text, /"allowed":true/);
  }
});

const wrong: readonly (readonly [what: string, name: unknown, options: unknown, expected: RegExp])[] = [
  ["no name", null, { key: "a", rate: "1/1s" }, /TypeError: ctx\.limit: a name is expected/],
  ["a name that could not stand in a header", 'a"b', { key: "a", rate: "1/1s" }, /SERVICE_REFUSED.*a name of letters/],
  ["no options", "api", null, /TypeError: ctx\.limit: api: options are expected/],
  ["a forgotten key", "api", { rate: "1/1s" }, /TypeError: ctx\.limit: api: key: a string is expected/],
  ["an option that does not exist", "api", { key: "a", rate: "1/1s", brust: 3 }, /TypeError: ctx\.limit: api: "brust" is no option/],
  ["no rate", "api", { key: "a" }, /SERVICE_REFUSED.*rate/],
  ["a rate that is none", "api", { key: "a", rate: "fast" }, /SERVICE_REFUSED.*rate: found "fast", expected a rate such as "100\/1m"/],
  ["a cost that can never be had", "api", { key: "a", rate: "5/1s", cost: 6 }, /SERVICE_REFUSED.*cost: found 6, expected at most 5/],
  ["a negative cost", "api", { key: "a", rate: "5/1s", cost: -1 }, /SERVICE_REFUSED.*cost/],
  ["an algorithm that does not exist", "api", { key: "a", rate: "5/1s", algorithm: "leaky" }, /SERVICE_REFUSED.*algorithm/],
  ["a key beyond all measure", "api", { key: "k".repeat(20_000), rate: "5/1s" }, /SERVICE_REFUSED.*key/],
];
for (const [what, name, options, expected] of wrong) {
  test(`${what} is told to the rule`, async () => {
    const { status, text } = await charge(name, options);
    assert.equal(status, 400, text);
    assert.match(text, expected);
  });
}
