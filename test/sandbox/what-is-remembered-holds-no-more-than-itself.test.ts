import assert from "node:assert/strict";
import { test } from "node:test";
import v8 from "node:v8";
import vm from "node:vm";
import { TextWriter } from "../../runtime/sandbox/codec.ts";
import { legalIn, readEffects } from "../../runtime/sandbox/effects.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import { Effect } from "../../runtime/sandbox/protocol.ts";
import { HookMemory, RecallBudget } from "../../runtime/sandbox/recall.ts";
import { exchangeOf } from "./room.ts";

v8.setFlagsFromString("--expose-gc");
const collectGarbage = vm.runInNewContext("gc") as () => void;

const OUTCOMES = 2000;
const HEAD_BYTES = 32 * 1024;
const RULES = [0];

function heapMib(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

test("heads and frames from which something was remembered are not kept with it", () => {
  const memory = new HookMemory(new RecallBudget(64 * 2 ** 20));
  const reread = (text: string) => readEffects(text, { legal: legalIn("onRequest", null), rules: RULES, crossingBytes: 2 ** 20 }).list;
  const before = heapMib();
  for (let i = 0; i < OUTCOMES; i++) {
    // As they come from the wire: one string, of which names and values are parts.
    const head = Buffer.alloc(HEAD_BYTES, `agent-number-${String(i).padStart(6, "0")} `).toString("latin1");
    const request = { method: "GET", scheme: "http" as const, authority: "a", target: "/", fields: new Fields(["user-agent", head.slice(0, 19)]) };
    const told = new TextWriter()
      .num(Effect.SET_FIELD)
      .num(0)
      .str("x-variant-of-it")
      .str(`variant-${i}-of-many`)
      .num(Effect.ASKED)
      .num(0)
      .str("huser-agent")
      .take();
    const frame = Buffer.from(told.padEnd(HEAD_BYTES)).toString("latin1");
    const text = frame.slice(0, told.length);
    const given = { request, response: null, rules: RULES, params: [null], exchange: exchangeOf() };
    assert.equal(memory.learn(given, { effects: reread(text), answeredBy: -1, text }, reread), true);
    if (i === OUTCOMES - 1) assert.equal(memory.recall(given)?.text, told);
  }
  const grown = heapMib() - before;
  assert.ok(
    grown < 16,
    `${OUTCOMES} outcomes took ${grown.toFixed(0)} MiB; with their heads and frames they would take ${(2 * OUTCOMES * HEAD_BYTES) / 2 ** 20}`,
  );
});
