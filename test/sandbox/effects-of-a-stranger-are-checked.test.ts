import assert from "node:assert/strict";
import { test } from "node:test";
import { PHASES, type Phase } from "../../runtime/compile/release.ts";
import { CodecError, TextWriter } from "../../runtime/sandbox/codec.ts";
import { legalIn, readEffects, type CheckedEffects } from "../../runtime/sandbox/effects.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import { Effect } from "../../runtime/sandbox/protocol.ts";

function read(phase: Phase, text: string): CheckedEffects {
  const response = phase === "onOriginResponse" || phase === "onResponse" ? { status: 200, fields: new Fields() } : null;
  return readEffects(text, { legal: legalIn(phase, response), rules: [4, 7], crossingBytes: 1000 });
}
const written = (kind: number, ...values: readonly (string | number)[]): string => {
  const writer = new TextWriter().num(kind).num(4);
  for (const value of values)
    if (typeof value === "number") writer.num(value);
    else writer.str(value);
  return writer.take();
};
const set = (name: string, value: string): string => written(Effect.SET_FIELD, name, value);
const answer = (status: number, fields: readonly (readonly [string, string])[], bytes: string): string =>
  written(Effect.RESPOND, status, fields.length, ...fields.flat(), bytes);

const REFUSED: readonly (readonly [name: string, phase: Phase, text: string])[] = [
  ["CR LF in a value", "onRequest", set("x-a", "1\r\nx-evil: 1")],
  ["U+010D U+010A, which Latin-1 writing turns into CR LF", "onRequest", set("x-a", "1\u010d\u010ax-evil: 1")],
  ["NUL in a value", "onRequest", set("x-a", "a\0b")],
  ["DEL in a value", "onResponse", set("x-a", "a\x7fb")],
  ["white space around a value", "onRequest", set("x-a", " 1")],
  ["a name that is no token", "onRequest", set("x a", "1")],
  ["a name with a line end", "onRequest", set("x-a\r\nx-b", "1")],
  ["an empty name", "onRequest", set("", "1")],
  ["a value of 17 KiB", "onRequest", set("x-a", "a".repeat(17 * 1024))],
  ...[
    "connection",
    "content-length",
    "Transfer-Encoding",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "http2-settings",
  ].map((name) => [`the gateway's own ${name}`, "onRequest", set(name, "1")] as const),
  ["deleting Content-Length", "onResponse", written(Effect.DELETE_FIELD, "content-length")],
  ["a target without a slash", "onRequest", written(Effect.TARGET, "http://elsewhere/")],
  ["a target with a space", "onRequest", written(Effect.TARGET, "/a HTTP/1.1")],
  ["a target with a fragment", "onRequest", written(Effect.TARGET, "/a#b")],
  ["a target beyond ASCII", "onRequest", written(Effect.TARGET, "/ä")],
  ["a target of 20,000 characters", "onRequest", written(Effect.TARGET, `/${"a".repeat(20_000)}`)],
  ["a method that is no token", "onRequest", written(Effect.METHOD, "GET /")],
  ["CONNECT", "onRequest", written(Effect.METHOD, "CONNECT")],
  ["status 101", "onResponse", written(Effect.STATUS, 101)],
  ["status 600", "onResponse", written(Effect.STATUS, 600)],
  ["an answer of status 100", "onRequest", answer(100, [], "")],
  ["an answer with Transfer-Encoding", "onRequest", answer(200, [["transfer-encoding", "chunked"]], "")],
  ["an answer with a line end in a header", "onRequest", answer(302, [["location", "/\r\nset-cookie: a=b"]], "")],
  ["an answer whose bytes are none", "onRequest", answer(200, [], "\u0100")],
  ["a pinned target that is no URL", "onOriginRequest", written(Effect.PIN_TARGET, "javascript:1")],
  ["a log of an unknown level", "onRequest", written(Effect.LOG, "fatal", "x")],
  ["a metric that is no number", "onRequest", written(Effect.METRIC, "a", "NaN", "")],
  ["state above the crossing bound", "onRequest", written(Effect.STATE, "x".repeat(1001))],
];

for (const [name, phase, text] of REFUSED) {
  test(`${name} is refused`, () => {
    const { list, refused } = read(phase, text + set("x-other", "1"));
    assert.equal(refused?.get(4)?.code, "RULE_EFFECT");
    assert.deepEqual(list, [], "nothing of that rule is left");
  });
}

test("a refused rule leaves the others' effects, and its own log lines", () => {
  const other = new TextWriter().num(Effect.SET_FIELD).num(7).str("x-b").str("2").take();
  const { list } = read("onRequest", set("x-a", "1") + written(Effect.LOG, "info", "line") + set("bad name", "") + other);
  assert.deepEqual(
    list.map((effect) => [effect.rule, effect.kind]),
    [
      [4, Effect.LOG],
      [7, Effect.SET_FIELD],
    ],
  );
});

test("what is legal goes through, names in lowercase", () => {
  const { list, refused } = read(
    "onRequest",
    set("X-Forwarded-For", "10.0.0.1") +
      set("via", "x") +
      set("x-latin", "\xe4\t\xff") +
      written(Effect.TARGET, "/a?b=%20") +
      answer(
        200,
        [
          ["Content-Length", "9"],
          ["x-a", ""],
        ],
        "\x00\xff",
      ),
  );
  assert.equal(refused, null);
  assert.deepEqual(
    list.map((effect) => effect.name || effect.fields),
    ["x-forwarded-for", "via", "x-latin", "/a?b=%20", ["x-a", ""]],
  );
});

const LEGAL: Readonly<Record<Phase, readonly (keyof typeof Effect)[]>> = {
  onRequest: [
    "METHOD",
    "TARGET",
    "SET_FIELD",
    "APPEND_FIELD",
    "DELETE_FIELD",
    "UPSTREAM",
    "RESPOND",
    "LOG",
    "METRIC",
    "STATE",
    "CACHE_KEY",
    "READS",
    "EXPERIMENT",
    "TRACK",
    "ASKED",
    "PLACE",
  ],
  onOriginRequest: [
    "METHOD",
    "TARGET",
    "SET_FIELD",
    "APPEND_FIELD",
    "DELETE_FIELD",
    "PIN_TARGET",
    "BODY",
    "LOG",
    "METRIC",
    "STATE",
    "READS",
    "EXPERIMENT",
    "TRACK",
    "ASKED",
    "PLACE",
  ],
  onOriginResponse: ["SET_FIELD", "APPEND_FIELD", "DELETE_FIELD", "BODY", "LOG", "METRIC", "STATE", "CACHE", "READS", "EXPERIMENT", "TRACK", "ASKED", "PLACE"],
  onResponse: ["SET_FIELD", "APPEND_FIELD", "DELETE_FIELD", "STATUS", "BODY", "HTML", "LOG", "METRIC", "STATE", "EXPERIMENT", "TRACK", "ASKED", "PLACE"],
  onError: ["UPSTREAM", "RESPOND", "LOG", "METRIC", "STATE", "EXPERIMENT", "TRACK", "PLACE"],
  onComplete: ["LOG", "METRIC", "STATE", "EXPERIMENT", "TRACK", "PLACE"],
};
const EXAMPLES: Readonly<Record<keyof typeof Effect, string>> = {
  METHOD: written(Effect.METHOD, "POST"),
  TARGET: written(Effect.TARGET, "/"),
  SET_FIELD: set("x-a", "1"),
  APPEND_FIELD: written(Effect.APPEND_FIELD, "x-a", "1"),
  DELETE_FIELD: written(Effect.DELETE_FIELD, "x-a"),
  UPSTREAM: written(Effect.UPSTREAM, "shop"),
  PIN_TARGET: written(Effect.PIN_TARGET, "http://127.0.0.1:9001"),
  STATUS: written(Effect.STATUS, 404),
  BODY: written(Effect.BODY, "x"),
  RESPOND: answer(200, [], ""),
  LOG: written(Effect.LOG, "info", "x"),
  METRIC: written(Effect.METRIC, "hits", "1", "{}"),
  STATE: written(Effect.STATE, "{}"),
  CACHE_KEY: written(Effect.CACHE_KEY, '{"headers":["x-device"]}'),
  CACHE: written(Effect.CACHE, '{"lifetimeMs":1000}'),
  READS: written(Effect.READS, "client"),
  ASKED: written(Effect.ASKED, "m\nhuser-agent\ns4"),
  PLACE: written(Effect.PLACE, "Error\n    at a.ts:1:1"),
  EXPERIMENT: written(Effect.EXPERIMENT, "hero-copy"),
  TRACK: written(Effect.TRACK, "signup", "1.5"),
  HTML: written(Effect.HTML, '{"kind":"remove","selector":"h1"}'),
};

test("each phase has its effects and no others", () => {
  for (const phase of PHASES) {
    for (const [kind, text] of Object.entries(EXAMPLES)) {
      assert.equal(read(phase, text).refused === null, LEGAL[phase].includes(kind as keyof typeof Effect), `${kind} in ${phase}`);
    }
  }
});

test("what was asked is told in the words there are for it, and in no others", () => {
  for (const asked of ["", "?", "t\nq\nhx-a\nH\np4\ns7\nr\nox-a\nO\nf\nm\nc\na"])
    assert.equal(read("onRequest", written(Effect.ASKED, asked)).refused, null, JSON.stringify(asked));
  for (const asked of ["z", "h", "m\n", "\nm", "s", "px", "ha\u0000", "m\n".repeat(50), "hé"])
    assert.notEqual(read("onRequest", written(Effect.ASKED, asked)).refused, null, JSON.stringify(asked));
});

test("text that is no effects, or speaks for a rule that did not run, is a broken sandbox", () => {
  for (const text of ["x", "3;", "3;4;5:ab", "99;4;", "3;4;9999999999999999:a", new TextWriter().num(Effect.STATUS).num(5).num(200).take()])
    assert.throws(() => read("onResponse", text), CodecError);
  // Two thousand for each of the two rules that ran.
  assert.throws(() => read("onRequest", set("x-a", "1").repeat(4001)), CodecError);
});
