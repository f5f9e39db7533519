import { testAttacks } from "./hostile-attacks.ts";

const CPU = ["RULE_CPU"] as const;

await testAttacks(
  {
    "an endless loop": { rule: `for (;;);`, codes: CPU },
    "an endless loop after an await": { rule: { body: `async onRequest() { await null; for (;;); }` }, codes: CPU },
    "an endless loop in a timer": { rule: { body: `onRequest() { return new Promise(() => setTimeout(() => { for (;;); }, 1)) }` }, codes: CPU },
    "an endless loop in a response hook": { rule: { body: `onResponse() { for (;;); }` }, codes: CPU },
    "endless microtasks": { rule: `(async () => { for (;;) await null })()`, codes: CPU },
    "endless promise recursion": { rule: `function again() { return Promise.resolve().then(again) } return again()`, codes: CPU },
    "catastrophic backtracking": { rule: `/^(a+)+$/.test("a".repeat(40) + "!")`, codes: CPU },
    "a getter that never returns in what is returned": { rule: `return { get kind() { for (;;); } }`, codes: CPU },
    "a proxy trap that never returns in what is returned": { rule: `return new Proxy({}, { get() { for (;;); } })`, codes: CPU },
    "a toJSON that never returns in a body": { rule: `return respond(200, { toJSON() { for (;;); } })`, codes: CPU },
    "a toJSON that never returns in a state": { rule: `ctx.state.x = { toJSON() { for (;;); } }`, codes: CPU },
    "a thenable that never returns": { rule: `return { then() { for (;;); } }`, codes: CPU },
    "an error whose message never comes": { rule: `throw Object.defineProperty(new Error(), "message", { get() { for (;;); } })`, codes: CPU },
    "a map without bound": { rule: `const all = new Map(); for (let i = 0; ; i++) all.set("key" + i, { i })`, codes: ["RULE_CPU", "RULE_MEMORY"] },
  },
  2,
);
