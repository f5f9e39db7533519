/**
 * What a hook costs the worker: building its record, checking and applying its effects, and the whole of `Sandbox.run` in batches
 * (CPU of this process; the sandbox is a real one). `node --conditions=sluice-source bench/micro/sandbox.ts`
 */
import { bench, do_not_optimize, run } from "mitata";
import type { Release } from "../../runtime/compile/release.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import { applyEffects, type Decisions } from "../../runtime/sandbox/apply-effects.ts";
import { createSandbox } from "../../runtime/sandbox/client.ts";
import { legalIn, readEffects } from "../../runtime/sandbox/effects.ts";
import { headText, hookRecord } from "../../runtime/sandbox/hook-text.ts";
import { buildKernel } from "../../runtime/sandbox/kernel/build.ts";
import { Effect } from "../../runtime/sandbox/protocol.ts";
import { readRecords, type RecordEvents } from "../../runtime/sandbox/records.ts";
import type { HookRun, LoadedRelease } from "../../runtime/sandbox/sandbox.ts";

const CODE = `(sluice) => ({ default: sluice.defineRule({ onRequest(req) {
  let hash = 0x811c9dc5; const agent = req.headers.get("user-agent"); for (let i = 0; i < agent.length; i++) hash = Math.imul(hash ^ agent.charCodeAt(i), 16777619);
  if (req.path.startsWith("/old/")) req.path = "/new/" + req.path.slice(5);
  req.headers.set("x-variant", (hash >>> 0) % 100 < 50 ? "a" : "b"); req.headers.delete("x-drop");
} }) })`;
const manifest = {
  name: "bench.ts",
  order: 0,
  when: [],
  phases: ["onRequest" as const],
  secrets: [],
  onFailure: "closed" as const,
  services: [],
  hosts: [],
  readsBody: false,
};
const release: Release = { id: "00000000be1c", format: 1, rules: [{ manifest, code: CODE }] };

function fieldsOf(): Fields {
  return Fields.of(
    ["user-agent", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/150.0"],
    ["accept", "text/html,*/*;q=0.8"],
    ["accept-encoding", "gzip, br"],
    ["cookie", "sid=0123456789abcdef; theme=dark"],
    ["x-drop", "1"],
  );
}
const EXTRA = { client: { address: "203.0.113.7", port: 40_000, scheme: "http" as const, httpVersion: "1.1", country: "" }, requestId: "r-1" };
const EXTRA_TEXT = JSON.stringify(EXTRA);
const NO_PARAMS = [null];
const RULES = [0];
const { signal } = new AbortController();

function runOf(loaded: LoadedRelease): HookRun {
  return {
    release: loaded,
    phase: "onRequest",
    rules: RULES,
    params: NO_PARAMS,
    request: { method: "GET", scheme: "http", authority: "shop.example.com", target: "/old/42?ref=home", fields: fieldsOf() },
    response: null,
    extra: EXTRA_TEXT,
    exchange: {
      id: "r-1",
      received: { method: "GET", target: "/old/42?ref=home", authority: "shop.example.com" },
      state: new Map(),
      ruleWallMs: 0,
      fetches: 0,
      signal,
      readRequestBody: () => Promise.resolve(Buffer.alloc(0)),
      readResponseBody: () => Promise.resolve(Buffer.alloc(0)),
      whenOver: () => undefined,
    },
  };
}

const sample = runOf({ release, number: 1 });
const str = (text: string): string => `${text.length}:${text}`;
const EFFECTS = `${Effect.TARGET};0;${str("/new/42?ref=home")}${Effect.SET_FIELD};0;${str("x-variant")}${str("a")}${Effect.DELETE_FIELD};0;${str("x-drop")}`;
const DONE = `3;1;0;0;0;0:1;0;3;${str(EFFECTS)}`;
const legal = legalIn("onRequest", null);
const nothing = (): void => undefined;
const ignored: RecordEvents = {
  loaded: nothing,
  call: nothing,
  done: nothing,
  tail: nothing,
  stray: nothing,
  isolateLost: nothing,
  lost: nothing,
  pong: nothing,
};

bench("headText", () => do_not_optimize(headText(sample.request)));
bench("hookRecord", () =>
  do_not_optimize(
    hookRecord(
      {
        call: 1,
        release: 1,
        context: 0,
        phase: "onRequest",
        clockMs: 1_767_225_600_000,
        seed: "5".repeat(32),
        cpuMs: 50,
        request: sample.request,
        response: null,
        extra: EXTRA_TEXT,
      },
      "1;0;0:0:",
    ),
  ));
bench("readRecords: one DONE", () => readRecords(DONE, ignored));
bench("readEffects: three", () => do_not_optimize(readEffects(EFFECTS, { legal, rules: RULES, crossingBytes: 1_048_576 })));
const checked = readEffects(EFFECTS, { legal, rules: RULES, crossingBytes: 1_048_576 }).list;
bench("applyEffects: three", () => {
  const view = { ...sample, request: { ...sample.request, fields: sample.request.fields.clone() } };
  const decisions: Decisions = { upstream: "", pinnedTarget: "", body: null, answer: null };
  applyEffects(view, checked, decisions);
});
await run();

const sandbox = await createSandbox({
  kernel: await buildKernel(),
  limits: { ruleCpuMs: 50, ruleWallMs: 5000, ruleMemoryBytes: 64 * 1024 * 1024, ruleFetches: 16, crossingBytes: 1024 * 1024 },
  vars: {},
  secrets: {},
  services: {},
  events: { log: nothing, metric: nothing, hook: nothing, sandbox: nothing },
  quarantine: true,
  now: () => Date.now(),
});
const loaded = await sandbox.load(release, {});
for (const together of [1, 16, 64]) {
  const rounds = Math.ceil(20_000 / together / (together === 1 ? 4 : 1));
  for (let round = 0; round < rounds / 4; round++) await Promise.all(Array.from({ length: together }, () => sandbox.run(runOf(loaded))));
  const cpu = process.cpuUsage();
  const since = performance.now();
  for (let round = 0; round < rounds; round++) await Promise.all(Array.from({ length: together }, () => sandbox.run(runOf(loaded))));
  const { user, system } = process.cpuUsage(cpu);
  const hooks = rounds * together;
  console.log(
    `Sandbox.run, ${together} at once: ${((user + system) / hooks).toFixed(1)} µs of the worker's CPU a hook, ${(((performance.now() - since) * 1000) / rounds).toFixed(0)} µs a batch`,
  );
}
await sandbox.close();
