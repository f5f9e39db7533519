/** Hostile rules that fail in every hook call, by what they do. Tests and the proof of `npm run prove` run the same ones. */
import type { ErrorCode } from "../../runtime/errors.ts";
import type { HostileRule } from "./hostile-gateway.ts";

export interface Attack {
  readonly rule: HostileRule | string;
  /** What `onFailure: "closed"` may answer: which guard is quickest may differ. */
  readonly codes: readonly ErrorCode[];
  /** False: what would be shown with quarantine on, others of the file show. Each offence costs three processes. */
  readonly quarantine?: boolean;
}

type Attacks = Readonly<Record<string, Attack>>;

const CPU = ["RULE_CPU"] as const;
const EITHER = ["RULE_CPU", "RULE_MEMORY"] as const;

/** Stopped inside the sandbox, by its own clock. */
export const NEVER_END: Attacks = {
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
  "one array buffer that grows without bound": {
    rule: `const all = new Uint8Array(new ArrayBuffer(0, { maxByteLength: 2 ** 33 })); for (;;) { all.buffer.resize(all.length + 1e6); all.fill(1) }`,
    codes: EITHER,
    quarantine: false,
  },
  "a map without bound": { rule: `const all = new Map(); for (let i = 0; ; i++) all.set("key" + i, { i })`, codes: ["RULE_CPU", "RULE_MEMORY"] },
};

/** Memory. */
export const HOLD_TOO_MUCH: Attacks = {
  "an array without bound, past isolated-vm's own limit": { rule: `const all = []; for (;;) all.push(new Array(1000).fill(1))`, codes: EITHER },
  "a string without bound": {
    rule: `let all = "x"; for (;;) { all += all; if (all.charCodeAt(all.length >> 1) === 0) return }`,
    codes: EITHER,
    quarantine: false,
  },
  "new Array(2**31).fill(0)": { rule: `new Array(2 ** 31).fill(0)`, codes: [...EITHER, "RULE_THREW"], quarantine: false },
  "Array(1e9).fill(0)": { rule: `Array(1e9).fill(0)`, codes: EITHER, quarantine: false },
  "a match of 2**28 characters": { rule: `"a".repeat(1 << 28).match(/a/g).length`, codes: EITHER, quarantine: false },
  "a split of 2**28 characters": { rule: `("x".repeat(2 ** 28) + "y").split("")`, codes: EITHER, quarantine: false },
  "five million brackets as JSON": { rule: `JSON.parse("[".repeat(5e6) + "]".repeat(5e6))`, codes: EITHER, quarantine: false },
};

/** What ends these is the sandbox being a process of its own. */
export const NO_GUARD_INSIDE: Attacks = {
  "big-integer growth": { rule: `let b = 2n; for (;;) b *= b`, codes: EITHER },
  "String.raw of a billion": { rule: `String.raw({ raw: { length: 1e9 } })`, codes: EITHER, quarantine: false },
  "a big integer as text": { rule: `(1n << 25000000n).toString()`, codes: EITHER, quarantine: false },
  "a sparse reverse": { rule: `const sparse = []; sparse[2 ** 32 - 2] = 1; sparse.reverse()`, codes: EITHER, quarantine: false },
};

/** These are ended, bounded or harmless without a lost sandbox; "" stands for an ordinary answer. */
export const BOUNDED: Readonly<Record<string, { readonly rule: HostileRule | string; readonly codes: readonly (ErrorCode | "")[] }>> = {
  "Error.prepareStackTrace that never returns": {
    rule: `Error.prepareStackTrace = () => { for (;;); }; try { null.x } catch (error) { return respond(200, error.stack) }`,
    codes: ["", "RULE_THREW"],
  },
  "deep recursion": { rule: `const deeper = () => deeper() + 1; return respond(200, String(deeper()))`, codes: ["RULE_THREW"] },
  "a promise that never settles": { rule: { body: `onRequest() { return new Promise(() => undefined) }` }, codes: ["RULE_WALL"] },
  "rejected promises nobody awaits": {
    rule: `for (let i = 0; i < 1000; i++) void Promise.reject(new Error("nobody awaits " + i)); return respond(200, "answered")`,
    codes: [""],
  },
  "ten million log lines": { rule: `for (let i = 0; i < 1e7; i++) console.log("line " + i); return respond(200, "said")`, codes: ["", "RULE_CPU"] },
  "ten thousand parallel fetches": {
    rule: { body: `async onRequest(req, ctx) { await Promise.all(Array.from({ length: 10_000 }, (_, i) => ctx.fetch("https://api.example.com/" + i))) }` },
    codes: ["RULE_CALLS", "SERVICE_REFUSED", "RULE_CPU", "RULE_THREW"],
  },
  "typed arrays without bound": { rule: `const all = []; for (;;) all.push(new Uint8Array(1e6).fill(1))`, codes: ["RULE_THREW", ...EITHER] },
  "an answer of 100 MB": { rule: `return respond(200, "x".repeat(100e6))`, codes: ["RULE_EFFECT", "RULE_CPU", "RULE_MEMORY", "RULE_THREW"] },
};
