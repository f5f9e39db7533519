/** Empty `catch` blocks stand in the text of attacks: an attempt that throws has failed, as it should. What was reached is asserted outside. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HostileGateway } from "./hostile-gateway.ts";

/**
 * Walks everything that can be reached from what the rule is handed (prototypes, properties, getters, constructors, errors, results of
 * services), tries to make code from every function's constructor, and tells what should not have been found.
 */
const WALK = `
function walk(roots) {
  const seen = new Set(); const queue = []; const found = [];
  const visit = (value, path) => { if ((typeof value === "object" || typeof value === "function") && value !== null && !seen.has(value)) { seen.add(value); queue.push([value, path]) } };
  for (const [name, root] of Object.entries(roots)) visit(root, name);
  const host = ["mainModule", "binding", "dlopen", "require", "getBuiltinModule", "_linkedBinding", "applySync", "derefInto", "ExternalCopy", "memoryUsage", "threadCpuUsage"];
  while (queue.length > 0 && seen.size < 20000) {
    const [value, path] = queue.pop();
    for (const name of host) { let has = false; try { has = name in value } catch {} if (has) found.push(path + "." + name) }
    if (typeof value === "function") {
      for (const args of [["return globalThis"], ["return process"]]) {
        let maker; try { maker = value.constructor } catch {}
        if (typeof maker !== "function") continue;
        for (const make of [() => maker(...args), () => new maker(...args), () => Reflect.construct(maker, args), () => maker.call(null, ...args)]) {
          let made; try { made = make() } catch { continue }
          if (typeof made === "function" && made !== value) found.push(path + ".constructor made " + typeof made);
        }
      }
    }
    try { visit(Object.getPrototypeOf(value), path + ".__proto__") } catch {}
    let keys = []; try { keys = Reflect.ownKeys(value) } catch {}
    for (const key of keys) {
      let descriptor; try { descriptor = Object.getOwnPropertyDescriptor(value, key) } catch { continue }
      const at = path + "." + String(key);
      if (descriptor === undefined) continue;
      visit(descriptor.value, at); visit(descriptor.get, at + ".get"); visit(descriptor.set, at + ".set");
      if (typeof descriptor.get === "function") { try { visit(descriptor.get.call(value), at) } catch (error) { visit(error, at + ".error") } }
    }
    if (value instanceof Error && /(?:file:|node:|\\/(?:home|usr|tmp|root|work|opt|var)\\/|isolated-vm)/.test(String(value.stack))) found.push(path + ".stack " + value.stack);
  }
  return found;
}
const errors = () => [() => null.x, () => new URL("no"), () => decodeURIComponent("%"), () => crypto.getRandomValues(1), () => structuredClone(() => {}), () => atob("~"), () => new Headers([["a b", "c"]]), () => Object.freeze([]).push(1), () => JSON.parse("{"), () => new Array(-1), () => { throw Object.create(null) }].map((run) => { try { return run() } catch (error) { return error } });
`;

const gateway = await HostileGateway.open({
  secrets: { other: "s3cret-of-nobody-else" },
  vars: { theme: "dark", nested: { list: [1] } },
  limits: { ruleCpu: "400ms" },
  egress: {
    fetch: async ({ url }) => {
      if (url.endsWith("/fails")) throw new Error("/tmp/host/path of the host");
      return {
        status: 200,
        url,
        redirected: false,
        headers: [["x-then", "1"]],
        body: Buffer.from(`{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"then":1}`),
      };
    },
    close: () => undefined,
  },
  rules: {
    walks: {
      top: WALK,
      body: `async onRequest(req, ctx) {
        const answer = await ctx.fetch("https://api.example.com/"); const failed = await ctx.fetch("https://api.example.com/fails").catch((error) => error);
        const refused = await ctx.auth.jwt({ key: "no key" }).catch((error) => error);
        return respond(200, walk({ globalThis, req, ctx, headers: req.headers, query: req.query, log: ctx.log, client: ctx.client, vars: ctx.vars, secrets: ctx.secrets, state: ctx.state, answer, json: await answer.clone().json(), failed, refused, errors: errors(), respond, redirect, next, defineRule, fromFetchHandler, async: async () => {}, generator: function* () {}, asyncGenerator: async function* () {}, arguments: (function () { return arguments })() }));
      }`,
    },
    "walks-a-response": {
      top: WALK,
      body: `async onResponse(res, req, ctx) { const found = walk({ res, req, ctx, headers: res.headers, entries: res.headers.entries(), text: res.text() }); res.setBody(JSON.stringify(found)) }`,
    },
    pollutes: {
      body: `onRequest(req, ctx) {
        const targets = [Object.prototype, Array.prototype, Function.prototype, Promise.prototype, String.prototype, RegExp.prototype, Map.prototype, Error.prototype, Headers.prototype, URL.prototype, Object.getPrototypeOf(req), Object.getPrototypeOf(ctx), Object.getPrototypeOf(req.headers), Object.getPrototypeOf(globalThis), JSON, Math, Reflect, console, ctx.vars, ctx.vars.nested, ctx.vars.nested.list, globalThis];
        for (const target of targets) for (const change of [() => { target.polluted = "yes" }, () => Object.defineProperty(target, "polluted", { value: "yes" }), () => Object.setPrototypeOf(target, { polluted: "yes" }), () => target.__defineGetter__("polluted", () => "yes"), () => { delete target[Reflect.ownKeys(target)[0]] }, () => Object.assign(target, { polluted: "yes", then: "yes" })]) { try { change() } catch {} }
        for (const [holder, name] of [[Array.prototype, "push"], [String.prototype, "slice"], [Promise.prototype, "then"], [JSON, "stringify"], [Map.prototype, "get"], [Reflect, "ownKeys"], [globalThis, "Promise"], [globalThis, "undefined"], [Array, Symbol.species], [Array.prototype, Symbol.iterator]]) { for (const value of [() => "hijacked", undefined]) { try { holder[name] = value } catch {} try { Object.defineProperty(holder, name, { value }) } catch {} } }
        return respond(200, "tried");
      }`,
    },
    polluted: `const all = [{}, [], () => {}, "", /x/, new Map(), new Error(), new Headers(), new URL("http://a/"), Promise.resolve(), req, ctx, req.headers, JSON, Math, console, ctx.vars, ctx.vars.nested, globalThis]; return respond(200, [all.filter((value) => "polluted" in Object(value)).length, typeof polluted, JSON.stringify(ctx.vars), [1, 2].map((n) => n * 2), "abc".slice(1), new Map([[1, 2]]).get(1)])`,
    "reads-secrets": `const named = ["healthy", "other", "SLUICE_ADMIN_TOKEN"]; return respond(200, { keys: Object.keys(ctx.secrets), own: Reflect.ownKeys(ctx.secrets), read: named.map((name) => ctx.secrets[name] ?? null), inherited: Reflect.ownKeys(Object.getPrototypeOf(ctx.secrets) ?? {}).filter((key) => named.includes(key)), everywhere: JSON.stringify([ctx.vars, ctx.state, ctx.client, ctx.secrets]) })`,
    "keeps-secrets": {
      secrets: ["other"],
      body: `onRequest(req, ctx) { try { globalThis.kept = ctx.secrets.other } catch {} ctx.state.kept = ctx.secrets.other; return respond(200, ctx.secrets.other) }`,
    },
    "looks-for-kept": `return respond(200, [typeof kept, ctx.state])`,
    "leaves-state": {
      body: `onRequest(req, ctx) { const told = { state: { ...ctx.state }, header: req.headers.get("x-left") }; ctx.state.left = "for the next"; try { req.headers.set("x-left", "for the next") } catch {} return respond(200, told) }`,
    },
    thenables: {
      body: `async onRequest(req, ctx) {
        const kind = req.query.get("kind");
        const answer = await ctx.fetch("https://api.example.com/"); const json = await answer.json();
        if (kind === "json") return respond(200, [json.polluted ?? null, ({}).polluted ?? null]);
        if (kind === "thenable") return { then(resolve) { resolve(respond(200, [1])) } };
        if (kind === "twice") return { then(resolve, reject) { resolve(respond(200, [1])); reject(new Error("twice")); resolve(respond(500)) } };
        if (kind === "endless") { const self = { then(resolve) { resolve(self) } }; return self }
        if (kind === "species") { class Odd extends Promise { static get [Symbol.species]() { throw new Error("species") } } return Odd.resolve(respond(200, [1])) }
        const list = [["x-a", "1"]]; list.constructor = { [Symbol.species]: function () { throw new Error("species") } }; return { kind: "respond", status: 200, headers: list, body: "[1]" };
      }`,
    },
  },
});

test("constructor chains from everything it is handed reach no host and make no code", async () => {
  await gateway.amidVisitors(async () => {
    assert.deepEqual(await gateway.json("/walks"), []);
    assert.deepEqual(await gateway.json("/walks-a-response"), []);
  });
});

test("what it changes on prototypes, built-ins, facades and vars is there for no other rule and no later request", async () => {
  const untouched = [0, "undefined", `{"theme":"dark","nested":{"list":[1]}}`, [2, 4], "bc", 2];
  await gateway.amidVisitors(async () => {
    assert.deepEqual(await gateway.json("/polluted"), untouched);
    for (let hit = 0; hit < 5; hit++) assert.equal((await gateway.ask("/pollutes")).text, "tried");
    assert.deepEqual(await gateway.json("/polluted"), untouched);
  });
});

test("secrets that it does not declare are not to be read, nor those of another rule that tries to leave them", async () => {
  await gateway.amidVisitors(async () => {
    assert.equal((await gateway.ask("/keeps-secrets")).text, "s3cret-of-nobody-else");
    const told = await gateway.ask("/reads-secrets");
    assert.doesNotMatch(told.text, /s3cret/);
    const { keys, own, read, inherited } = JSON.parse(told.text) as Record<string, unknown>;
    assert.deepEqual({ keys, own, read, inherited }, { keys: [], own: [], read: [null, null, null], inherited: [] });
    assert.deepEqual(await gateway.json("/looks-for-kept"), ["undefined", {}]);
  });
});

test("state and headers are gone with the exchange", async () => {
  await gateway.amidVisitors(async () => {
    for (let hit = 0; hit < 3; hit++) assert.deepEqual(await gateway.json("/leaves-state"), { state: {}, header: null });
  });
});

test("thenables, species and prototypes in results hurt none but the rule itself", async () => {
  await gateway.amidVisitors(async () => {
    assert.deepEqual(await gateway.json("/thenables?kind=json"), [null, null]);
    for (const kind of ["thenable", "twice", "list"]) assert.deepEqual(await gateway.json(`/thenables?kind=${kind}`), [1]);
    assert.equal((await gateway.ask("/thenables?kind=species")).code, "RULE_THREW");
    assert.match((await gateway.ask("/thenables?kind=endless")).code, /^RULE_(?:CPU|MEMORY)$/);
  });
});
