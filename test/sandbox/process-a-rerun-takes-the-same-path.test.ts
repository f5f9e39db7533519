import assert from "node:assert/strict";
import { test } from "node:test";
import { rule, SandboxProcess, type HookOptions } from "./process-harness.ts";

const DRAWING = rule(`{ async onRequest(req, ctx) {
  const seen = [Math.random(), ctx.random(), crypto.randomUUID(), [...crypto.getRandomValues(new Uint8Array(4))], Date.now(), new Date().toISOString()];
  await req.text();
  seen.push(Math.random(), Date(), Temporal.Now.instant().toString(), Temporal.Now.plainTimeISO().toString(), Temporal.Now.timeZoneId(), new Intl.DateTimeFormat("en", { timeStyle: "long" }).format(), performance.now());
  return respond(200, seen);
} }`);

async function draw(options: HookOptions): Promise<string> {
  await using sandbox = await SandboxProcess.with(DRAWING);
  sandbox.send(sandbox.hookRecord(options).record);
  sandbox.reply(await sandbox.next("CALL"), { bytes: "" });
  return String((await sandbox.next("DONE")).effects[0]?.fields.at(-1));
}

test("the same seed and clock give the same values in another process", async () => {
  const once = await draw({ seed: 5, clockMs: 1_700_000_000_123 });
  assert.equal(await draw({ seed: 5, clockMs: 1_700_000_000_123 }), once);
  assert.notEqual(await draw({ seed: 6, clockMs: 1_700_000_000_123 }), once);
});

test("every clock is the hook's, and stands still", async () => {
  const seen = JSON.parse(await draw({ clockMs: 1_700_000_000_123 })) as unknown[];
  assert.deepEqual(seen.slice(4, 6), [1_700_000_000_123, "2023-11-14T22:13:20.123Z"]);
  const [, text, instant, time, zone, formatted] = seen.slice(6);
  assert.match(String(text), /^Tue Nov 14 2023 22:13:20 GMT\+0000/);
  assert.equal(instant, "2023-11-14T22:13:20.123Z");
  assert.equal(time, "22:13:20.123");
  assert.equal(zone, "UTC");
  assert.match(String(formatted), /^10:13:20\sPM UTC$/);
});

test("random numbers of one hook do not depend on what other rules drew before", async () => {
  await using sandbox = await SandboxProcess.with(
    rule(`{ onRequest(req) { if (req.query.has("draw")) Math.random() } }`),
    rule(`{ onRequest: (req, ctx) => respond(200, ctx.random()) }`),
  );
  const rules = [{ rule: 0 }, { rule: 1 }];
  const drawn = await sandbox.hook({ head: "GET http h /?draw", rules });
  const plain = await sandbox.hook({ head: "GET http h /", rules });
  assert.equal(drawn.effects.at(-1)?.fields.at(-1), plain.effects.at(-1)?.fields.at(-1));
});

test("random numbers spread evenly, and seeds next to each other have nothing in common", async () => {
  await using sandbox = await SandboxProcess.with(
    rule(`{ onRequest() { let sum = 0; for (let i = 0; i < 10_000; i++) sum += Math.random(); return respond(200, [sum / 10_000, Math.random()]) } }`),
  );
  const firsts = new Set<number>();
  for (let seed = 0; seed < 50; seed++) {
    const [mean, first] = JSON.parse(String((await sandbox.hook({ seed })).effects[0]?.fields.at(-1))) as [number, number];
    // Five standard deviations of the mean of 10,000: 5 × 0.2887 / 100.
    assert.ok(Math.abs(mean - 0.5) < 0.0145, `mean ${mean} for seed ${seed}`);
    firsts.add(Math.round(first * 1e6));
  }
  assert.equal(firsts.size, 50);
});
