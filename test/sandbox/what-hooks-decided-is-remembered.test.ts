import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Fields } from "../../runtime/proxy/fields.ts";
import type { HookOutcome, HookRun, LoadedRelease } from "../../runtime/sandbox/sandbox.ts";
import { exchangeOf, Room, type RuleText, runOf } from "./room.ts";

const REMEMBERS = { limits: { ruleRecallBytes: 1024 * 1024 } };

interface Request {
  readonly target?: string;
  readonly method?: string;
  readonly fields?: readonly (readonly [string, string])[];
  readonly state?: Readonly<Record<number, string>>;
  readonly response?: HookRun["response"];
  readonly phase?: HookRun["phase"];
  readonly params?: HookRun["params"];
}

class Memory {
  readonly room: Room;
  readonly release: LoadedRelease;
  readonly #rules: readonly number[];

  constructor(room: Room, release: LoadedRelease) {
    this.room = room;
    this.release = release;
    // Hooks are known by the array, as those of a plan are.
    this.#rules = release.release.rules.map((_, index) => index);
  }
  static async of(t: TestContext, ...rules: readonly RuleText[]): Promise<Memory> {
    const room = await Room.open(t, REMEMBERS);
    return new Memory(room, await room.load(...rules.map((rule) => Object.assign({ stateless: true }, rule))));
  }
  view({ target = "/", method = "GET", fields = [], state = {}, ...given }: Request = {}): HookRun {
    const exchange = exchangeOf(target);
    for (const [rule, json] of Object.entries(state)) exchange.state.set(Number(rule), json);
    const request = { method, scheme: "http" as const, authority: "shop.example.com", target, fields: Fields.of(...fields) };
    return runOf(this.release, { rules: this.#rules, request, exchange, ...given });
  }
  recall(request?: Request): { readonly outcome: HookOutcome | null; readonly view: HookRun } {
    const view = this.view(request);
    return { outcome: this.room.sandbox.recall(view), view };
  }
  async run(request?: Request): Promise<{ readonly outcome: HookOutcome; readonly view: HookRun }> {
    const view = this.view(request);
    return { outcome: await this.room.sandbox.run(view), view };
  }
}

test("the same input has the same outcome without another run; what was asked tells inputs apart", async (t) => {
  const memory = await Memory.of(t, {
    body: `onRequest(req, ctx) { ctx.state.v = req.headers.get("x-kind") ?? "none"; req.headers.set("x-seen", ctx.state.v); req.path = "/new" + req.path }`,
  });
  assert.equal(memory.recall({ target: "/a" }).outcome, null, "nothing is known yet");
  await memory.run({ target: "/a?x=1" });
  const { outcome, view } = memory.recall({ target: "/a?x=1", fields: [["x-other", "7"]] });
  assert.deepEqual(outcome, { upstream: "", pinnedTarget: "", body: null, answer: null, failure: null, rule: "" });
  assert.equal(view.request.target, "/new/a?x=1");
  assert.equal(view.request.fields.get("x-seen"), "none");
  assert.equal(view.request.fields.get("x-other"), "7");
  assert.equal(view.exchange.state.get(0), '{"v":"none"}');
  for (const other of [
    { target: "/b?x=1" },
    { target: "/a?x=2" },
    { target: "/a" },
    { target: "/a?x=1", fields: [["x-kind", ""]] },
    { target: "/a?x=1", state: { 0: '{"v":"x"}' } },
  ] as Request[])
    assert.equal(memory.recall(other).outcome, null, JSON.stringify(other));
  const told = memory.room.hooks.filter(({ recalled }) => recalled === true);
  assert.deepEqual(told, [
    { rule: "rule-0.ts", release: "000000000001", phase: "onRequest", cpuUs: 0, outcome: "next", recalled: true, failure: null, exchange: "exchange /a?x=1" },
  ]);
});

test("fields that came twice, empty, or not at all are different inputs", async (t) => {
  const memory = await Memory.of(t, { body: `onRequest(req) { req.headers.set("x-seen", String(req.headers.get("x-a"))) }` });
  const inputs: (readonly (readonly [string, string])[])[] = [
    [],
    [["x-a", ""]],
    [
      ["x-a", ""],
      ["x-a", ""],
    ],
    [["x-a", "1, 2"]],
    [
      ["x-a", "1"],
      ["x-a", "2"],
    ],
  ];
  const seen: unknown[] = [];
  for (const fields of inputs) {
    assert.equal(memory.recall({ fields }).outcome, null, JSON.stringify(fields));
    const { view } = await memory.run({ fields });
    seen.push(view.request.fields.get("x-seen"));
  }
  const recalled = inputs.map((fields) => memory.recall({ fields }).view.request.fields.get("x-seen"));
  assert.deepEqual(recalled, seen);
  assert.deepEqual(seen, ["null", "", ",", "1, 2", "1, 2"]);
});

test("what a rule asks next may depend on what it was told", async (t) => {
  const memory = await Memory.of(t, {
    body: `onRequest(req) { if (req.method === "GET") return respond(200, req.headers.get("x-get") ?? "-"); if (req.path === "/x") return redirect("/y") }`,
  });
  for (const request of [{}, { method: "POST" }, { method: "POST", target: "/x" }, { fields: [["x-get", "1"]] }] as Request[]) {
    const { outcome } = await memory.run(request);
    const known = memory.recall(request).outcome;
    assert.deepEqual(known, outcome, JSON.stringify(request));
  }
  const answer = memory.recall({ fields: [["x-get", "1"]] }).outcome!;
  assert.equal(answer.answer!.body.toString(), "1");
  assert.equal(answer.rule, "rule-0.ts");
  assert.equal(memory.recall({ method: "PUT" }).outcome, null);
});

test("response hooks are known by status, fields, origin and state", async (t) => {
  const memory = await Memory.of(t, {
    phases: ["onResponse"],
    body: `onResponse(res, req, ctx) { if (res.status === 200 && res.from === "upstream") res.headers.set("x-variant", ctx.state.v + res.headers.get("x-in")) }`,
  });
  const response = (status: number, from: string, field: string) => ({ status, from, fields: Fields.of(["x-in", field]) });
  const given = (status: number, from: string, field: string, v: string): Request => ({
    phase: "onResponse",
    response: response(status, from, field),
    state: { 0: JSON.stringify({ v }) },
  });
  await memory.run(given(200, "upstream", "1", "a"));
  assert.equal(memory.recall(given(200, "upstream", "1", "a")).view.response!.fields.get("x-variant"), "a1");
  for (const other of [given(404, "upstream", "1", "a"), given(200, "cache", "1", "a"), given(200, "upstream", "2", "a"), given(200, "upstream", "1", "b")])
    assert.equal(memory.recall(other).outcome, null);
});

test("logs and metrics are told each time, as if it had run", async (t) => {
  const memory = await Memory.of(t, { body: `onRequest(req, ctx) { ctx.log.info("at", req.path) }` });
  await memory.run();
  memory.recall();
  assert.deepEqual(
    memory.room.logs.map(({ text }) => text),
    ["at /", "at /"],
  );
});

for (const [what, body] of Object.entries({
  "the time": `onRequest(req, ctx) { req.headers.set("x-now", String(ctx.now())) }`,
  "the time of Date": `onRequest(req) { req.headers.set("x-now", String(Date.now())) }`,
  chance: `onRequest(req) { req.headers.set("x-random", String(Math.random())) }`,
  "chance of crypto": `onRequest(req) { req.headers.set("x-id", crypto.randomUUID()) }`,
  "the request id": `onRequest(req) { req.headers.set("x-id", req.id) }`,
  "the client": `onRequest(req, ctx) { req.headers.set("x-client", ctx.client.address) }`,
  "a service": `async onRequest(req, ctx) { await ctx.fetch("https://a.example/") }`,
  "the body": `async onRequest(req) { await req.text() }`,
  "more than can be compared": `onRequest(req) { for (let i = 0; i < 40; i++) req.headers.get("x-" + i) }`,
})) {
  test(`nothing is remembered of a hook that asks for ${what}`, async (t) => {
    const memory = await Memory.of(t, { body });
    await memory.run();
    assert.equal(memory.recall().outcome, null);
  });
}

test("nor of one that fails, goes on after its end, or whose module keeps state", async (t) => {
  for (const rule of [
    { body: `onRequest() { throw new Error("x") }` },
    { body: `onRequest(req, ctx) { ctx.waitUntil(new Promise(() => undefined)) }` },
    { top: "let n = 0", stateless: false, body: `onRequest(req) { req.headers.set("x-n", String(++n)) }` },
  ] as RuleText[]) {
    const memory = await Memory.of(t, rule);
    await memory.run();
    assert.equal(memory.recall().outcome, null, rule.body);
  }
});

test("all rules of a phase are remembered as one, and none when one of them keeps state", async (t) => {
  const first = { body: `onRequest(req) { req.headers.set("x-a", req.method) }` };
  const second = { body: `onRequest(req) { req.headers.set("x-b", req.headers.get("x-a") + "!") }` };
  const both = await Memory.of(t, first, second);
  await both.run();
  const { view } = both.recall();
  assert.deepEqual([view.request.fields.get("x-a"), view.request.fields.get("x-b")], ["GET", "GET!"]);
  const mixed = await Memory.of(t, first, { ...second, stateless: false });
  await mixed.run();
  assert.equal(mixed.recall().outcome, null);
});

test("now and then a hook runs all the same; one that decides otherwise is told of and forgotten", async (t) => {
  const memory = await Memory.of(t, { top: "let n = 0", body: `onRequest(req) { req.headers.set("x-n", String(++n)) }` });
  await memory.run();
  let recalled = 0;
  while (memory.recall().outcome !== null) {
    assert.ok(++recalled < 5000, "it never runs again");
  }
  assert.ok(recalled >= 100, `it ran after ${recalled} recalls already`);
  await memory.run();
  assert.match(memory.room.logs.at(-1)!.text, /decided differently on the same request/);
  assert.equal(memory.recall().outcome, null);
  await memory.run();
  assert.equal(memory.recall().outcome, null);
});

test("a hook that keeps deciding the same is tried twice as seldom each time, and never left alone", async (t) => {
  const memory = await Memory.of(t, { body: `onRequest(req) { req.headers.set("x-path", req.path) }` });
  await memory.run();
  const spans: number[] = [];
  for (let recalled = 0; spans.length < 9;) {
    assert.ok(recalled < 20_000, "it never runs again");
    if (memory.recall().outcome !== null) recalled++;
    else {
      spans.push(recalled + 1);
      recalled = 0;
    }
  }
  assert.deepEqual(spans, [256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 16_384, 16_384]);
});

test("what no two requests share is not kept for long, and memory has a bound", async (t) => {
  const room = await Room.open(t, { limits: { ruleRecallBytes: 20_000 } });
  const memory = new Memory(room, await room.load({ stateless: true, body: `onRequest(req) { req.headers.set("x-path", req.path) }` }));
  await memory.run({ target: "/first" });
  assert.notEqual(memory.recall({ target: "/first" }).outcome, null);
  for (let i = 0; i < 40; i++) await memory.run({ target: `/${i}` });
  assert.equal(memory.recall({ target: "/first" }).outcome, null, "forgotten when the memory was full");
  assert.notEqual(memory.recall({ target: "/39" }).outcome, null);
  for (let i = 0; i < 1100; i++) memory.recall({ target: `/new/${i}` });
  await memory.run({ target: "/rests" });
  assert.equal(memory.recall({ target: "/rests" }).outcome, null, "a memory that is hardly ever right rests");
});

test("with no memory for it every hook runs every time", async (t) => {
  const room = await Room.open(t);
  const memory = new Memory(room, await room.load({ stateless: true, body: `onRequest(req) { req.headers.set("x-path", req.path) }` }));
  await memory.run();
  assert.equal(memory.recall().outcome, null);
});
