import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { systemClock } from "../../runtime/clock.ts";
import { GatewayError } from "../../runtime/errors.ts";
import { Rehearsal, type Rehearsed, type Scene } from "../../runtime/proxy/rehearsal.ts";
import { buildKernel } from "../../runtime/sandbox/kernel/build.ts";
import { Project } from "../compile/project.ts";

const RULES = {
  "rules/all.ts": `import { defineRule, respond } from "sluice";

export default defineRule({
  async onRequest(req, ctx) {
    if (req.path === "/drawn") return respond(200, ctx.random() + " " + ctx.now());
    if (req.path === "/raced") {
      const winner = await Promise.race([ctx.fetch("https://api.example.com/").then((answer) => answer.status), new Promise((resolve) => setTimeout(() => resolve("late"), 1000))]);
      return respond(200, "", { "x-winner": String(winner) });
    }
    if (req.path === "/body") req.headers.set("x-length", String((await req.text()).length));
    if (req.path === "/variant") req.headers.set("x-hero", ctx.experiment("hero").variant);
    if (req.path === "/key") req.cacheKey({ headers: ["accept"] });
    req.headers.delete("accept-language");
  },
  onOriginRequest(req) {
    req.headers.set("x-asked", "origin");
  },
  onOriginResponse(res) {
    res.headers.set("x-stored", "yes");
    res.cache({ lifetime: "1m" });
  },
  onResponse(res) {
    res.headers.set("x-from", res.from);
  },
  onError(error) {
    return respond(503, "", { "x-error": error.code });
  },
  onComplete(done, req) {
    if (req.path === "/ends-badly") throw new Error("at the end");
  },
});
`,
  "rules/hero.ts": `import { defineExperiment } from "sluice";

export default defineExperiment({
  key: "hero",
  when: { path: "/variant" },
  variants: { control: 50, bold: 50 },
  apply: { bold: { originHeaders: { "x-version": "2" } } },
  goals: { purchase: { when: { path: "/checkout" } } },
});
`,
};

let rehearsal: Rehearsal;
before(async () => {
  await using project = await Project.open(RULES, { config: { cache: {} } });
  const { release, maps, problems } = await project.compile();
  assert.ok(release !== null, JSON.stringify(problems));
  rehearsal = await Rehearsal.open({ config: project.config, release, maps, kernel: await buildKernel(), clock: systemClock });
});
after(() => rehearsal.close());

let played = 0;
function play(target: string, more: Partial<Scene> = {}): Promise<Rehearsed> {
  return rehearsal.play({
    id: `play-${++played}`,
    received: {
      method: "GET",
      scheme: "http",
      authority: "shop.example.com",
      target,
      fields: ["accept", "a", "accept-language", "de"],
      peer: "192.0.2.1",
      hasBody: false,
    },
    startUnixMs: 1_800_000_000_000,
    draws: [],
    variants: {},
    origin: { status: 200, fields: ["x-origin", "1"] },
    cached: null,
    reply: () => null,
    word: () => "",
    ...more,
  });
}

const FROM_ORIGIN = {
  upstream: "site",
  method: "GET",
  "request header accept-language": "(removed)",
  "request header x-asked": "origin",
  cache: '{"lifetimeMs":60000}',
  "response header x-stored": "yes",
  "response header x-from": "upstream",
  "answered by": "upstream",
  status: "200",
};

test("a miss goes through every hook, and what each decided is told with its line", async () => {
  const { decisions, by, failures, finished } = await play("/");
  assert.deepEqual([Object.fromEntries(decisions), failures, finished], [{ ...FROM_ORIGIN, target: "/" }, [], true]);
  assert.deepEqual(by.get("request header x-asked"), { rule: "all.ts", place: "rules/all.ts:16:17" });
});

test("an answer that came out of the cache meets no hook of the origin", async () => {
  const { decisions } = await play("/", { cached: { status: 203, fields: ["x-origin", "1"] } });
  assert.deepEqual(Object.fromEntries(decisions), {
    method: "GET",
    target: "/",
    "request header accept-language": "(removed)",
    "response header x-from": "cache",
    "answered by": "cache",
    status: "203",
  });
});

test("an origin that failed then fails again", async () => {
  const { decisions } = await play("/", { origin: new GatewayError("UPSTREAM_TIMEOUT", "it was late") });
  assert.deepEqual([decisions.get("answered by"), decisions.get("status"), decisions.get("response header x-error")], ["rule", "503", "UPSTREAM_TIMEOUT"]);
});

test("clock and random numbers are those of the real hook call, and without one the same at every attempt", async () => {
  const drawn = async (draws: Scene["draws"], id: string): Promise<string> => (await play("/drawn", { draws, id })).decisions.get("body")!;
  const draws = [{ phase: "onRequest", clockMs: 1_700_000_000_000, seed: "00112233aaaaaaaaaaaaaaaaaaaaaaaa" }] as const;
  assert.equal(await drawn(draws, "one"), await drawn([{ ...draws[0], seed: "00112233bbbbbbbbbbbbbbbbbbbbbbbb" }], "two"), "the rest of a seed is for crypto");
  assert.notEqual(await drawn(draws, "one"), await drawn([{ ...draws[0], clockMs: 1 }], "two"));
  assert.equal(await drawn([], "same"), await drawn([], "same"));
  assert.notEqual(await drawn([], "same"), await drawn([], "other"));
});

test("a reply comes before a timer that would have been later", async () => {
  const reply: Scene["reply"] = (name) => (name === "fetch" ? Promise.resolve({ status: 204, url: "", redirected: false, headers: [], body: "" }) : null);
  assert.equal((await play("/raced", { reply })).decisions.get("response header x-winner"), "204");
});

test("a call without a reply is told and not made; a request without a body has an empty one", async () => {
  const { decisions, unanswered } = await play("/raced", { word: () => "GET https://api.example.com" });
  assert.deepEqual([unanswered, decisions.get("call fetch GET https://api.example.com")], [["call fetch GET https://api.example.com"], "not made"]);
  const reply: Scene["reply"] = (name) => (name === "requestBody" ? Promise.resolve({ bytes: "" }) : null);
  assert.equal((await play("/body", { reply })).decisions.get("request header x-length"), "0");
});

test("the visitor sees the variant that it saw", async () => {
  const seen = async (variants: Scene["variants"]) => {
    const { decisions } = await play("/variant", { variants });
    return [decisions.get("request header x-hero"), decisions.get("request header x-version")];
  };
  assert.deepEqual(await seen({ hero: "bold" }), ["bold", "2"]);
  assert.deepEqual(await seen({}), ["control", undefined]);
});

test("what rules say to the cache is a decision; a hook that fails after the answer is told", async () => {
  assert.match((await play("/key")).decisions.get("cache key")!, /accept/);
  const { failures } = await play("/ends-badly");
  assert.deepEqual(
    failures.map(({ rule, phase, message, place }) => [rule, phase, message, place]),
    [["all.ts", "onComplete", "at the end", "rules/all.ts:29:43"]],
  );
});
