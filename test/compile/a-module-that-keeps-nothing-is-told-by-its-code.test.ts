import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { bundleRules } from "../../runtime/compile/bundle.ts";
import { isStateless } from "../../runtime/compile/stateless.ts";

/** Top level, and the members of `defineRule`. */
type Module = readonly [top: string, members: string];

const KEEPS_NOTHING: Readonly<Record<string, Module>> = {
  "sets a header": ["", `onResponse(res) { res.headers.set("x-a", "1"); res.headers.delete("server") }`],
  "looks into tables": [
    `const moved: Record<string, string> = { "/a": "/b" }; const blocked = new Set(["x"]); const prefix = /^\\/shop/;`,
    `onRequest(req) { if (blocked.has(req.method) || prefix.test(req.path)) return respond(403); const to = moved[req.path]; if (to) return redirect(to) }`,
  ],
  "hashes in a loop": [
    `function hash(text: string) { let sum = 0; for (let i = 0; i < text.length; i++) sum = Math.imul(sum ^ text.charCodeAt(i), 16777619); return sum >>> 0 }`,
    `onRequest(req, ctx) { ctx.state.bucket = hash(req.headers.get("user-agent") ?? "") % 100; req.path = "/new" + req.path; req.query.set("v", "1") }`,
  ],
  "changes only what it made": [
    `const order = ["b", "a"];`,
    `onRequest(req) { const parts = req.path.split("/"); parts.shift(); const sorted = order.slice(); sorted.sort(); const seen = new Map<string, number>(); for (const part of parts) seen.set(part, 1); const all: Record<string, number> = {}; all.x = seen.size; req.headers.set("x-all", JSON.stringify(all)) }`,
  ],
  "counts in a closure of its own": [
    "",
    `onRequest(req) { let count = 0; req.path.split("/").forEach(() => { count += 1 }); req.headers.set("x-count", String(count)) }`,
  ],
  "takes its arguments apart": ["", `onRequest({ headers, path }) { headers.set("x-path", path) }`],
  "keeps a short name for the headers": ["", `onRequest(req) { const h = req.headers; h.set("x-a", "1") }`],
  "puts an object of a class together": [
    `class Point { x: number; constructor(x: number) { this.x = x } get twice() { return this.x * 2 } }`,
    `onRequest(req) { req.headers.set("x-point", String(new Point(3).twice)) }`,
  ],
  "waits, and logs": ["", `async onRequest(req, ctx) { await null; ctx.log.info("seen", req.path); console.log("x") }`],
  "works something out while it is evaluated": [
    `const table: string[] = []; for (let i = 0; i < 3; i++) table.push(String(i)); const text = table.join();`,
    `onRequest(req) { req.headers.set("x-table", text) }`,
  ],
};

const KEEPS_STATE: Readonly<Record<string, Module>> = {
  "a counter": ["let n = 0;", `onRequest() { n++; return respond(200, String(n)) }`],
  "a counter by assignment": ["let n = 0;", `onRequest() { n = n + 1 }`],
  "a counter in a function": ["let n = 0; function count() { n += 1; return n }", `onRequest() { return respond(200, String(count())) }`],
  "a cache": ["const cache = new Map<string, string>();", `onRequest(req) { cache.set(req.path, "x") }`],
  "a list that grows": ["const list: string[] = [];", `onRequest(req) { list.push(req.path) }`],
  "a list that is sorted": [`const list = ["b", "a"];`, `onRequest() { list.sort() }`],
  "a member": ["const state = { n: 0 };", `onRequest() { state.n++ }`],
  "a member under another name": ["const state = { n: 0 };", `onRequest() { const s = state; s.n = 1 }`],
  "a member taken out": ["const state = { list: [] as string[] };", `onRequest() { const { list } = state; list.push("x") }`],
  "a member of a member": [
    "const state: Record<string, { n: number }> = { a: { n: 0 } };",
    `onRequest(req) { const entry = state[req.path]; if (entry) entry.n = 1 }`,
  ],
  "a member of something wrapped anew": ["const state = { n: 0 };", `onRequest() { const wrapped = [state]; wrapped[0]!.n = 1 }`],
  "a member of what a loop gives": ["const all = [{ n: 0 }];", `onRequest() { for (const each of all) each.n++ }`],
  "a member in a callback": ["const all = [{ n: 0 }];", `onRequest() { all.forEach((each) => { each.n++ }) }`],
  "a method that is computed": ["const list: string[] = []; const how = 'push';", `onRequest(req) { list[how](req.path) }`],
  "a method that is borrowed": ["const list: string[] = [];", `onRequest(req) { Array.prototype.push.call(list, req.path) }`],
  "Object.assign": ["const state = { n: 0 };", `onRequest() { Object.assign(state, { n: 1 }) }`],
  "Reflect.set": ["const state = { n: 0 };", `onRequest() { Reflect.set(state, "n", 1) }`],
  "a delete": ["const state: Record<string, number> = { n: 0 };", `onRequest() { delete state.n }`],
  "an assignment by a pattern": ["let a = 1; let b = 2;", `onRequest() { [a, b] = [b, a] }`],
  "the variable of a loop": ["let last = '';", `onRequest(req) { for (last of req.path.split("/")) { } }`],
  "a closure that counts": ["const next = (() => { let n = 0; return () => ++n })();", `onRequest() { return respond(200, String(next())) }`],
  "a closure hung onto data": [
    "function make() { let n = 0; return () => ++n } const tools: Record<string, () => number> = {}; tools.next = make();",
    `onRequest() { return respond(200, String(tools.next!())) }`,
  ],
  "a list in a closure": [
    "function make() { const list: string[] = []; return { add(x: string) { list.push(x) } } } const tools: { t?: ReturnType<typeof make> } = {}; tools.t = make();",
    `onRequest(req) { tools.t!.add(req.path) }`,
  ],
  "an object of a class": [
    "class Counter { n = 0; next() { return ++this.n } } const counter = new Counter();",
    `onRequest() { return respond(200, String(counter.next())) }`,
  ],
  "a private member": [
    "class Counter { #n = 0; next() { return ++this.#n } } const counter = new Counter();",
    `onRequest() { return respond(200, String(counter.next())) }`,
  ],
  "a static member": ["class Counter { static n = 0 }", `onRequest() { Counter.n++ }`],
  "a static closure": [
    "class Counter { static next = (() => { let n = 0; return () => ++n })() }",
    `onRequest() { return respond(200, String(Counter.next())) }`,
  ],
  "a method put on a prototype": ["let n = 0; class Tool { run?(): void } Tool.prototype.run = function () { n++ };", `onRequest() { new Tool().run!() }`],
  "a method with a harmless name": [
    "const store = { list: [] as string[], filter() { return this.list } };",
    `onRequest(req) { const list = store.filter(); list.push(req.path) }`,
  ],
  "a generator": [
    "function* numbers() { let n = 0; for (;;) yield n++ } const all = numbers();",
    `onRequest() { return respond(200, String(all.next().value)) }`,
  ],
  "an iterator": [`const turns = ["a", "b"].values();`, `onRequest() { for (const turn of turns) return respond(200, turn) }`],
  "a regular expression with a place": [`const word = /x/g;`, `onRequest(req) { if (word.test(req.path)) return respond(403) }`],
  "a regular expression with a place, made": [`const word = new RegExp("x", "g");`, `onRequest(req) { if (word.test(req.path)) return respond(403) }`],
  "what an object of its own gave to the state": [
    "const defaults = { list: [] as string[] };",
    `onRequest(_req, ctx) { ctx.state = defaults; (ctx.state as typeof defaults).list.push("x") }`,
  ],
  "a URL that is changed": [`const url = new URL("https://a.example/");`, `onRequest(req) { url.pathname = req.path }`],
  "the global object": ["", `onRequest() { (globalThis as { n?: number }).n = 1 }`],
  arguments: ["", `onRequest() { arguments[0].method = "POST" }`],
  "a hook from elsewhere": ["const hooks = [() => undefined];", `onRequest: hooks[0]!`],
  "a definition spread from elsewhere": ["const more = { onRequest() { } };", `...more`],
  "a variable that shadows": ["let n = 0;", `onRequest() { { let n = 1; n++ } n++ }`],
};

async function verdicts(modules: Readonly<Record<string, Module>>): Promise<Record<string, boolean>> {
  const folder = mkdtempSync(path.join(tmpdir(), "sluice-stateless-"));
  try {
    const files = Object.entries(modules).map(([name, [top, members]], i) => {
      const file = path.join(folder, `rule-${i}.ts`);
      writeFileSync(file, `import { defineRule, respond, redirect } from "sluice";\n${top}\nexport default defineRule({ ${members} });\n`);
      return { name, file };
    });
    const { bundled, problems } = await bundleRules(files, folder);
    assert.deepEqual(problems, []);
    return Object.fromEntries(bundled.map(({ name, code }) => [name, isStateless(code)]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("what keeps nothing from one hook to the next is known for it", async () => {
  for (const [name, verdict] of Object.entries(await verdicts(KEEPS_NOTHING))) assert.equal(verdict, true, name);
});

test("what keeps something, however it is hidden, is not", async () => {
  for (const [name, verdict] of Object.entries(await verdicts(KEEPS_STATE))) assert.equal(verdict, false, name);
});

test("what is no bundle of ours is not known to keep nothing", () => {
  for (const code of ["", "1", "(", "(function(sluice){})(1)", "export default 1"]) assert.equal(isStateless(code), false, code);
});
