import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { resolveConfig } from "../../runtime/config/config.ts";
import { RECORDED_HEADERS } from "../../runtime/config/record.ts";
import { Recording } from "../../runtime/observe/recordings/recording.ts";
import { callWord, createSanitizer, keptReply, OwnNames, roomFor } from "../../runtime/observe/recordings/recordings.ts";
import { recordingOf } from "../../runtime/proxy/recorder.ts";
import type { Witness } from "../../runtime/proxy/witness.ts";
import { GatewayError } from "../../runtime/errors.ts";

const ALLOWED = new Set(RECORDED_HEADERS);
const sanitizer = createSanitizer("a key for tests");
/** Long enough not to come about by chance. */
const secret = fc.stringMatching(/^[a-z]{12,20}$/);
const CODE = 'async onRequest(req, ctx) { await ctx.kv.get("flag"); await ctx.limit("per-user"); ctx.fetch("https://api.example.com/known") }';

/** An exchange in which what is personal stands wherever a client, an origin, a service or a rule may have put it. */
function exchange(s: readonly string[], code: string = CODE, replies: Witness["calls"] | null = null): Witness {
  const at = (i: number): string => s[i % s.length]!;
  const calls: Witness["calls"] = [
    {
      rule: "a.ts",
      service: "kv",
      args: { op: "get", key: `user:${at(0)}` },
      reply: { ok: true, value: { json: JSON.stringify({ [at(1)]: at(2), role: at(3), n: 7 }), version: at(4) } },
    },
    {
      rule: "a.ts",
      service: "fetch",
      args: { method: "GET", url: `https://api.example.com/${at(5)}?q=${at(6)}`, headers: [["x", at(7)]], body: at(8) },
      reply: {
        ok: true,
        value: {
          status: 200,
          url: `https://x/${at(9)}`,
          redirected: false,
          headers: [
            ["set-cookie", at(10)],
            ["content-type", "text/plain"],
          ],
          body: at(11),
        },
      },
    },
    {
      rule: "a.ts",
      service: "jwt",
      args: { token: at(12) },
      reply: { ok: true, value: { claims: { sub: at(13), exp: 2_000_000_000, phone: 4_917_012_345 } } },
    },
    { rule: "a.ts", service: "limit", args: { name: at(14), key: at(15) }, reply: { ok: false, error: new GatewayError("STORE_TIMEOUT", at(16)) } },
    { rule: "a.ts", service: "requestBody", args: {}, reply: { ok: true, value: { bytes: at(17) } } },
  ];
  const partial = {
    received: {
      method: "GET",
      scheme: "http",
      authority: "shop.example.com",
      target: `/basket?${at(18)}&mail=${at(19)}&empty=`,
      fields: ["cookie", `sid=${at(20)}`, "authorization", `Bearer ${at(21)}`, "x-anything", at(22), "referer", at(23), "user-agent", "a browser"],
      peer: `10.0.0.1 ${at(24)}`,
      hasBody: true,
    },
    startUnixMs: 1_800_000_000_000,
    draws: [{ phase: "onRequest", clockMs: 1, seed: "0123456789abcdef0123456789abcdef" }],
    variants: { hero: "bold" },
    origin: { status: 200, fields: ["set-cookie", at(25), "location", at(26), "content-type", "text/html"] },
    cached: null,
    calls: replies ?? calls,
    decisions: new Map([
      ["status", "200"],
      ["answered by", "upstream"],
      ["target", `/${at(27)}`],
      [`request header ${at(28)}`, at(29)],
      ["upstream", at(30)],
      ["body", at(31)],
    ]),
    life: {
      id: at(32),
      client: { scheme: "http", address: "10.0.0.1" },
      upstream: at(30),
      core: { upstreams: { has: (name: string) => name === "shop" } },
      table: { releaseId: "0123456789ab", loaded: { release: { rules: [{ manifest: { name: "a.ts" }, code }] } } },
    },
  };
  return partial as unknown as Witness;
}

test("no header outside the list, no query value, no cookie, address, body, key, argument or reply stands in a recording", () => {
  fc.assert(
    fc.property(fc.uniqueArray(secret, { minLength: 33, maxLength: 33 }), (secrets) => {
      const made = recordingOf(exchange(secrets), sanitizer, ALLOWED);
      assert.equal(Recording.safeParse(made).error, undefined);
      const text = JSON.stringify(made);
      for (const one of [...secrets, "10.0.0.1", "4917012345", "89abcdef"]) assert.equal(text.includes(one), false, `${one} in ${text}`);
    }),
    { numRuns: 50 },
  );
});

test("what is kept is enough to decide again: equal values stay equal, shapes and small numbers stay, the author's own words stay", () => {
  assert.equal(sanitizer.target("/a?x=1&y=1"), `/a?x=${sanitizer.digest("1")}&y=${sanitizer.digest("1")}`);
  assert.notEqual(sanitizer.digest("1"), createSanitizer("another key").digest("1"));
  const value = sanitizer.value({ ok: true, left: 3, none: null, list: ["a", "a"], exp: 1_900_000_000 }, () => true, roomFor(4_096)) as Record<string, unknown>;
  const { list, ...rest } = value;
  assert.deepEqual(rest, { ok: true, left: 3, none: null, exp: 1_900_000_000 });
  assert.equal((list as string[])[0], (list as string[])[1]);
  assert.deepEqual(
    [
      callWord("kv", { op: "get", key: "flag" }, CODE),
      callWord("kv", { op: "get", key: "user:7" }, CODE),
      callWord("limit", { name: "per-user", key: "7" }, CODE),
      callWord("fetch", { method: "GET", url: "https://api.example.com/known" }, CODE),
      callWord("fetch", { method: "GET", url: "https://api.example.com/user/7" }, CODE),
    ],
    ["get flag", "get *", "per-user", "GET https://api.example.com/known", "GET https://api.example.com *"],
  );
  assert.deepEqual(
    keptReply(
      "fetch",
      {
        status: 201,
        url: "u",
        redirected: true,
        headers: [
          ["content-type", "a/b"],
          ["x", "y"],
        ],
        body: "secret",
      },
      new OwnNames(CODE),
      { sanitizer, headers: ALLOWED, room: roomFor(4_096) },
    )?.value,
    {
      status: 201,
      url: "",
      redirected: true,
      headers: [["content-type", "a/b"]],
      body: "",
    },
  );
});

test("headers that tell who asks are refused in config, whatever their case", () => {
  for (const name of ["Cookie", "authorization", "X-Forwarded-For"])
    assert.throws(
      () => resolveConfig({ upstreams: { a: { targets: ["http://127.0.0.1:1"] } }, record: { share: "1%", headers: [name] } }, { baseDir: "/", file: "" }),
      /record\.headers\[0\]: found "[\w-]+", expected a header that does not tell who asks/,
    );
});

/** An exchange with these replies of `kv`, each for a key of the author's. */
function replying(code: string, ...values: readonly unknown[]): Witness {
  const calls = values.map((value, i): Witness["calls"][number] => ({
    rule: "a.ts",
    service: "kv",
    args: { op: "get", key: `key-${i}` },
    reply: { ok: true, value: { json: JSON.stringify(value) } },
  }));
  return exchange(["a-text-of-somebody"], code, calls);
}

/** How often `code` was searched for a member's name. */
function countedSearches(t: TestContext, code: string): () => number {
  const { includes } = String.prototype;
  let searches = 0;
  t.mock.method(String.prototype, "includes", function (this: string, text: string, from?: number) {
    if (String(this) === code && text.startsWith("member")) searches++;
    return includes.call(this, text, from);
  });
  return () => searches;
}

test("one recording looks at a bounded number of values, and stops when its line is too long", (t) => {
  const code = `a rule that names member0 and ${CODE}`;
  const searches = countedSearches(t, code);
  const nested = Array.from({ length: 80 }, (_, i) => Object.fromEntries(Array.from({ length: 80 }, (_member, j) => [`member${i}-${j}`, j])));
  assert.equal(recordingOf(replying(code, ...Array.from({ length: 100 }, () => nested)), sanitizer, ALLOWED), null);
  assert.ok(searches() > 0 && searches() <= 4_096 / 17 + 1, `${searches()} searches for a line that nobody keeps`);
});

test("a reply with more values than a recording holds is left out, and what came before it stays", () => {
  const code = `${CODE} "key-0" "key-1"`;
  const made = recordingOf(
    replying(
      code,
      [1, 2],
      Array.from({ length: 1_500 }, () => 0),
    ),
    sanitizer,
    ALLOWED,
  );
  assert.deepEqual(
    made?.calls.map(({ word, value }) => [word, value]),
    [["get key-0", { json: "[1,2]" }]],
  );
});

test("a name is searched for once in a rule's code, however often replies hold it", (t) => {
  const code = `a rule that names member0 and ${CODE}`;
  const searches = countedSearches(t, code);
  const witness = replying(code, { member0: 1, member1: 2 }, [{ member0: 3 }, { member1: 4 }]);
  for (let i = 0; i < 5; i++) recordingOf(witness, sanitizer, ALLOWED);
  assert.equal(searches(), 2);
});
